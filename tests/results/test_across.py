"""Methods across tasks: what is compared, on which scores, and what is left out with a word."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from scipy import stats

from results.across import AGGREGATE_COLUMNS, aggregate, critical_difference
from results.errors import LeaderboardError
from results.records import load_records

SCORES = {
    "cnn": {"digits": [0.97, 0.98, 0.96, 0.99, 0.97], "mnist1d": [0.91, 0.93, 0.92, 0.95, 0.94]},
    "mlp": {"digits": [0.95, 0.97, 0.94, 0.96, 0.95], "mnist1d": [0.60, 0.66, 0.64, 0.61, 0.68]},
    "rnn": {"digits": [0.93, 0.90, 0.96, 0.91, 0.92], "mnist1d": [0.71, 0.69, 0.75, 0.70, 0.72]},
}


@pytest.fixture
def filled(runs):
    for family, tasks in SCORES.items():
        for task, scores in tasks.items():
            runs.add_seeds(scores, family=family, task=task, config_id=f"{family}-{task}")
    return runs


def test_columns_types_and_order_are_those_documented(filled):
    table = aggregate(load_records(filled.path))
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == AGGREGATE_COLUMNS
    assert list(table["family"]) == ["cnn", "rnn", "mlp"]
    assert table.attrs["tasks"] == {"digits": [0.1, 1.0], "mnist1d": [0.1, 1.0]}
    assert table.attrs["left_out"] == []


def test_values_are_those_of_the_definitions(filled):
    row = aggregate(load_records(filled.path)).set_index("family").loc["rnn"]
    pooled = (np.array([SCORES["rnn"][task] for task in ("digits", "mnist1d")]) - 0.1) / 0.9
    assert row["iqm"] == pytest.approx(stats.trim_mean(pooled.flatten(), 0.25))
    assert row["mean"] == pytest.approx(pooled.mean())
    assert row["optimality_gap"] == pytest.approx(1 - pooled.mean())
    wins = [
        stats.mannwhitneyu(SCORES["rnn"][task], SCORES[other][task]).statistic / 25
        for task in ("digits", "mnist1d")
        for other in ("cnn", "mlp")
    ]
    assert row["improvement"] == pytest.approx(np.mean(wins))
    assert row["mean_rank"] == 2.5
    for name in ("iqm", "mean", "optimality_gap", "improvement"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_a_minimised_metric_is_normalised_the_other_way_round(runs):
    for family, score in (("mlp", 0.5), ("cnn", 0.1)):
        for task in ("adding", "copy"):
            runs.add(family=family, task=task, metric="mse", direction="minimize", floor=1.0, ceiling=0.0, test=score)
    table = aggregate(load_records(runs.path))
    assert list(table["family"]) == ["cnn", "mlp"]
    assert list(table["iqm"]) == pytest.approx([0.9, 0.5])
    assert list(table["mean_rank"]) == [1, 2]


def test_few_scores_have_values_and_no_intervals(runs):
    for family, scores in (("mlp", [0.9, 0.8, 0.7]), ("cnn", [0.5, 0.6, 0.55])):
        for task in ("digits", "mnist1d"):
            runs.add_seeds(scores, family=family, task=task)
    table = aggregate(load_records(runs.path))
    assert table["iqm"].notna().all()
    assert table[[name for name in table if name.endswith(("_low", "_high"))]].isna().all(axis=None)


def test_one_seed_has_the_values_of_that_seed(runs):
    for family, score in (("mlp", 0.91), ("cnn", 0.55)):
        for task in ("digits", "mnist1d"):
            runs.add(family=family, task=task, test=score)
    table = aggregate(load_records(runs.path))
    assert list(table["iqm"]) == pytest.approx([0.9, 0.5])
    assert list(table["improvement"]) == [1, 0]
    assert list(table["n"]) == [1, 1]


def test_a_task_without_a_known_best_is_left_out_or_refused(filled):
    for family in SCORES:
        filled.add(family=family, task="text", metric="cross-entropy", direction="minimize", floor=3.3, test=2.0)
    records = load_records(filled.path)
    table = aggregate(records)
    assert list(table.attrs["tasks"]) == ["digits", "mnist1d"]
    assert table.attrs["left_out"][0].startswith("text: its best possible cross-entropy is not known")
    with pytest.raises(LeaderboardError, match=r"best possible cross-entropy of 'text'.*Leave that task out"):
        aggregate(records, ["digits", "text"])


def test_methods_and_tasks_that_do_not_fit_are_named(filled):
    filled.add(family="gan", task="ring", metric="accuracy", test=0.5)
    filled.add(family="linear", task="digits", test=0.5)
    table = aggregate(load_records(filled.path))
    assert list(table["family"]) == ["cnn", "rnn", "mlp"]
    assert table.attrs["left_out"] == [
        "Tasks that fewer methods have in common: ring.",
        "Methods without a completed run on every task: gan (default), linear (default).",
    ]


def test_settings_that_a_plan_gives_a_task_do_not_part_methods(runs):
    for task, epochs in (("digits", 40), ("mnist1d", 15)):
        for family in ("mlp", "cnn"):
            runs.add(family=family, task=task, changed={"budget.epochs": epochs}, test=0.9)
            wide = {"budget.epochs": epochs, "family.width": 128}
            runs.add(family=family, task=task, changed=wide, config_id="wide", test=0.8)
    runs.add(family="mlp", task="digits", config_id="alone", test=0.99)
    table = aggregate(load_records(runs.path))
    assert sorted(zip(table["family"], table["setting"], strict=True)) == [
        ("cnn", "default"),
        ("cnn", "family.width=128"),
        ("mlp", "default"),
        ("mlp", "family.width=128"),
    ]
    assert table.attrs["shared"] == {"digits": "budget.epochs=40", "mnist1d": "budget.epochs=15"}
    assert "mlp (budget.epochs as by default)" in table.attrs["left_out"][0]


def test_winners_of_sweeps_are_one_method_whatever_they_set(runs):
    for task, width in (("digits", 32), ("mnist1d", 256)):
        for role, changed, score in (("winner", {"family.width": width}, 0.9), ("default", {}, 0.8)):
            folder = runs.add(task=task, changed=changed, config_id=role, test=score)
            runs.add_tuning(folder, role=role)
    table = aggregate(load_records(runs.path))
    assert list(table["setting"]) == ["tuned", "default"]


def test_of_two_configurations_of_one_method_the_better_on_val_counts(filled):
    filled.add(family="mlp", task="digits", config_id="other-code", val=0.99, test=0.2)
    table = aggregate(load_records(filled.path)).set_index("family")
    assert table.loc["mlp", "n"] == 1
    assert any("2 configurations; the one that is best on val counts" in text for text in table.attrs["left_out"])


def test_seeds_beyond_those_of_all_tasks_are_left_out_with_a_word(filled):
    filled.add(family="mlp", task="digits", config_id="mlp-digits", seed=5, test=0.1)
    table = aggregate(load_records(filled.path))
    assert table.attrs["left_out"] == ["1 runs beyond the seeds that a method has on all tasks."]
    assert set(table["n"]) == {5}


def test_failed_runs_are_counted(filled):
    filled.add(family="mlp", task="digits", config_id="mlp-digits", seed=7, status="diverged", scores=None)
    table = aggregate(load_records(filled.path)).set_index("family")
    assert table["failed"].to_dict() == {"cnn": 0, "rnn": 0, "mlp": 1}


def test_the_order_of_records_changes_nothing(filled):
    records = load_records(filled.path)
    assert_frame_equal(aggregate(records.iloc[::-1]), aggregate(records))


@pytest.mark.parametrize("function", [aggregate, critical_difference])
def test_what_cannot_be_compared_is_refused(runs, function):
    empty = load_records(runs.path)
    with pytest.raises(LeaderboardError, match="needs finished runs"):
        function(empty)
    runs.add()
    records = load_records(runs.path)
    with pytest.raises(LeaderboardError, match=r"at least two methods with completed runs on two tasks"):
        function(records)
    with pytest.raises(LeaderboardError, match=r"No finished run of task 'digit'\. Did you mean 'digits'"):
        function(records, ["digit"])
    with pytest.raises(LeaderboardError, match="there is one"):
        function(records, ["digits"])


def test_ranks_over_tasks_use_mean_scores(filled):
    table = critical_difference(load_records(filled.path))
    assert dict(zip(table["family"], table["mean_rank"], strict=True)) == {"cnn": 1.0, "mlp": 2.5, "rnn": 2.5}
    assert (table.attrs["blocks"], table.attrs["num_blocks"]) == ("tasks", 2)
    assert table.attrs["cliques"] == [(0, 2)]


def test_ranks_on_one_task_are_over_shared_seeds(filled):
    table = critical_difference(load_records(filled.path), ["mnist1d"])
    scores = np.array([SCORES[family]["mnist1d"] for family in SCORES])
    assert table.attrs["friedman_p_value"] == pytest.approx(stats.friedmanchisquare(*scores).pvalue)
    assert (table.attrs["blocks"], table.attrs["num_blocks"]) == ("seeds", 5)
    assert list(table["family"]) == ["cnn", "rnn", "mlp"]


def test_one_seed_of_one_task_gives_no_ranks(runs):
    for family in ("mlp", "cnn"):
        runs.add(family=family)
    with pytest.raises(LeaderboardError, match=r"Ranks need at least two tasks.*--seeds"):
        critical_difference(load_records(runs.path), ["digits"])


def test_no_interval_where_nothing_varies(runs):
    for family, score in (("mlp", 0.9), ("cnn", 0.8)):
        for task in ("digits", "mnist1d"):
            runs.add_seeds([score] * 5, family=family, task=task)
    table = aggregate(load_records(runs.path))
    assert math.isnan(table.loc[0, "iqm_low"])
    assert isinstance(table, pd.DataFrame)


def test_among_many_methods_the_dear_intervals_are_left_out_with_a_word(filled, monkeypatch):
    monkeypatch.setattr("results.across.MAX_INTERVALS", 2)
    table = aggregate(load_records(filled.path))
    assert list(table["iqm_low"].isna()) == [False, False, True]
    assert list(table["improvement_low"].isna()) == [False, False, True]
    assert table["improvement"].notna().all()
    assert any("all but the first 2 methods" in sentence for sentence in table.attrs["left_out"])
