"""Records, as files or MLflow hold them, as a typed frame: every field checked, one row per run."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
import pandas as pd

from results.errors import RecordError
from results.files import Files, decode, decode_result
from results.schema import COLUMNS, MISSING, SECTIONS, TUNING_COLUMNS, WAY_OUT, broken, is_finite, section_of, values_of
from results.text import setting_text, task_label

# What names and orders a row must be sound before anything else is looked at.
_KEYS: Final = (
    ("task", str, "text"),
    ("family", str, "text"),
    ("config_id", str, "text"),
    ("seed", int, "an integer"),
    ("run_id", str, "text"),
)
ORDER: Final = [key for key, _, _ in _KEYS]
"""What the rows of a frame are ordered by."""
SCORE_NAMES: Final = "_score_names"
DIGEST: Final = "_sha256"
EXTRAS: Final = "_extras"
PLACE: Final = "_place"
HIDDEN: Final = (SCORE_NAMES, DIGEST, EXTRAS, PLACE)
"""Columns that merging needs, and that no user sees: the scores that the record names, the sha256 of its result, that
of the files beside it, and where it lies."""


def frame_of(runs: Sequence[Files]) -> pd.DataFrame:
    """Return one row for each run, in order, with the columns of `results.records.load_records` and `HIDDEN`.

    Raises:
        RecordError: A file is not what it must be, or a run is not named as its place is.
    """
    with _no_collection():
        records = [decode_result(files.result, f"{files.place}/result.json") for files in runs]
        pairs = sorted(zip(records, runs, strict=True), key=lambda pair: _order(*pair))
        records, runs = [record for record, _ in pairs], [files for _, files in pairs]
        places = [files.place for files in runs]
        done = [record.get("status") == "completed" for record in records]
        sections = {name: section_of(name, records, places, done) for name in SECTIONS}
        columns: dict[str, pd.Series[Any]] = {}
        for column in COLUMNS:
            values = values_of(column, sections[column.section] if column.section else records, places, done)
            if column.name == "determinism":
                values = _with_replays(values, sections["digests"], runs)
            if column.dtype.startswith("datetime"):
                columns[column.name] = _times(values, column.field, places)
            else:
                values = [_text(value) for value in values] if dict in column.types else values
                columns[column.name] = pd.Series(values, dtype=column.dtype)
        columns |= _tuning_columns(runs) | _derived_columns(records, columns["changed"].tolist(), places)
        columns |= _score_columns(records, sections["scores"], places)
        columns[DIGEST] = pd.Series([hashlib.sha256(files.result).hexdigest() for files in runs], dtype="str")
        columns[EXTRAS] = pd.Series([_extras_digest(files) for files in runs], dtype="str")
        columns[PLACE] = pd.Series(places, dtype="str")
        return pd.DataFrame(columns)


def sound_rows(runs: Sequence[Files]) -> tuple[pd.DataFrame, dict[str, RecordError]]:
    """Return the rows of the runs whose files are as they must be, and the errors of the others by run."""
    try:
        return frame_of(runs), {}
    except RecordError as error:
        if len(runs) == 1:
            return frame_of([]), {runs[0].name: error}
        half = len(runs) // 2  # of 10,000 runs the one that is damaged is found in 14 steps
        (one, lost), (other, lost_too) = sound_rows(runs[:half]), sound_rows(runs[half:])
        return combined([one, other]), lost | lost_too


def combined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several frames as one frame, ordered, with the columns that its own rows name."""
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    frame = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0]
    names = sorted({name for text in frame[SCORE_NAMES].unique() for name in text.split("\n") if name})
    fixed = [name for name in frame.columns if "/" not in name and name not in HIDDEN]
    return frame[[*fixed, *names, *HIDDEN]].sort_values([*ORDER, PLACE], ignore_index=True)


def _order(record: dict[str, Any], files: Files) -> tuple[Any, ...]:
    for key, kind, law in _KEYS:
        if type(record.get(key)) is not kind:
            raise broken(files.place, key, law, record.get(key, MISSING))
    if record["run_id"] != files.name:
        raise broken(files.place, "run_id", f"the name of its folder, {files.name!r}", record["run_id"])
    return tuple(record[key] for key in ORDER)


def _with_replays(levels: list[Any], digests: Sequence[dict[str, Any]], runs: Sequence[Files]) -> list[Any]:
    """Return the levels with ``verified`` where a replay earned it."""
    raised = list(levels)
    for index, files in enumerate(runs):
        if files.replay is None:
            continue
        replay = decode(files.replay, f"{files.place}/replay.json")
        for key in ("grade", "weights"):
            if not isinstance(replay.get(key), str):
                raise broken(files.place, key, "text", replay.get(key, MISSING), file="replay.json")
        # A replay of weights that a later `--force` replaced proves nothing about those that lie here now.
        if replay["grade"] == "bit-exact" and replay["weights"] == digests[index].get("weights"):
            raised[index] = "verified"
    return raised


def _tuning_columns(runs: Sequence[Files]) -> dict[str, pd.Series[Any]]:
    tuned = [index for index, files in enumerate(runs) if files.tuning is not None]
    places = [runs[index].place for index in tuned]
    bills = [decode(runs[index].tuning or b"", f"{runs[index].place}/tuning.json") for index in tuned]
    columns = {}
    for column in TUNING_COLUMNS:
        values: list[Any] = [None] * len(runs)
        found = values_of(column, bills, places, [True] * len(bills), file="tuning.json")
        for index, value in zip(tuned, found, strict=True):
            values[index] = value
        columns[column.name] = pd.Series(values, dtype=column.dtype)
    return columns


def _derived_columns(
    records: Sequence[dict[str, Any]], changed: Sequence[str], places: Sequence[str]
) -> dict[str, pd.Series[Any]]:
    for record, place in zip(records, places, strict=True):
        if not isinstance(record["spec"].get("task"), dict):
            raise broken(place, "spec.task", "a mapping", record["spec"].get("task", MISSING))
    # Seeds of one configuration change the same settings, and the same text says it for all.
    made: dict[tuple[str, str], tuple[str, str]] = {}
    keys = [(record["task"], text) for record, text in zip(records, changed, strict=True)]
    for key, record in zip(keys, records, strict=True):
        if key not in made:
            made[key] = task_label(record["task"], record["changed"]), setting_text(record["changed"])
    texts = {
        "task_label": [made[key][0] for key in keys],
        "setting": [made[key][1] for key in keys],
        "purpose": [_purpose(record) for record in records],
        "task_settings": [_text(record["spec"]["task"], orjson.OPT_SORT_KEYS) for record in records],
    }
    return {name: pd.Series(values, dtype="str") for name, values in texts.items()}


def _text(value: dict[str, Any], option: int = 0) -> str:
    try:
        return orjson.dumps(value, option=option).decode()
    except TypeError:  # integers over 64 bits and halves of surrogate pairs, which a file of JSON may hold
        is_sorted = bool(option & orjson.OPT_SORT_KEYS)
        return json.dumps(value, separators=(",", ":"), sort_keys=is_sorted)


def _purpose(record: dict[str, Any]) -> str:
    if (record["spec"].get("evaluation") or {}).get("test") is False:
        return "trial"
    return "variance" if any(key.startswith("randomness.") for key in record["changed"]) else "benchmark"


def _score_columns(
    records: Sequence[dict[str, Any]], scores: Sequence[dict[str, Any]], places: Sequence[str]
) -> dict[str, pd.Series[Any]]:
    for found, place in zip(scores, places, strict=True):
        for name, score in found.items():
            if "/" not in name or "\n" in name:
                raise RecordError(
                    f"A score's name must be split/metric, but `scores` in {place}/result.json holds {name!r}. "
                    f"{WAY_OUT}"
                )
            if score is not None and not (type(score) in (int, float) and is_finite(score)):
                raise broken(place, f"scores.{name}", "a finite number or null", score)
    columns = {
        f"{split}_score": [
            found.get(f"{split}/{record['metric']}") for record, found in zip(records, scores, strict=True)
        ]
        for split in ("val", "test")
    }
    for name in sorted({name for found in scores for name in found}):
        columns[name] = [found.get(name) for found in scores]
    series = {name: pd.Series(values, dtype="float64") for name, values in columns.items()}
    return {**series, SCORE_NAMES: pd.Series(["\n".join(found) for found in scores], dtype="str")}


def _times(values: list[Any], field: str, places: Sequence[str]) -> pd.Series[Any]:
    try:
        times = pd.to_datetime(pd.Series(values, dtype="str"), utc=True, format="ISO8601")
    except ValueError:
        for value, place in zip(values, places, strict=True):
            parsed = pd.to_datetime(value, utc=True, format="ISO8601", errors="coerce")
            if value is not None and parsed is pd.NaT:
                raise broken(place, field, "a time such as 2026-01-01T00:00:00Z", value) from None
        raise
    return times.astype("datetime64[us, UTC]")


def _extras_digest(files: Files) -> str:
    extras = (files.replay or b"") + (files.tuning or b"")
    return hashlib.sha256(extras).hexdigest() if extras else ""


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from walking, again and again, over all that 10,000 records are decoded to."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
