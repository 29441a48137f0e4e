"""Records of one task as a ranked table: one row per configuration, how sure its place is, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from results.configurations import COLUMNS, Configuration, configurations_of, sd_of
from results.errors import LeaderboardError, did_you_mean
from results.frontier import on_front
from results.statistics.comparisons import (
    ALPHA,
    holm,
    letters,
    minimum_detectable_difference,
    paired_p_values,
    pairwise_p_values,
)
from results.statistics.intervals import LEVEL, student_interval
from results.text import is_percent

LEADERBOARD_COLUMNS: Final = {
    "rank": "Int64",
    "family": "str",
    "setting": "str",
    "mean": "float64",
    "sd": "float64",
    "n": "int64",
    "low": "float64",
    "high": "float64",
    "group": "str",
    "p_best": "float64",
    "val_mean": "float64",
    "failed": "int64",
    "num_parameters": "Int64",
    "flops_per_example": "float64",
    "seconds": "float64",
    "peak_memory_mib": "float64",
    "energy_joules": "float64",
    "on_front": "bool",
    "tuning_role": "str",
    "tuning_trials": "Int64",
    "tuning_seconds": "float64",
    "tuning_device_seconds": "float64",
    "determinism": "str",
    "config_id": "str",
}
"""The columns of a leaderboard and their types."""

MAX_GROUPED: Final = 40
"""So many rows at most are all compared with each other; in longer tables each is compared with the best one only."""

_COMPARED: Final = ("metric", "direction", "floor", "ceiling", "data_sha256", "scorer_sha256")


def task_labels(records: pd.DataFrame) -> list[str]:
    """Return what there are leaderboards for: every task with its settings that are not the default, sorted."""
    return sorted(records["task_label"].unique())  # as a set it would be walked text by text


def leaderboard(records: pd.DataFrame, task: str) -> pd.DataFrame:
    """Rank the configurations of one task by the mean of their primary metric on test, over completed seeds.

    Args:
        records: What `results.records.load_records` returns, or any rows of it.
        task: A label as `task_labels` lists them.

    Returns:
        One row per (family, config_id), the best first. Equal means share a rank, and the next rank leaves room for
        them (1, 1, 3). Rows without a completed run come last, with no rank and no scores.

        - ``mean``, ``sd`` (ddof=1), ``n``: over the completed seeds; ``failed`` counts the runs that did not complete.
        - ``low``, ``high``: Student's interval for the mean at 95 %. NaN for one seed, as is ``sd``.
        - ``group``: rows that share a letter are not told apart by paired t-tests over shared seeds, at 5 % for the
          whole table after Holm's correction. Empty for one seed. In tables of more than `MAX_GROUPED` rows, ``a``
          marks the rows that are not told apart from the best one, and there are no other letters.
        - ``p_best``: the corrected p-value of that test against the first row; NaN for that row itself.
        - ``val_mean`` and the costs are means over the ranked runs, ``num_parameters`` is that of the first;
          ``on_front`` says that no row has both fewer parameters and a better mean; ``energy_joules`` is NaN
          where nothing measured it. ``tuning_*`` is the bill of the search behind the row, empty where there was none.
        - ``determinism`` is the weakest among the ranked runs (among all runs where none is ranked).

        Trials of a sweep are left out however they ended, and so is a configuration whose completed runs all lack a
        test score; ``attrs["num_untested"]`` counts all such runs. Runs of `boltbench variance` are left out too, and
        ``attrs["num_varied"]`` counts them. ``attrs`` also holds view, task, metric, direction, floor, ceiling,
        num_runs, num_failed, level, num_seeds and minimum_detectable: the difference that a single paired test over
        that many seeds finds in four of five cases, given the mean spread of the rows (None where there is one seed).

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
    needed = [*COLUMNS, *_COMPARED, "task_settings"]  # the others hold most of the letters, and would be copied too
    rows = records.loc[records["task_label"] == task, needed].reset_index(drop=True)
    check_comparable(rows, task)
    direction = str(rows["direction"].iloc[0])
    ceiling = float(rows["ceiling"].iloc[0])
    is_varied = rows["purpose"] == "variance"
    configurations = configurations_of(rows[~is_varied])
    shown = [row for row in configurations if row.scores or row.num_failed]
    table = _ranked(shown, direction, str(rows["metric"].iloc[0]))
    num_seeds, detectable = _detectable(shown)
    table.attrs = {
        "view": "task",
        "task": task,
        "metric": str(rows["metric"].iloc[0]),
        "direction": direction,
        "floor": float(rows["floor"].iloc[0]),
        "ceiling": None if math.isnan(ceiling) else ceiling,
        "num_runs": int((~is_varied).sum()),
        "num_failed": sum(row.num_failed for row in configurations),
        "num_untested": sum(row.num_untested for row in configurations),
        "num_varied": int(is_varied.sum()),
        "level": LEVEL,
        "num_seeds": num_seeds,
        "minimum_detectable": detectable,
    }
    return table


def check_comparable(rows: pd.DataFrame, task: str) -> None:
    """Raise `LeaderboardError` when rows of one label differ in what they measure."""
    names = list(rows["run_id"])
    for column in _COMPARED:
        values = rows[column].drop_duplicates()
        if column == "scorer_sha256":
            values = values.dropna()  # runs that never began, or that are older than judges, have none
        if len(values) > 1:
            first, second = (
                f"{names[int(index)]} has {'none' if pd.isna(value) else value}"
                for index, value in zip(values.index[:2], values[:2], strict=True)
            )
            raise LeaderboardError(
                f"All runs of task {task!r} must have one {column}, but {first} and {second}. "
                "Keep them in separate folders of runs."
            )
    settings = rows["task_settings"].drop_duplicates()
    if len(settings) > 1:
        first, second = settings.index[:2]
        raise LeaderboardError(
            f"All runs of task {task!r} must share its settings, but {names[first]} has {settings[first]} "
            f"and {names[second]} has {settings[second]}. Keep them in separate folders of runs."
        )


def _ranked(configurations: Sequence[Configuration], direction: str, metric: str) -> pd.DataFrame:
    sign = -1.0 if direction == "maximize" else 1.0

    def order(row: Configuration) -> tuple[bool, float, str, str, str]:
        mean = row.mean
        return not row.scores, 0.0 if math.isnan(mean) else sign * mean, row.family, row.setting, row.config_id

    ordered = sorted(configurations, key=order)
    groups, p_values = _groups(ordered)
    cells = [_summary(row, metric) for row in ordered]
    for summary, group, p_value in zip(cells, groups, p_values, strict=True):
        summary |= {"group": group, "p_best": p_value, "on_front": False}
    table = pd.DataFrame(
        {
            name: pd.Series([summary.get(name) for summary in cells], dtype=dtype)
            for name, dtype in LEADERBOARD_COLUMNS.items()
        }
    )
    table["rank"] = (sign * table["mean"]).rank(method="min").astype("Int64")
    table["on_front"] = on_front(table["num_parameters"], table["mean"], direction)
    return table


def _summary(row: Configuration, metric: str) -> dict[str, Any]:
    scores = list(row.scores.values())
    low, high = student_interval(scores)
    if is_percent(metric) and not math.isnan(low):
        low, high = max(low, 0.0), min(high, 1.0)  # no share lies outside, and the interval holds as much as before
    summary = {
        "family": row.family,
        "setting": row.setting,
        "mean": row.mean,
        "sd": sd_of(scores),
        "n": len(scores),
        "low": low,
        "high": high,
        "val_mean": row.mean_of("val_score"),
        "failed": row.num_failed,
        "determinism": row.determinism,
        "config_id": row.config_id,
    }
    for name in ("num_parameters", "tuning_role", "tuning_trials", "tuning_seconds", "tuning_device_seconds"):
        summary[name] = row.first_of(name)
    for name in ("flops_per_example", "seconds", "peak_memory_mib", "energy_joules"):
        summary[name] = row.mean_of(name)
    return summary


def _groups(ordered: Sequence[Configuration]) -> tuple[list[str], list[float]]:
    """Return the letters of each row, and its corrected p-value against the first one."""
    several = [index for index, row in enumerate(ordered) if len(row.scores) >= 2]
    texts, p_values = [""] * len(ordered), [math.nan] * len(ordered)
    has_best = several[:1] == [0]  # nothing can be told from a best row of one seed
    if len(several) < 2 or (len(several) > MAX_GROUPED and not has_best):
        return texts, p_values
    scores = [ordered[index].scores for index in several]
    if len(several) <= MAX_GROUPED:
        found = pairwise_p_values(scores)
        against_first = [found.get((0, index), math.nan) for index in range(len(several))]
        marks = letters(len(several), [pair for pair, p in found.items() if p < ALPHA])
    else:
        tested = holm(paired_p_values([(scores[0], other) for other in scores[1:]]))
        against_first = [math.nan, *tested]
        marks = ["a" if math.isnan(p) or p >= ALPHA else "" for p in against_first]
    for index, mark, p in zip(several, marks, against_first, strict=True):
        texts[index] = mark
        p_values[index] = p if has_best else math.nan
    return texts, p_values


def _detectable(configurations: Sequence[Configuration]) -> tuple[int | None, float | None]:
    """Return the least number of seeds above one, and the difference that a test over so many can be hoped to find."""
    spreads = [(len(row.scores), sd_of(list(row.scores.values()))) for row in configurations if len(row.scores) >= 2]
    if not spreads:
        return None, None
    num_seeds = min(count for count, _ in spreads)
    spread = math.sqrt(math.fsum(sd**2 for _, sd in spreads) / len(spreads))
    return num_seeds, minimum_detectable_difference(math.sqrt(2) * spread, num_seeds)
