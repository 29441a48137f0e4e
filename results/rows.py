"""Records, as files or MLflow hold them, as a typed frame: one row per run, in order."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd

from results.checked import checked_columns
from results.errors import RecordError
from results.files import Files, decode
from results.schema import (
    COLUMNS,
    DIGEST,
    IS_TRIAL,
    MISSING,
    SCORES,
    TASK_SETTINGS,
    TUNING_COLUMNS,
    broken,
    values_of,
)
from results.text import setting_text, task_label
from results.typed import typed_columns

ORDER: Final = ["task", "family", "config_id", "seed", "run_id"]
"""What the rows of a frame are ordered by."""
SCORE_NAMES: Final = "_score_names"
EXTRAS: Final = "_extras"
PLACE: Final = "_place"
HIDDEN: Final = (SCORE_NAMES, DIGEST, EXTRAS, PLACE)
"""Columns that merging needs, and that no user sees: the scores that the record names, the sha256 of its result, that
of the files beside it, and where it lies."""


def frame_of(runs: Sequence[Files]) -> pd.DataFrame:
    """Return one row for each run, with the columns of `results.records.load_records` and `HIDDEN`.

    Raises:
        RecordError: A file is not what it must be, or a run is not named as its place is.
    """
    with _no_collection():
        values, taken, rest = typed_columns(runs)
        if rest:
            values = {name: values[name] + more for name, more in checked_columns(rest).items()}
        runs = [*taken, *rest]
        places = [files.place for files in runs]
        values["determinism"] = _with_replays(values["determinism"], values["weights_digest"], runs)
        columns: dict[str, pd.Series[Any]] = {}
        for column in COLUMNS:
            if column.dtype.startswith("datetime"):
                columns[column.name] = _times(values[column.name], column.field, places)
            else:
                columns[column.name] = pd.Series(values[column.name], dtype=column.dtype)
        columns |= _tuning_columns(runs) | _derived_columns(values) | _score_columns(values[SCORES], values["metric"])
        columns[DIGEST] = pd.Series(values[DIGEST], dtype="str")
        columns[EXTRAS] = pd.Series([_extras_digest(files) for files in runs], dtype="str")
        columns[PLACE] = pd.Series(places, dtype="str")
        return pd.DataFrame(columns)


def sound_rows(runs: Sequence[Files]) -> tuple[pd.DataFrame, dict[str, RecordError]]:
    """Return the rows of the runs whose files are as they must be, in order, and the errors of the others by run."""
    try:
        return combined([frame_of(runs)]), {}
    except RecordError as error:
        if len(runs) == 1:
            return combined([frame_of([])]), {runs[0].name: error}
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


def _with_replays(levels: list[Any], weights: Sequence[Any], runs: Sequence[Files]) -> list[Any]:
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
        if replay["grade"] == "bit-exact" and replay["weights"] == weights[index]:
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


def _derived_columns(values: dict[str, list[Any]]) -> dict[str, pd.Series[Any]]:
    # Seeds of one configuration change the same settings, and the same text says it for all.
    made: dict[tuple[str, str], tuple[str, str, bool]] = {}
    keys = list(zip(values["task"], values["changed"], strict=True))
    for task, text in keys:
        if (task, text) not in made:
            changed = json.loads(text)
            is_varied = any(key.startswith("randomness.") for key in changed)
            made[task, text] = task_label(task, changed), setting_text(changed), is_varied
    texts = {
        "task_label": [made[key][0] for key in keys],
        "setting": [made[key][1] for key in keys],
        "purpose": [
            "trial" if is_trial else "variance" if made[key][2] else "benchmark"
            for key, is_trial in zip(keys, values[IS_TRIAL], strict=True)
        ],
        "task_settings": values[TASK_SETTINGS],
    }
    return {name: pd.Series(column, dtype="str") for name, column in texts.items()}


def _score_columns(scores: Sequence[dict[str, Any]], metrics: Sequence[str]) -> dict[str, pd.Series[Any]]:
    columns = {
        f"{split}_score": [found.get(f"{split}/{metric}") for found, metric in zip(scores, metrics, strict=True)]
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
