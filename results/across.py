"""Methods across tasks: one row per method, with aggregates of its normalised scores and its mean rank."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from results.errors import LeaderboardError
from results.methods import Block, Method, block_of
from results.statistics import aggregates
from results.statistics.aggregates import improvement_interval
from results.statistics.intervals import LEVEL, UNKNOWN, Array, bootstrap_interval
from results.statistics.ranks import cliques, critical_difference_of, friedman, rank_blocks
from results.text import is_percent

AGGREGATE_COLUMNS: Final = {
    "rank": "Int64",
    "family": "str",
    "setting": "str",
    "iqm": "float64",
    "iqm_low": "float64",
    "iqm_high": "float64",
    "mean": "float64",
    "mean_low": "float64",
    "mean_high": "float64",
    "optimality_gap": "float64",
    "optimality_gap_low": "float64",
    "optimality_gap_high": "float64",
    "improvement": "float64",
    "improvement_low": "float64",
    "improvement_high": "float64",
    "mean_rank": "float64",
    "n": "int64",
    "failed": "int64",
}
"""The columns of an aggregate table and their types."""

RANK_COLUMNS: Final = {"family": "str", "setting": "str", "mean_rank": "float64"}

MIN_SCORES: Final = 10
"""With fewer scores per method the bootstrap holds the true value too rarely, and no interval is given: of normal
scores, 95 % intervals of the interquartile mean held it in 88 % of 1000 draws over 2 tasks with 3 seeds, and in 90 %
over 1 task with 5; in 95 % to 97 % over 4 tasks with 3 seeds, 2 with 5, and more."""
BOUNDS: Final = {"optimality_gap": (0.0, math.inf), "improvement": (0.0, 1.0)}
MAX_INTERVALS: Final = 50
"""So many methods, the best ones, get intervals: most of them take thousands of resamples."""


def aggregate(records: pd.DataFrame, tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Compare methods across tasks, on scores that are normalised: 0 is a task's floor and 1 its ceiling.

    A method is a family with its settings, or a family as a sweep tuned it, whatever the sweep chose for each task.
    Only methods with completed seeds on all of the tasks are compared.

    Args:
        records: What `results.records.load_records` returns.
        tasks: Labels of tasks; None takes the set of tasks that gives the most pairs of method and task.

    Returns:
        One row per method, the highest interquartile mean first.

        - ``iqm``, ``mean``, ``optimality_gap``: of the normalised scores, tasks and seeds pooled; ``improvement``: how
          often a seed of the method beats one of another method on the same task. Each with the ends of its interval
          at 95 %, from the studentised stratified bootstrap, and of ``improvement`` from Brunner and Munzel's formula;
          NaN with fewer than `MIN_SCORES` scores of the method, and without spread.
        - ``mean_rank``: over tasks, by the mean score.
        - ``n``: seeds per task that count. Where a method has more of them on one task than on another, the first
          ones do, so that every task counts alike.
        - ``failed``: runs of the method on these tasks that did not complete; they are in no aggregate.

        ``attrs`` holds view, tasks (label -> floor and ceiling), shared (label -> the settings that its methods have
        in common, and that name none of them), level, left_out (sentences on what is not in the table), num_blocks,
        friedman_p_value and critical_difference (None for fewer than two tasks or methods).

    Raises:
        LeaderboardError: There are no runs, an unknown task, no two tasks that share two methods, or a task without
            a known ceiling that was asked for.
    """
    bounds, without = _bounds(records, tasks)
    block = block_of(records, list(bounds), is_given=tasks is not None)
    scores = [_scores(method, block.tasks, bounds) for method in block.methods]
    values = [_values(index, scores, with_intervals=False) for index in range(len(scores))]
    order = sorted(range(len(scores)), key=lambda index: (-values[index]["iqm"], *_name(block.methods[index])))
    for index in order[:MAX_INTERVALS]:
        values[index] = _values(index, scores, with_intervals=True)
    ranking = _ranking(block)
    rows = []
    for index in order:
        method = block.methods[index]
        rows.append(
            {
                "family": method.family,
                "setting": method.setting,
                "mean_rank": ranking.means[index],
                "n": scores[index].shape[1],
                "failed": sum(method.on[task].num_failed for task in block.tasks),
                **values[index],
            }
        )
    table = pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=dtype) for name, dtype in AGGREGATE_COLUMNS.items()}
    )
    table["rank"] = (-table["iqm"]).rank(method="min").astype("Int64")
    left_out = [*without, *block.left_out]
    num_more = sum(len(method.on[task].scores) for method in block.methods for task in block.tasks)
    num_more -= sum(array.size for array in scores)
    if num_more:
        left_out.append(f"{num_more} runs beyond the seeds that a method has on all tasks.")
    if len(order) > MAX_INTERVALS:
        left_out.append(f"Intervals of all but the first {MAX_INTERVALS} methods.")
    attrs: dict[Any, Any] = {
        "view": "aggregate",
        "tasks": {task: list(bounds[task]) for task in block.tasks},
        "level": LEVEL,
        "shared": dict(block.shared),
        "left_out": left_out,
    }
    table.attrs = attrs | ranking.attrs()
    return table


def critical_difference(records: pd.DataFrame, tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Rank methods over tasks, or over the seeds of one task, and say which mean ranks Nemenyi's test tells apart.

    Args:
        records: What `results.records.load_records` returns.
        tasks: Labels of tasks; a single one is ranked over the seeds that its methods share. None takes the set of
            tasks that gives the most pairs of method and task.

    Returns:
        One row per method, the best mean rank first. ``attrs`` holds view, tasks, blocks (``tasks`` or ``seeds``),
        num_blocks, friedman_p_value, critical_difference, cliques (first and last position of each run of methods
        that are not told apart), shared and left_out.

    Raises:
        LeaderboardError: As for `aggregate`, save that no ceiling is needed; or fewer than two blocks.
    """
    block = block_of(records, sorted(set(records["task_label"])) if tasks is None else list(tasks), tasks is not None)
    ranking = _ranking(block)
    if ranking.difference is None:
        raise LeaderboardError(
            f"Ranks need at least two tasks, or one task with two seeds that all methods share, but {block.tasks[0]!r} "
            "has fewer. `boltbench run --seeds 0-4` makes more."
        )
    order = sorted(range(len(block.methods)), key=lambda index: (ranking.means[index], *_name(block.methods[index])))
    columns = {
        "family": [block.methods[index].family for index in order],
        "setting": [block.methods[index].setting for index in order],
        "mean_rank": [ranking.means[index] for index in order],
    }
    table = pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in RANK_COLUMNS.items()})
    attrs: dict[Any, Any] = {
        "view": "ranks",
        "tasks": list(block.tasks),
        "blocks": ranking.kind,
        "cliques": cliques(np.array(columns["mean_rank"]), ranking.difference),
        "shared": dict(block.shared),
        "left_out": block.left_out,
    }
    table.attrs = attrs | ranking.attrs()
    return table


def _bounds(records: pd.DataFrame, tasks: Sequence[str] | None) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Return (floor, ceiling) of each task, and what is left out for want of a ceiling."""
    bounds: dict[str, tuple[float, float]] = {}
    left_out = []
    wanted = sorted(set(records["task_label"])) if tasks is None else list(tasks)
    for task in wanted:
        rows = records[records["task_label"] == task]
        if rows.empty:
            bounds[task] = (0.0, 1.0)  # an unknown task, which `block_of` refuses with the names of the known ones
            continue
        metric, floor, ceiling = rows["metric"].iloc[0], float(rows["floor"].iloc[0]), float(rows["ceiling"].iloc[0])
        if math.isnan(ceiling) and is_percent(metric) and rows["direction"].iloc[0] == "maximize":
            ceiling = 1.0  # the best that a share can be
        if not math.isnan(ceiling) and ceiling != floor:
            bounds[task] = (floor, ceiling)
        elif tasks is None:
            left_out.append(f"{task}: its best possible {metric} is not known, so its scores cannot be normalised.")
        else:
            raise LeaderboardError(
                f"Scores are normalised between floor and ceiling, but the best possible {metric} of {task!r} is not "
                "known. Leave that task out."
            )
    return bounds, left_out


def _scores(method: Method, tasks: Sequence[str], bounds: Mapping[str, tuple[float, float]]) -> Array:
    """Return the normalised scores of a method as (tasks, seeds): of each task the first seeds, equally many."""
    count = min(len(method.on[task].scores) for task in tasks)
    rows = []
    for task in tasks:
        scores = method.on[task].scores
        first = np.array([scores[seed] for seed in sorted(scores)[:count]], dtype=np.float64)
        rows.append(aggregates.normalized(first, *bounds[task]))
    return np.stack(rows)


def _values(index: int, scores: Sequence[Array], *, with_intervals: bool) -> dict[str, float]:
    own, others = scores[index], [array for position, array in enumerate(scores) if position != index]
    statistics: dict[str, tuple[list[Array], Any]] = {
        "iqm": ([own], aggregates.interquartile_mean),
        "mean": ([own], aggregates.mean),
        "optimality_gap": ([own], aggregates.optimality_gap),
    }
    if others:
        statistics["improvement"] = ([own, *others], aggregates.probability_of_improvement)
    is_enough = with_intervals and own.size >= MIN_SCORES
    found: dict[str, float] = {}
    for name, (samples, statistic) in statistics.items():
        with np.errstate(invalid="ignore"):  # one seed has no variance
            found[name] = float(_value_of(statistic, samples))
        interval = UNKNOWN
        if is_enough:
            is_formula = name == "improvement"
            interval = improvement_interval(samples) if is_formula else bootstrap_interval(samples, statistic)
        low, high = BOUNDS.get(name, (-math.inf, math.inf))  # nothing lies outside, so as much is held as before
        found[f"{name}_low"], found[f"{name}_high"] = (float(end) for end in np.clip(interval, low, high))
    return found


def _value_of(statistic: Any, samples: Sequence[Array]) -> Any:
    # The statistics give a standard error too, which needs two seeds; a seed twice has the same value.
    doubled = [np.repeat(sample, 2, axis=1) if sample.shape[1] == 1 else sample for sample in samples]
    return statistic(doubled)[0]


@dataclasses.dataclass(frozen=True)
class _Ranking:
    kind: str
    means: list[float]
    num_blocks: int
    p_value: float | None
    difference: float | None

    def attrs(self) -> dict[str, Any]:
        return {
            "num_blocks": self.num_blocks,
            "friedman_p_value": self.p_value,
            "critical_difference": self.difference,
        }


def _ranking(block: Block) -> _Ranking:
    """Rank the methods of a block: within each task, or over the shared seeds where there is one task."""
    kind = "tasks" if len(block.tasks) > 1 else "seeds"
    if kind == "tasks":
        ranks = [
            rank_blocks(np.array([[method.on[task].mean for method in block.methods]]), block.directions[task])
            for task in block.tasks
        ]
    else:
        (task,) = block.tasks
        shared = sorted(set.intersection(*(set(method.on[task].scores) for method in block.methods)))
        by_seed = [[method.on[task].scores[seed] for method in block.methods] for seed in shared]
        ranks = [rank_blocks(np.array([row]), block.directions[task]) for row in by_seed]
    if not ranks:
        return _Ranking(kind, [math.nan] * len(block.methods), 0, None, None)
    matrix = np.concatenate(ranks)
    num_blocks, num_methods = matrix.shape
    difference = critical_difference_of(num_methods, num_blocks) if num_blocks > 1 and num_methods > 1 else None
    p_value = friedman(matrix).p_value
    means = [float(value) for value in matrix.mean(axis=0)]
    return _Ranking(kind, means, num_blocks, None if math.isnan(p_value) else p_value, difference)


def _name(method: Method) -> tuple[str, str]:
    return method.family, method.setting
