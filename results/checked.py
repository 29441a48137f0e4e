"""Records checked field by field: all that a record may be is read, and what it must not be is told in an error."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from results.errors import RecordError
from results.files import Files, decode_result
from results.schema import (
    COLUMNS,
    DIGEST,
    IS_TRIAL,
    MISSING,
    SCORES,
    SECTIONS,
    TASK_SETTINGS,
    WAY_OUT,
    broken,
    is_finite,
    is_score_name,
    section_of,
    values_of,
)
from results.text import compact_text

# What names and orders a row must be sound before anything else is looked at.
_KEYS: Final = (
    ("task", str, "text"),
    ("family", str, "text"),
    ("config_id", str, "text"),
    ("seed", int, "an integer"),
    ("run_id", str, "text"),
)


def checked_columns(runs: Sequence[Files]) -> dict[str, list[Any]]:
    """Return the values of the records by column: `results.schema.COLUMNS` as they stand, and what follows from them.

    Mappings are text, and ``scores`` stay as they are. The task's settings, whether a run is a trial and the sha256 of
    its result are `TASK_SETTINGS`, `IS_TRIAL` and `DIGEST`.

    Raises:
        RecordError: A file is not what it must be, or a run is not named as its place is.
    """
    places = [files.place for files in runs]
    records = [decode_result(files.result, f"{files.place}/result.json") for files in runs]
    for record, files in zip(records, runs, strict=True):
        _check_name(record, files)
    done = [record.get("status") == "completed" for record in records]
    sections = {name: section_of(name, records, places, done) for name in SECTIONS}
    columns: dict[str, list[Any]] = {}
    for column in COLUMNS:
        values = values_of(column, sections[column.section] if column.section else records, places, done)
        columns[column.name] = [compact_text(value) for value in values] if dict in column.types else values
    for scores, place in zip(sections[SCORES], places, strict=True):
        _check_scores(scores, place)
    specs = [record["spec"] for record in records]
    return columns | {
        SCORES: sections[SCORES],
        TASK_SETTINGS: [_task_settings(spec, place) for spec, place in zip(specs, places, strict=True)],
        IS_TRIAL: [_is_trial(spec, place) for spec, place in zip(specs, places, strict=True)],
        DIGEST: [hashlib.sha256(files.result).hexdigest() for files in runs],
    }


def _check_name(record: dict[str, Any], files: Files) -> None:
    for key, kind, law in _KEYS:
        if type(record.get(key)) is not kind:
            raise broken(files.place, key, law, record.get(key, MISSING))
    if record["run_id"] != files.name:
        raise broken(files.place, "run_id", f"the name of its folder, {files.name!r}", record["run_id"])


def _check_scores(scores: dict[str, Any], place: str) -> None:
    for name, score in scores.items():
        if not is_score_name(name):
            raise RecordError(
                f"A score's name must be split/metric, but `scores` in {place}/result.json holds {name!r}. {WAY_OUT}"
            )
        if score is not None and not (type(score) in (int, float) and is_finite(score)):
            raise broken(place, f"scores.{name}", "a finite number or null", score)


def _task_settings(spec: dict[str, Any], place: str) -> str:
    task = spec.get("task", MISSING)
    if not isinstance(task, dict):
        raise broken(place, "spec.task", "a mapping", task)
    return compact_text(task, in_order=True)


def _is_trial(spec: dict[str, Any], place: str) -> bool:
    evaluation = spec.get("evaluation") or {}
    if not isinstance(evaluation, dict):
        raise broken(place, "spec.evaluation", "a mapping", evaluation)
    return evaluation.get("test") is False
