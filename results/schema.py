"""The columns of a record: where each lies in its files, what it may hold, and how that is checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from results.errors import RecordError

SCHEMA: Final = 1
"""The version of result.json that this package reads."""

STATUSES: Final = (
    "completed",
    "pruned",
    "diverged",
    "failed",
    "out-of-memory",
    "timed-out",
    "interrupted",
    "lost",
)
DIRECTIONS: Final = ("maximize", "minimize")
DETERMINISM: Final = ("seeded", "deterministic", "verified")
"""Levels of determinism, the weakest first; ``verified`` is earned by a replay and never written by a run."""

WAY_OUT: Final = "Run `boltbench doctor` to examine the run folders."

_NUMBER = (int, float)
MISSING: Final = object()
"""Stands for a field that is not there, which is not the same as null."""

_WORDS: Final = {str: "text", int: "an integer", float: "a finite number", dict: "a mapping", type(None): "null"}


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the records frame.

    ``section`` is the mapping of result.json that holds it, or empty for the top level. ``nullable`` allows null
    for every run, ``may_lack`` allows that the field is not there: it came later than the first runs. A run that did
    not complete may lack its sections altogether, and its times and environment.
    """

    name: str
    types: tuple[type, ...]
    dtype: str
    section: str = ""
    key: str = ""
    nullable: bool = False
    optional_unless_completed: bool = False
    choices: tuple[str, ...] = ()
    may_lack: bool = False

    @property
    def field(self) -> str:
        """The field as an error message names it, such as ``cost.seconds``."""
        return f"{self.section}.{self.key or self.name}" if self.section else self.key or self.name

    def law(self) -> str:
        """Return what the field must be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = _WORDS[float] if float in self.types else _WORDS[self.types[0]]
        return f"{kind} or null" if self.nullable else kind


def _in(
    section: str,
    name: str,
    types: tuple[type, ...],
    dtype: str,
    key: str = "",
    nullable: bool = False,
    may_lack: bool = False,
) -> Column:
    return Column(name, types, dtype, section, key, nullable, optional_unless_completed=True, may_lack=may_lack)


COLUMNS: Final = (
    Column("run_id", (str,), "str"),
    Column("protocol", (int,), "int64"),
    Column("status", (str,), "str", choices=STATUSES),
    Column("message", (str,), "str"),
    Column("task", (str,), "str"),
    Column("kind", (str,), "str"),
    Column("family", (str,), "str"),
    Column("seed", (int,), "int64"),
    Column("config_id", (str,), "str"),
    Column("spec", (dict,), "str"),
    Column("changed", (dict,), "str"),
    Column("metric", (str,), "str"),
    Column("direction", (str,), "str", choices=DIRECTIONS),
    Column("floor", _NUMBER, "float64"),
    Column("ceiling", _NUMBER, "float64", nullable=True),
    _in("selection", "selection_rule", (str,), "str", "rule"),
    _in("selection", "selected_step", (int,), "Int64", "step"),
    _in("selection", "selected_epoch", _NUMBER, "float64", "epoch"),
    _in("cost", "seconds", _NUMBER, "float64"),
    _in("cost", "steps", (int,), "Int64"),
    _in("cost", "epochs", _NUMBER, "float64"),
    _in("cost", "num_parameters", (int,), "Int64"),
    _in("cost", "flops_per_step", _NUMBER, "float64", nullable=True),
    _in("cost", "flops_per_example", _NUMBER, "float64", nullable=True, may_lack=True),
    _in("cost", "peak_memory_mib", _NUMBER, "float64", nullable=True),
    _in("cost", "energy_joules", _NUMBER, "float64", nullable=True, may_lack=True),
    _in("cost", "device", (str,), "str"),
    Column("determinism", (str,), "str", choices=DETERMINISM[:2]),
    _in("digests", "weights_digest", (str,), "str", "weights"),
    _in("digests", "metrics_digest", (str,), "str", "metrics", nullable=True),
    _in("digests", "predictions_digest", (str,), "str", "predictions", nullable=True),
    Column("data_sha256", (str,), "str"),
    Column("scorer_sha256", (str,), "str", nullable=True, may_lack=True),
    Column("environment_id", (str,), "str", optional_unless_completed=True),
    Column("started_at", (str,), "datetime64[us, UTC]", optional_unless_completed=True),
    Column("finished_at", (str,), "datetime64[us, UTC]", optional_unless_completed=True),
)
"""Every column that is read from result.json; `results.records.load_records` documents those that it derives."""

TUNING_ROLES: Final = ("winner", "default")
TUNING_COLUMNS: Final = (
    Column("study", (str,), "str"),
    Column("tuning_role", (str,), "str", key="role", choices=TUNING_ROLES),
    Column("tuning_trials", (int,), "Int64", key="num_trials"),
    Column("tuning_seconds", _NUMBER, "float64", key="seconds"),
    Column("tuning_device_seconds", _NUMBER, "float64", key="device_seconds"),
)
"""What tuning.json says of the search behind a run; empty where there is no such file."""

SCORES: Final = "scores"
SECTIONS: Final = (SCORES, "selection", "cost", "digests", "files")

TASK_SETTINGS: Final = "task_settings"
IS_TRIAL: Final = "_is_trial"
DIGEST: Final = "_sha256"
"""What is read beside `COLUMNS`: the settings of a run's task, whether it is a trial, the sha256 of its result.json."""


def section_of(
    name: str, records: Sequence[dict[str, Any]], folders: Sequence[str], done: Sequence[bool]
) -> list[dict[str, Any]]:
    """Return one section of every record; empty where a run that did not complete has none.

    Raises:
        RecordError: A completed run lacks the section, or it is no mapping.
    """
    found = []
    for record, folder, completed in zip(records, folders, done, strict=True):
        section = record.get(name)
        if section is None and not completed:
            section = {}
        elif not isinstance(section, dict):
            raise broken(folder, name, _WORDS[dict], record.get(name, MISSING))
        found.append(section)
    return found


def values_of(
    column: Column,
    sources: Sequence[dict[str, Any]],
    folders: Sequence[str],
    done: Sequence[bool],
    *,
    file: str = "result.json",
) -> list[Any]:
    """Return a checked column; ``sources`` are the records or their section, ``done`` says which runs completed.

    ``file`` names the file in errors.

    Raises:
        RecordError: A value is missing, has another type, is not finite or is none of the choices.
    """
    key = column.key or column.name
    values = [source.get(key, MISSING) for source in sources]
    # Types are looked at once per column, not once per value: 10,000 runs have 300,000 values.
    if not {type(value) for value in values} <= set(column.types):
        for index, value in enumerate(values):
            if type(value) in column.types:
                continue
            absent = value is None or (value is MISSING and bool(column.section or column.optional_unless_completed))
            allowed = (column.nullable and value is None) or (
                column.optional_unless_completed and not done[index] and absent
            )
            allowed = allowed or (column.may_lack and value is MISSING)
            if not allowed:
                raise broken(folders[index], column.field, column.law(), value, file=file)
            values[index] = None
    law = is_finite if int in column.types else (lambda value: value in column.choices) if column.choices else None
    if law is not None:
        for index, value in enumerate(values):
            if not law(value):
                raise broken(folders[index], column.field, column.law(), value, file=file)
    return values


def is_score_name(name: str) -> bool:
    """Return whether a score is named split/metric."""
    return "/" in name and "\n" not in name


def is_finite(value: float | None) -> bool:
    """Return whether a JSON number fits a column: finite, and within 64 bits where it is an integer."""
    return value is None or (-(2**63) <= value < 2**63 if type(value) is int else math.isfinite(value))


def broken(folder: Path | str, field: str, law: str, value: object, *, file: str = "result.json") -> RecordError:
    """Build the error for one field of one file."""
    got = "it is missing" if value is MISSING else f"it is {value!r}"
    return RecordError(f"`{field}` in {folder}/{file} must be {law}, but {got}. {WAY_OUT}")
