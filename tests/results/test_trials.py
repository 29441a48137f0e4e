"""Trials of sweeps: the best of k at equal budgets, and what tuning gained on fresh seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml

from results.errors import LeaderboardError, RecordError
from results.records import load_records
from results.statistics.expected_best import expected_best
from results.trials import best_of_k, default_against_tuned, load_trials, require_rows


def write_study(root: Path, name: str, values: list[float | None], **changes: object) -> Path:
    folder = root / "studies" / name
    (folder / "trials").mkdir(parents=True)
    about = {"schema": 1, "study": name, "task": "digits", "family": "mlp", "metric": "accuracy"}
    about |= {"direction": "maximize", "sampler": {"name": "random"}} | changes
    (folder / "study.yaml").write_text(yaml.safe_dump(about))
    for number, value in enumerate(values):
        trial = {"number": number, "status": "diverged" if value is None else "completed", "seconds": 2.0}
        write_trial(folder, trial | {"values": None if value is None else [value], "intermediate": []})
    return folder


def write_trial(folder: Path, trial: dict[str, object]) -> None:
    (folder / "trials" / f"{trial['number']:05}.json").write_text(json.dumps(trial))


def test_searches_are_compared_at_equal_numbers_of_trials(tmp_path):
    steady, lucky = [0.90, 0.91, 0.90, 0.92, 0.91], [0.50, 0.55, 0.97, 0.60, 0.40]
    write_study(tmp_path, "steady", steady, family={"name": "linear"})
    write_study(tmp_path, "lucky", lucky)
    table = best_of_k(load_trials(tmp_path), ks=(1, 5, 20)).set_index("study")
    for name, values in (("steady", steady), ("lucky", lucky)):
        for k in (1, 5):
            assert table.loc[name, f"best_of_{k}"] == expected_best(values, k, "maximize")
        assert math.isnan(table.loc[name, "best_of_20"])
    assert list(table["rank_at_1"].loc[["steady", "lucky"]]) == [1, 2]
    assert list(table["rank_at_5"].loc[["steady", "lucky"]]) == [2, 1]
    assert table["rank_at_20"].isna().all()
    assert table.loc["lucky", "seconds"] == 10
    assert list(table["sampler"]) == ["random", "random"]


def test_a_trial_without_a_score_counts_as_the_worst_one(tmp_path):
    write_study(tmp_path, "s", [0.9, None, 0.5])
    row = best_of_k(load_trials(tmp_path), ks=(1, 2)).iloc[0]
    assert row["best_of_1"] == pytest.approx((0.9 + 0.5 + 0.5) / 3)
    assert (row["num_trials"], row["num_without_score"]) == (3, 1)


def test_a_pruned_trial_has_the_best_that_it_reached(tmp_path):
    folder = write_study(tmp_path, "s", [0.9], direction="minimize")
    reached = [[100, 0.8], [200, 0.6], [300, 0.7]]
    write_trial(folder, {"number": 1, "status": "pruned", "values": None, "intermediate": reached, "seconds": 1})
    write_trial(folder, {"number": 2, "status": "running", "values": None, "intermediate": [], "seconds": None})
    trials = load_trials(tmp_path)
    assert list(trials["value"].dropna()) == [0.9, 0.6]
    assert best_of_k(trials, ks=(1,)).loc[0, "num_trials"] == 2


def test_studies_of_one_task_and_several_roots_come_together(tmp_path):
    for root, family in (("a", "mlp"), ("b", "cnn")):
        write_study(tmp_path / root, family, [0.5], family=family, task={"name": "digits", "limit": 10})
    trials = load_trials([tmp_path / "a", tmp_path / "b", "sqlite:///nowhere.db"])
    assert list(trials["family"]) == ["cnn", "mlp"]
    assert set(trials["task_label"]) == {"digits(limit=10)"}


def test_no_trials_are_refused_with_the_way_to_make_some(tmp_path):
    with pytest.raises(LeaderboardError, match="boltbench sweep"):
        require_rows(load_trials(tmp_path))


@pytest.mark.parametrize(
    ("file", "content", "field"),
    [
        ("study.yaml", "metric: [", "YAML"),
        ("study.yaml", "- a list", "mapping"),
        ("study.yaml", "{study: s, metric: accuracy, direction: up}", "`direction`"),
        ("trials/00000.json", "{", "strict JSON"),
        ("trials/00000.json", '{"number": 0, "status": "completed", "values": ["0.9"]}', "`values`"),
        ("trials/00000.json", '{"status": "completed"}', "`number`"),
    ],
)
def test_a_damaged_study_is_named(tmp_path, file, content, field):
    path = write_study(tmp_path, "s", [0.9]) / file
    path.write_text(content)
    with pytest.raises(RecordError, match="doctor") as caught:
        load_trials(tmp_path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_tuning_is_weighed_on_the_seeds_that_both_have(runs, direction, sign):
    for role, scores in (("default", [0.5, 0.6, 0.7]), ("winner", [0.7, 0.7, 0.9, 0.8])):
        for seed, score in enumerate(scores):
            folder = runs.add(config_id=role, seed=seed, test=score, direction=direction)
            runs.add_tuning(folder, role=role, num_trials=8 if role == "winner" else 0)
    row = default_against_tuned(load_records(runs.path)).iloc[0]
    assert row["gain"] == pytest.approx(sign * (0.2 + 0.1 + 0.2) / 3)
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert row["tuned_mean"] == pytest.approx(0.775)
    assert (row["n"], row["tuning_trials"]) == (3, 8)


def test_a_winner_without_its_default_has_no_row(runs):
    runs.add_tuning(runs.add())
    assert default_against_tuned(load_records(runs.path)).empty
