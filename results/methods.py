"""Methods that can be compared across tasks: which there are, and on which tasks all of them have scores."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from results.configurations import Configuration, configurations_of
from results.errors import LeaderboardError, did_you_mean
from results.leaderboard import check_comparable
from results.text import is_condition, setting_text

TUNED: Final = "tuned"
"""The setting of what a sweep chose, which differs from task to task."""


@dataclasses.dataclass(frozen=True)
class Method:
    """A family with its settings, or as a sweep tuned it, and its configuration on each task."""

    family: str
    setting: str
    on: Mapping[str, Configuration]


@dataclasses.dataclass(frozen=True)
class Block:
    """Methods that all have scores on all of the tasks."""

    tasks: list[str]
    methods: list[Method]
    directions: Mapping[str, str]
    shared: Mapping[str, str]
    """Task -> the settings that its methods have in common, such as its budget, and that name none of them."""
    left_out: list[str]
    """Sentences on the methods and tasks that are not part of it."""


def block_of(records: pd.DataFrame, tasks: Sequence[str], is_given: bool) -> Block:
    """Return the methods that have scores on all of the tasks.

    Args:
        records: What `results.records.load_records` returns.
        tasks: Labels of tasks.
        is_given: Whether all of the tasks must be compared; otherwise those are that give the most pairs of method
            and task, at least two of them.

    Raises:
        LeaderboardError: There are no runs, an unknown task, or not two methods that can be compared.
    """
    if records.empty:
        raise LeaderboardError(
            "A comparison needs finished runs, but there are none. `boltbench run --plan quick` makes some."
        )
    known = set(records["task_label"])
    for task in tasks:
        if task not in known:
            raise LeaderboardError(
                f"No finished run of task {task!r}.{did_you_mean(task, known)} Tasks with runs: "
                f"{', '.join(sorted(known))}."
            )
    left_out: list[str] = []
    methods, shared = _methods(records, list(dict.fromkeys(tasks)), left_out)
    chosen = list(dict.fromkeys(tasks)) if is_given else _largest(methods)
    inside = [method for method in methods if set(chosen) <= set(method.on)]
    if len(inside) < 2 or not chosen:
        what = f"on all of {', '.join(chosen)}" if is_given else "on two tasks"
        raise LeaderboardError(
            f"A comparison needs at least two methods with completed runs {what}, but there "
            f"{'is one' if len(inside) == 1 else 'are none'}. `boltbench leaderboard` shows each task by itself."
        )
    others = [task for task in tasks if task not in chosen]
    if others:
        left_out.append(f"Tasks that fewer methods have in common: {', '.join(sorted(others))}.")
    missing = [f"{method.family} ({method.setting})" for method in methods if method not in inside]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        left_out.append(f"Methods without a completed run on every task: {shown}.")
    directions = {task: str(records.loc[records["task_label"] == task, "direction"].iloc[0]) for task in sorted(chosen)}
    return Block(sorted(chosen), inside, directions, {task: shared[task] for task in sorted(chosen)}, left_out)


def _methods(records: pd.DataFrame, tasks: Sequence[str], left_out: list[str]) -> tuple[list[Method], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, Configuration]] = {}
    shared: dict[str, str] = {}
    for task in tasks:
        rows = records[records["task_label"] == task].reset_index(drop=True)
        check_comparable(rows, task)
        sign = 1.0 if rows["direction"].iloc[0] == "maximize" else -1.0
        ranked: dict[tuple[str, str], list[Configuration]] = {}
        known = [item for item in configurations_of(rows[rows["purpose"] == "benchmark"]) if item.scores]
        common = _common([(item.family, _changed(item)) for item in known if not _is_tuned(item)])
        shared[task] = setting_text(common)
        for configuration in known:
            setting = TUNED if _is_tuned(configuration) else _own_setting(_changed(configuration), common)
            ranked.setdefault((configuration.family, setting), []).append(configuration)
        for name, several in ranked.items():
            if len(several) > 1:  # of two searches, say; test decides nothing, so val does
                left_out.append(
                    f"{task}: {name[0]} ({name[1]}) has {len(several)} configurations; the one that is best on val "
                    "counts."
                )
            found.setdefault(name, {})[task] = min(several, key=lambda item: (_loss(item, sign), item.config_id))
    return [Method(*name, found[name]) for name in sorted(found)], shared


def _is_tuned(configuration: Configuration) -> bool:
    return bool(configuration.first_of("tuning_role") == "winner")


def _changed(configuration: Configuration) -> dict[str, Any]:
    changed = json.loads(configuration.first_of("changed"))
    return {key: value for key, value in changed.items() if not is_condition(key)}


def _common(settings: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the settings that every family was run under, such as the budget that a plan sets for the task.

    A run beside the plan takes nothing away from them. What every family was run with and without is none of them.
    """
    families = {family for family, _ in settings}
    common = {}
    for key in sorted({key for _, changed in settings for key in changed}):
        held: dict[object, set[str]] = {}
        for index, (family, changed) in enumerate(settings):
            # With one family there is no other to tell what is common: then all of its configurations must have it.
            holder = family if len(families) > 1 else index
            held.setdefault(holder, set()).add(json.dumps(changed[key]) if key in changed else "")
        values = set.intersection(*held.values())
        if len(values) == 1 and values != {""}:
            common[key] = json.loads(values.pop())
    return common


def _own_setting(changed: Mapping[str, Any], common: Mapping[str, Any]) -> str:
    own = {key: value for key, value in changed.items() if key not in common or common[key] != value}
    missing = [f"{key} as by default" for key in sorted(common) if key not in changed]
    texts = [setting_text(own)] if own or not missing else []
    return ", ".join([*texts, *missing])


def _loss(configuration: Configuration, sign: float) -> float:
    val = configuration.mean_of("val_score")
    return math.inf if math.isnan(val) else -sign * val


def _largest(methods: Sequence[Method]) -> list[str]:
    """Return the set of two tasks or more that gives the most pairs of method and task; more tasks where equal."""
    candidates = {frozenset(method.on) for method in methods}
    candidates |= {one & other for one in candidates for other in candidates}
    best: tuple[int, int, list[str]] = (0, 0, [])
    for tasks in sorted(candidates, key=sorted):
        count = sum(tasks <= set(method.on) for method in methods)
        if len(tasks) >= 2 and count >= 2 and (count * len(tasks), len(tasks)) > best[:2]:
            best = (count * len(tasks), len(tasks), sorted(tasks))
    return best[2]
