"""Leaderboards: the right figures in the right order, with nothing dropped in silence."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from results.errors import LeaderboardError, ResultsError
from results.leaderboard import LEADERBOARD_COLUMNS, leaderboard, task_labels
from results.records import load_records

SCORES = st.floats(-1e6, 1e6, allow_subnormal=False)


def board(runs, task="digits"):
    return leaderboard(load_records(runs.path), task)


@settings(max_examples=25, deadline=None)
@given(groups=st.lists(st.lists(SCORES, min_size=1, max_size=6), min_size=1, max_size=5))
def test_mean_and_deviation_are_those_of_numpy_and_pandas(make_runs, groups):
    runs = make_runs()
    for index, scores in enumerate(groups):
        runs.add_seeds(scores, config_id=f"c{index}")
    records = load_records(runs.path)
    table = leaderboard(records, "digits").set_index("config_id")
    expected = records.groupby("config_id")["test_score"].agg(["mean", "std", "count"])
    for index, scores in enumerate(groups):
        row = table.loc[f"c{index}"]
        tolerance = {"rel": 1e-9, "abs": 1e-7}
        assert row["mean"] == pytest.approx(np.mean(scores), **tolerance)
        assert row["mean"] == pytest.approx(expected.loc[f"c{index}", "mean"], **tolerance)
        assert row["n"] == expected.loc[f"c{index}", "count"]
        if len(scores) > 1:
            assert row["sd"] == pytest.approx(np.std(scores, ddof=1), **tolerance)
            assert row["sd"] == pytest.approx(expected.loc[f"c{index}", "std"], **tolerance)
        else:
            assert math.isnan(row["sd"])


@settings(max_examples=25, deadline=None)
@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=2, max_size=8),
    direction=st.sampled_from(["maximize", "minimize"]),
    order=st.randoms(use_true_random=False),
)
def test_ranks_follow_the_direction_share_ties_and_ignore_the_order_of_records(make_runs, scores, direction, order):
    runs = make_runs()
    for index, score in enumerate(scores):
        runs.add(config_id=f"c{index}", test=score, direction=direction)
    records = load_records(runs.path)
    table = leaderboard(records, "digits")
    better = (lambda a, b: a > b) if direction == "maximize" else (lambda a, b: a < b)
    for row in table.to_dict("records"):
        assert row["rank"] == 1 + sum(better(score, row["mean"]) for score in scores)
    assert table["rank"].is_monotonic_increasing
    rows = list(range(len(records)))
    order.shuffle(rows)
    assert_frame_equal(leaderboard(records.iloc[rows], "digits"), table)


def test_ties_share_a_rank_and_the_next_leaves_room(runs):
    for config_id, score in (("a", 0.9), ("b", 0.9), ("c", 0.8)):
        runs.add(config_id=config_id, test=score)
    assert list(board(runs)["rank"]) == [1, 1, 3]


def test_equal_scores_tie_whatever_their_number_and_order(runs):
    runs.add_seeds([0.97, 0.97, 0.97], config_id="a")
    runs.add_seeds([0.97], config_id="b")
    runs.add_seeds([0.97] * 7, config_id="c")
    assert list(board(runs)["rank"]) == [1, 1, 1]


def test_failed_runs_are_shown_and_stay_out_of_the_mean(runs):
    runs.add_seeds([0.8, 0.9], config_id="a")
    for seed, status in enumerate(("diverged", "out-of-memory", "lost"), start=2):
        runs.add(config_id="a", seed=seed, status=status, test=0.1)
    row = board(runs).iloc[0]
    assert (row["n"], row["failed"]) == (2, 3)
    assert row["mean"] == pytest.approx(0.85)


def test_trials_of_a_sweep_are_left_out_however_they_ended(runs):
    runs.add(config_id="a", test=0.9)
    spec = {"task": {"name": "digits"}, "evaluation": {"test": False}}
    for seed, status in enumerate(("completed", "pruned", "diverged", "failed"), start=1):
        runs.add(config_id=f"t{seed}", seed=seed, status=status, spec=spec, scores={"val/accuracy": 0.99})
    table = board(runs)
    assert list(table["config_id"]) == ["a"]
    assert (table.attrs["num_untested"], table.attrs["num_failed"]) == (4, 0)


def test_a_configuration_that_never_completed_comes_last_with_empty_scores(runs):
    runs.add(config_id="a", family="aaa", status="failed", scores=None, cost=None, selection=None, digests=None)
    runs.add(config_id="b", family="zzz", test=0.01)
    table = board(runs)
    assert list(table["family"]) == ["zzz", "aaa"]
    last = table.iloc[1]
    assert (last["n"], last["failed"]) == (0, 1)
    assert last[["rank", "mean", "sd", "val_mean", "num_parameters", "seconds"]].isna().all()


def test_one_seed_has_no_deviation(runs):
    runs.add(test=0.9)
    assert math.isnan(board(runs).loc[0, "sd"])


@pytest.mark.parametrize("scores", [{"val/accuracy": 0.9}, {"val/accuracy": 0.9, "test/accuracy": None}])
def test_completed_runs_without_a_test_score_are_counted_and_not_ranked(runs, scores):
    runs.add(config_id="a", test=0.8)
    runs.add(config_id="a", seed=1, scores=scores)
    runs.add(config_id="trial", scores=scores)
    table = board(runs)
    assert list(table["config_id"]) == ["a"]
    assert (table.loc[0, "n"], table.loc[0, "failed"]) == (1, 0)
    assert table.attrs["num_untested"] == 2


def test_the_other_columns_describe_the_ranked_runs(runs):
    for seed, (val, seconds) in enumerate([(0.8, 1.0), (0.9, 3.0)]):
        folder = runs.add(seed=seed, val=val, changed={"family.width": 128, "optimization.lr": 0.003, "seed": seed})
        runs.change(folder, lambda result, seconds=seconds: result["cost"].update(seconds=seconds))
    row = board(runs).iloc[0]
    assert row["setting"] == "family.width=128, optimization.lr=0.003"
    assert row["val_mean"] == pytest.approx(0.85)
    assert (row["seconds"], row["num_parameters"]) == (2.0, 5210)


def test_a_setting_without_changes_is_the_default(runs):
    runs.add(changed={"seed": 4, "task.limit": 10})
    assert board(runs, "digits(limit=10)").loc[0, "setting"] == "default"


def test_determinism_is_the_weakest_of_the_ranked_runs(runs):
    runs.add(config_id="a", determinism="deterministic")
    runs.add(config_id="a", seed=1, determinism="seeded")
    runs.add(config_id="b", determinism="deterministic")
    runs.add(config_id="b", seed=1, determinism="seeded", status="failed")
    for config_id in "cd":
        folder = runs.add(config_id=config_id)
        (folder / "replay.json").write_text('{"grade": "bit-exact", "weights": "w0"}')
    runs.add(config_id="d", seed=1, determinism="deterministic")
    levels = board(runs).set_index("config_id")["determinism"]
    assert levels.to_dict() == {"a": "seeded", "b": "deterministic", "c": "verified", "d": "deterministic"}


def test_seeds_of_two_families_are_never_one_row(runs):
    runs.add(family="mlp", test=0.9)
    runs.add(family="cnn", test=0.8)
    assert list(board(runs)["family"]) == ["mlp", "cnn"]


def test_columns_types_and_attributes_are_those_documented(runs):
    runs.add(ceiling=1.0, test=0.9)
    runs.add(seed=1, status="pruned", ceiling=1.0)
    table = board(runs)
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == LEADERBOARD_COLUMNS
    assert table.attrs == {
        "view": "task",
        "task": "digits",
        "metric": "accuracy",
        "direction": "maximize",
        "floor": 0.1,
        "ceiling": 1.0,
        "num_runs": 2,
        "num_failed": 1,
        "num_untested": 0,
        "num_varied": 0,
        "level": 0.95,
        "num_seeds": None,
        "minimum_detectable": None,
    }


def test_settings_of_a_task_make_tables_of_their_own(runs):
    runs.add(config_id="a", task="mnist1d", test=0.5)
    runs.add(config_id="b", task="mnist1d", test=0.9, changed={"task.full_train": True, "family.width": 3})
    records = load_records(runs.path)
    assert task_labels(records) == ["mnist1d", "mnist1d(full_train=true)"]
    assert list(leaderboard(records, "mnist1d")["config_id"]) == ["a"]
    assert list(leaderboard(records, "mnist1d(full_train=true)")["setting"]) == ["family.width=3"]


@pytest.mark.parametrize(
    ("column", "value"), [("metric", "loss"), ("direction", "minimize"), ("floor", 0.2), ("ceiling", 0.99)]
)
def test_runs_that_measure_different_things_are_refused(runs, column, value):
    one, other = runs.add(), runs.add(seed=1, **{column: value})
    with pytest.raises(LeaderboardError, match=f"must have one {column}.*separate folders") as caught:
        board(runs)
    assert one.name in str(caught.value)
    assert f"{other.name} has {value}" in str(caught.value)


def test_runs_on_different_data_have_tables_of_their_own(runs):
    runs.add(config_id="a", test=0.9, data_sha256="a1" * 32)
    runs.add(config_id="b", test=0.8, data_sha256="b2" * 32)
    runs.add(config_id="c", task="mnist1d")
    records = load_records(runs.path)
    assert task_labels(records) == ["digits [data a1a1a1a1]", "digits [data b2b2b2b2]", "mnist1d"]
    assert list(leaderboard(records, "digits [data b2b2b2b2]")["config_id"]) == ["b"]


def test_runs_that_other_networks_judged_have_tables_of_their_own(runs):
    runs.add(config_id="a", test=0.9, scorer_sha256="a1" * 32)
    runs.add(config_id="b", test=0.8, scorer_sha256="b2" * 32)
    runs.add(config_id="c", task="mnist1d")
    records = load_records(runs.path)
    assert task_labels(records) == ["digits [scorer a1a1a1a1]", "digits [scorer b2b2b2b2]", "mnist1d"]
    assert list(leaderboard(records, "digits [scorer b2b2b2b2]")["config_id"]) == ["b"]


def test_a_run_from_before_there_were_judges_is_read(runs):
    folder = runs.add(test=0.9)
    runs.change(folder, lambda result: result.pop("scorer_sha256"))
    runs.add(config_id="b", test=0.8, scorer_sha256="b2" * 32)
    assert task_labels(load_records(runs.path)) == ["digits"]


@pytest.mark.parametrize("column", ["data_sha256", "scorer_sha256"])
def test_runs_on_different_data_or_with_different_judges_never_share_a_table(make_runs, column):
    frames = []
    for seed, digest in enumerate(("a1" * 32, "b2" * 32)):
        runs = make_runs()
        runs.add(seed=seed, **{column: digest})
        frames.append(load_records(runs.path))
    with pytest.raises(LeaderboardError, match=rf"must have one {column}, but .* has a1a1.* has b2b2"):
        leaderboard(pd.concat(frames), "digits")


def test_a_run_that_never_began_shares_the_table_of_those_with_a_judge(runs):
    runs.add(test=0.9, scorer_sha256="a1" * 32)
    runs.add(seed=1, status="failed", scores=None, scorer_sha256=None)
    assert board(runs).loc[0, ["n", "failed"]].tolist() == [1, 1]


def test_a_task_whose_defaults_changed_is_refused(runs):
    runs.add()
    runs.add(seed=1, spec={"task": {"name": "digits", "length": 40}})
    with pytest.raises(LeaderboardError, match=r'share its settings.*"length":40'):
        board(runs)


def test_an_unknown_task_is_answered_with_the_nearest_and_the_list(runs):
    runs.add()
    runs.add(task="mnist1d")
    with pytest.raises(LeaderboardError, match=r"'digit'\. Did you mean 'digits'\? .*: digits, mnist1d\.$"):
        board(runs, "digit")


def test_no_runs_are_refused(runs):
    with pytest.raises(ResultsError, match="at least one finished run"):
        board(runs)


def test_a_seed_that_completed_twice_is_refused(runs):
    runs.add(run_id="older")
    runs.add(run_id="newer")
    with pytest.raises(LeaderboardError, match="newer and older are both seed 0"):
        board(runs)


def test_ten_thousand_runs_load_and_rank(make_runs):
    runs = make_runs()
    for index in range(10_000):
        runs.add(config_id=f"c{index // 5:04}", seed=index % 5, test=index / 10_000)
    table = board(runs)
    assert len(table) == 2_000
    assert (table.loc[0, "config_id"], table.loc[0, "n"]) == ("c1999", 5)
    assert pd.Series(table["mean"]).is_monotonic_decreasing
