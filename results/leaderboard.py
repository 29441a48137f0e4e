"""Records of one task as a ranked table: one row per configuration, its seeds as mean and standard deviation."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from results.errors import LeaderboardError, did_you_mean
from results.schema import DETERMINISM
from results.text import setting_text

LEADERBOARD_COLUMNS: Final = {
    "rank": "Int64",
    "family": "str",
    "setting": "str",
    "mean": "float64",
    "sd": "float64",
    "n": "int64",
    "val_mean": "float64",
    "failed": "int64",
    "num_parameters": "Int64",
    "seconds": "float64",
    "determinism": "str",
    "config_id": "str",
}
"""The columns of a leaderboard and their types."""

_NEEDED: Final = (
    "run_id",
    "status",
    "family",
    "config_id",
    "seed",
    "changed",
    "spec",
    "test_score",
    "val_score",
    "num_parameters",
    "seconds",
    "determinism",
    "metric",
    "direction",
    "floor",
    "ceiling",
)


def task_labels(records: pd.DataFrame) -> list[str]:
    """Return what there are leaderboards for: every task with its settings that are not the default, sorted."""
    return sorted(set(records["task_label"]))


def leaderboard(records: pd.DataFrame, task: str) -> pd.DataFrame:
    """Rank the configurations of one task by the mean of their primary metric on test, over completed seeds.

    Args:
        records: What `results.records.load_records` returns, or any rows of it.
        task: A label as `task_labels` lists them.

    Returns:
        One row per (family, config_id), the best first. Equal means share a rank, and the next rank leaves room for
        them (1, 1, 3). ``sd`` has ddof=1 and is NaN for one seed. ``n`` counts the seeds in the mean; ``failed`` the
        runs that did not complete. Rows without a completed run come last, with no rank and no scores.
        ``val_mean``, ``seconds`` and ``num_parameters`` are those of the ranked runs; ``determinism`` is the weakest
        among them (among all runs where none is ranked).
        Trials of a sweep (``evaluation.test`` is false) are left out however they ended, and so is a configuration
        whose completed runs all lack a test score; ``attrs["num_untested"]`` counts all such runs. ``attrs`` also
        holds task, metric, direction, floor, ceiling, num_runs and num_failed.

    Raises:
        LeaderboardError: There are no runs; the task is not among them; runs under one label differ in what they
            measure; or one seed of a configuration completed twice.
    """
    if records.empty:
        raise LeaderboardError(
            "A leaderboard needs at least one finished run, but there is none. `boltbench run` makes one."
        )
    labels = task_labels(records)
    if task not in labels:
        raise LeaderboardError(
            f"No finished run of task {task!r}.{did_you_mean(task, labels)} Tasks with runs: {', '.join(labels)}."
        )
    rows = records[records["task_label"] == task].reset_index(drop=True)
    _check_comparable(rows, task)
    runs = rows[list(_NEEDED)].sort_values(["family", "config_id", "seed", "run_id"]).to_dict("records")
    groups: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    for run in runs:
        groups.setdefault((run["family"], run["config_id"]), []).append(run)
    summaries = [_summary(*key, group) for key, group in groups.items()]
    direction = runs[0]["direction"]
    table = _ranked([row for row in summaries if row["n"] or row["failed"]], direction)
    table.attrs = {
        "task": task,
        "metric": runs[0]["metric"],
        "direction": direction,
        "floor": float(runs[0]["floor"]),
        "ceiling": None if math.isnan(runs[0]["ceiling"]) else float(runs[0]["ceiling"]),
        "num_runs": len(runs),
        "num_failed": sum(row["failed"] for row in summaries),
        "num_untested": sum(row["untested"] for row in summaries),
    }
    return table


def _check_comparable(rows: pd.DataFrame, task: str) -> None:
    names = list(rows["run_id"])
    for column in ("metric", "direction", "floor", "ceiling", "data_sha256"):
        values = rows[column].drop_duplicates()
        if len(values) > 1:
            first, second = (
                f"{names[int(index)]} has {'none' if pd.isna(value) else value}"
                for index, value in zip(values.index[:2], values[:2], strict=True)
            )
            raise LeaderboardError(
                f"All runs of task {task!r} must have one {column}, but {first} and {second}. "
                "Keep them in separate folders of runs."
            )
    settings = [spec["task"] for spec in rows["spec"]]
    for run_id, setting in zip(names, settings, strict=True):
        if setting != settings[0]:
            raise LeaderboardError(
                f"All runs of task {task!r} must share its settings, but {names[0]} has {settings[0]} "
                f"and {run_id} has {setting}. Keep them in separate folders of runs."
            )


def _summary(family: str, config_id: str, runs: Sequence[dict[Any, Any]]) -> dict[str, Any]:
    completed = [run for run in runs if run["status"] == "completed"]
    ranked = [run for run in completed if not math.isnan(run["test_score"])]
    for run, other in itertools.pairwise(ranked):
        if run["seed"] == other["seed"]:
            raise LeaderboardError(
                f"Every seed of a configuration must count once, but {run['run_id']} and {other['run_id']} are both "
                f"seed {run['seed']} of {config_id}. Move one of the two folders away."
            )
    scores = [run["test_score"] for run in ranked]
    is_trial = (runs[0]["spec"].get("evaluation") or {}).get("test") is False
    sizes = [run["num_parameters"] for run in ranked or runs if not pd.isna(run["num_parameters"])]
    return {
        "family": family,
        "setting": setting_text(runs[0]["changed"]),
        "mean": _mean(scores),
        "sd": _sd(scores),
        "n": len(ranked),
        "val_mean": _mean([run["val_score"] for run in ranked]),
        "failed": 0 if is_trial else len(runs) - len(completed),
        "num_parameters": sizes[0] if sizes else None,
        "seconds": _mean([run["seconds"] for run in ranked]),
        "determinism": min((run["determinism"] for run in ranked or runs), key=DETERMINISM.index),
        "config_id": config_id,
        "untested": len(runs if is_trial else completed) - len(ranked),
    }


def _mean(values: Sequence[float]) -> float:
    # Exact, then rounded once: the same score over one seed, three seeds or another order of seeds is a tie.
    return statistics.mean(values) if values else math.nan


def _sd(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _ranked(summaries: Sequence[dict[str, Any]], direction: str) -> pd.DataFrame:
    sign = -1.0 if direction == "maximize" else 1.0

    def order(row: dict[str, Any]) -> tuple[bool, float, str, str, str]:
        empty = row["n"] == 0
        return empty, 0.0 if empty else sign * row["mean"], row["family"], row["setting"], row["config_id"]

    ordered = sorted(summaries, key=order)
    table = pd.DataFrame(
        {
            name: pd.Series([row.get(name) for row in ordered], dtype=dtype)
            for name, dtype in LEADERBOARD_COLUMNS.items()
        }
    )
    table["rank"] = (sign * table["mean"]).rank(method="min").astype("Int64")
    return table
