"""Trials of sweeps: what a search of k trials would have found, and what tuning gained over the defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from results.configurations import mean_of, sd_of
from results.errors import LeaderboardError, RecordError
from results.files import decode, read_bytes
from results.schema import DIRECTIONS, MISSING, WAY_OUT, broken
from results.statistics.comparisons import paired_p_values
from results.statistics.expected_best import expected_best
from results.statistics.intervals import student_interval
from results.text import task_label
from results.tracking import is_tracking_uri

TRIAL_COLUMNS: Final = {
    "study": "str",
    "task_label": "str",
    "family": "str",
    "metric": "str",
    "direction": "str",
    "sampler": "str",
    "number": "int64",
    "status": "str",
    "value": "float64",
    "seconds": "float64",
}
"""The columns of a trials frame and their types."""

BEST_OF: Final = (1, 5, 20)
"""The numbers of trials at which searches are compared."""


def load_trials(sources: Path | str | Sequence[Path | str]) -> pd.DataFrame:
    """Read every trial of every study under the roots, ordered by study and number; MLflow holds none of them.

    ``value`` is the trial's score on val. A pruned trial has the best of its intermediate scores, for its weights of
    that moment were there to be taken; it is NaN where a trial never came to a score.

    Raises:
        RecordError: A file of a study is not what it must be.
    """
    places = [sources] if isinstance(sources, Path | str) else list(sources)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for place in places:
        if is_tracking_uri(place):
            continue
        for folder in sorted((Path(place) / "studies").glob("*/study.yaml")):
            study = _read_study(folder)
            for path in sorted((folder.parent / "trials").glob("*.json")):
                row = _trial(path, study)
                rows[row["study"], row["number"]] = row
    ordered = [rows[key] for key in sorted(rows)]
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in ordered], dtype=dtype) for name, dtype in TRIAL_COLUMNS.items()}
    )


def best_of_k(trials: pd.DataFrame, ks: Sequence[int] = BEST_OF) -> pd.DataFrame:
    """Compare families at equal numbers of trials: the expected best val score of k trials, for each study.

    A trial that never came to a score counts as the worst of its study: it cost a place and brought nothing.

    Returns:
        One row per study, by task and the last k at which all of a task's studies have a value. For each k the columns
        ``best_of_K`` and ``rank_at_K`` (among the task's studies; NA where a study has fewer trials), then
        ``num_trials``, ``num_without_score``, ``seconds`` and ``sampler``. ``attrs`` holds view and ks.
    """
    rows: list[dict[str, Any]] = []
    for study, group in trials[trials["status"] != "running"].groupby("study", sort=True):
        first = group.iloc[0]
        values = _with_worst(group["value"].tolist(), first["direction"])
        row = {name: first[name] for name in ("task_label", "family", "metric", "direction", "sampler")}
        row |= {"study": study, "num_trials": len(group), "num_without_score": int(group["value"].isna().sum())}
        row["seconds"] = math.fsum(group["seconds"].dropna())
        rows.append(row | {f"best_of_{k}": expected_best(values, k, first["direction"]) for k in ks})
    dtypes = {"task_label": "str", "family": "str", "study": "str", "metric": "str", "direction": "str"}
    dtypes |= {f"best_of_{k}": "float64" for k in ks} | {"num_trials": "int64", "num_without_score": "int64"}
    dtypes |= {"seconds": "float64", "sampler": "str"}
    table = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtypes[name]) for name in dtypes})
    for k in ks:
        losses = table[f"best_of_{k}"].where(table["direction"] == "minimize", -table[f"best_of_{k}"])
        position = table.columns.get_loc(f"best_of_{k}")
        assert isinstance(position, int)
        table.insert(
            position + 1, f"rank_at_{k}", losses.groupby(table["task_label"]).rank(method="min").astype("Int64")
        )
    ranks = [f"rank_at_{k}" for k in reversed(list(ks))]
    table = table.sort_values(["task_label", *ranks, "family", "study"], na_position="last", ignore_index=True)
    table.attrs = {"view": "budget", "ks": list(ks)}
    return table


def default_against_tuned(records: pd.DataFrame) -> pd.DataFrame:
    """Compare, for each study, the winner with the defaults on the fresh seeds that both were run on.

    Returns:
        One row per study with both roles: ``default_mean``, ``default_sd``, ``tuned_mean``, ``tuned_sd``, ``gain``
        (tuned over default on shared seeds, positive where tuning helped), the ends ``gain_low`` and ``gain_high`` of
        its Student interval at 95 %, ``p_value`` of the paired t-test, ``n`` shared seeds, and the bill. ``attrs``
        holds view.
    """
    rows: list[dict[str, Any]] = []
    tuned = records[records["tuning_role"].notna() & records["test_score"].notna()]
    tuned = tuned[tuned["status"] == "completed"]
    for (task, family, study), group in tuned.groupby(["task_label", "family", "study"], sort=True):
        scores: dict[str, dict[int, float]] = {
            str(role): dict(zip(of["seed"].tolist(), of["test_score"].tolist(), strict=True))
            for role, of in group.groupby("tuning_role", sort=True)
        }
        if {"winner", "default"} <= scores.keys():
            rows.append({"task_label": task, "family": family, "study": study} | _gain(scores, group))
    table = pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=dtype) for name, dtype in GAIN_COLUMNS.items()}
    )
    table.attrs = {"view": "tuning"}
    return table


GAIN_COLUMNS: Final = {
    "task_label": "str",
    "family": "str",
    "study": "str",
    "metric": "str",
    "direction": "str",
    "default_mean": "float64",
    "default_sd": "float64",
    "tuned_mean": "float64",
    "tuned_sd": "float64",
    "gain": "float64",
    "gain_low": "float64",
    "gain_high": "float64",
    "p_value": "float64",
    "n": "int64",
    "tuning_trials": "Int64",
    "tuning_seconds": "float64",
    "tuning_device_seconds": "float64",
}
"""The columns of `default_against_tuned` and their types."""


def _gain(scores: Mapping[str, Mapping[int, float]], group: pd.DataFrame) -> dict[str, Any]:
    default, winner = scores["default"], scores["winner"]
    direction = group["direction"].iloc[0]
    sign = 1.0 if direction == "maximize" else -1.0
    shared = sorted(default.keys() & winner.keys())
    gains = [sign * (winner[seed] - default[seed]) for seed in shared]
    interval = student_interval(gains)
    bill = group[group["tuning_role"] == "winner"].iloc[0]
    return {
        "metric": group["metric"].iloc[0],
        "direction": direction,
        "default_mean": mean_of(list(default.values())),
        "default_sd": sd_of(list(default.values())),
        "tuned_mean": mean_of(list(winner.values())),
        "tuned_sd": sd_of(list(winner.values())),
        "gain": mean_of(gains),
        "gain_low": interval.low,
        "gain_high": interval.high,
        "p_value": paired_p_values([(winner, default)])[0],
        "n": len(shared),
        **{name: bill[name] for name in ("tuning_trials", "tuning_seconds", "tuning_device_seconds")},
    }


def _with_worst(values: Sequence[float], direction: str) -> list[float]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return []
    worst = min(known) if direction == "maximize" else max(known)
    return [worst if math.isnan(value) else value for value in values]


def _read_study(path: Path) -> dict[str, Any]:
    content = read_bytes(path)
    try:
        study = yaml.safe_load(content or b"")
    except yaml.YAMLError as error:
        raise RecordError(f"{path} must be YAML, but it is not: {error}. {WAY_OUT}") from error
    if not isinstance(study, dict):
        raise RecordError(f"{path} must be a mapping, but it is a {type(study).__name__}. {WAY_OUT}")
    for key in ("study", "metric"):
        if not isinstance(study.get(key), str):
            raise broken(path.parent, key, "text", study.get(key, MISSING), file=path.name)
    if study.get("direction") not in DIRECTIONS:
        law = f"one of {', '.join(DIRECTIONS)}"
        raise broken(path.parent, "direction", law, study.get("direction", MISSING), file=path.name)
    return study


def _name_of(value: object) -> str:
    """Return a name that is given as text, or as a mapping with a name and settings."""
    return str(value.get("name", "")) if isinstance(value, Mapping) else str(value)


def _trial(path: Path, study: Mapping[str, Any]) -> dict[str, Any]:
    trial = decode(read_bytes(path) or b"", str(path))
    if type(trial.get("number")) is not int:
        raise broken(path.parent, "number", "an integer", trial.get("number", MISSING), file=path.name)
    if not isinstance(trial.get("status"), str):
        raise broken(path.parent, "status", "text", trial.get("status", MISSING), file=path.name)
    seconds = trial.get("seconds")
    return {
        "study": study["study"],
        "task_label": _task_label(study.get("task")),
        "family": _name_of(study.get("family")),
        "metric": study["metric"],
        "direction": study["direction"],
        "sampler": _name_of(study.get("sampler")),
        "number": trial["number"],
        "status": trial["status"],
        "value": _value(trial, study["direction"], path),
        "seconds": math.nan if seconds is None else float(seconds),
    }


def _task_label(task: object) -> str:
    if not isinstance(task, Mapping):
        return str(task)
    return task_label(_name_of(task), {f"task.{key}": value for key, value in task.items() if key != "name"})


def _value(trial: Mapping[str, Any], direction: str, path: Path) -> float:
    values = trial.get("values")
    scores = values[:1] if isinstance(values, list) else []
    if not scores and trial["status"] == "pruned":
        scores = [pair[1] for pair in trial.get("intermediate") or [] if isinstance(pair, list) and len(pair) == 2]
    for score in scores:
        if type(score) not in (int, float) or not math.isfinite(score):
            raise broken(path.parent, "values", "finite numbers", json.dumps(score), file=path.name)
    best = max if direction == "maximize" else min
    return float(best(scores)) if scores else math.nan


def require_rows(rows: pd.DataFrame, tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the trials, or the records of runs that a sweep left behind, of the tasks (None: of all).

    Raises:
        LeaderboardError: There are none.
    """
    found = rows if tasks is None else rows[rows["task_label"].isin(tasks)]
    if "study" in found and found["study"].notna().any():
        return found
    where = "" if tasks is None else f" of {', '.join(tasks)}"
    raise LeaderboardError(
        f"Searches are compared by what `boltbench sweep` left behind, but there is no search{where} here."
    )
