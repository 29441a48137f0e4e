"""Run folders as rows, with a cache beside them: a second look reads only what has changed since the first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from results.errors import RecordError
from results.files import ABSENT, RECORD_FILES, Files, read_stamped, stamp_of
from results.rows import PLACE, combined, sound_rows
from results.schema import COLUMNS

CACHE: Final = ".records.arrow"
"""The cache's name within the folder of runs; it may be deleted at any time."""
CACHE_VERSION: Final = b"boltbench records 3\n"
"""What a cache begins with; a change of columns needs a new number."""
CACHE_FROM: Final = 500
"""Fewer runs are read from their files in less than a tenth of a second, and no cache is written."""

_TIMES: Final = [column.name for column in COLUMNS if column.dtype.startswith("datetime")]
_FOLDER: Final = "_folder"
_STAMP: Final = "_stamp"


def rows_of_folder(runs: Path) -> tuple[pd.DataFrame, int, dict[str, RecordError]]:
    """Return the rows of every finished run, the number of unfinished ones, and the damaged ones by name."""
    names = _names(runs)
    cached = _read_cache(runs / CACHE) if len(names) >= CACHE_FROM else None
    frames, known, stamps = [], set(), {}
    if cached is not None:
        stamps = {name: _stamps(f"{runs}/{name}") for name in names}
        kept = cached[cached[_FOLDER].map(stamps) == cached[_STAMP]]
        known = set(kept[_FOLDER])
        frames.append(kept)
    new, read_at = [], {}
    for name in names:
        if name not in known and not stamps.get(name, "").startswith(ABSENT):
            files, stamp = _read(f"{runs}/{name}", name)
            if files is not None:
                new.append(files)
                read_at[name] = stamp
    damaged: dict[str, RecordError] = {}
    if new or cached is None:
        rows, damaged = sound_rows(new)
        folders = [place.rpartition("/")[2] for place in rows[PLACE].to_numpy()]
        rows[_FOLDER] = pd.Series(folders, dtype="str")
        rows[_STAMP] = pd.Series([read_at[name] for name in folders], dtype="str")
        frames.append(rows)
    is_whole = len(frames) == 1 and (cached is None or len(frames[0]) == len(cached))
    frame = frames[0] if is_whole else combined(frames)  # what is whole is in order already
    if len(frame) >= CACHE_FROM and (new or cached is None or len(cached) != len(frame)):
        _write_cache(runs / CACHE, frame)
    return frame.drop(columns=[_FOLDER, _STAMP]), len(names) - len(known) - len(new), damaged


def _names(runs: Path) -> list[str]:
    try:
        with os.scandir(runs) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise RecordError(f"Runs must lie in a folder, but {runs} is none. `boltbench run` makes runs.") from error


def _read(place: str, name: str) -> tuple[Files | None, str]:
    """Return the files of a run, None where it is unfinished, and what changes when one of them does."""
    read = [read_stamped(f"{place}/{file}") for file in RECORD_FILES]
    result, replay, tuning = (content for content, _ in read)
    files = None if result is None else Files(place, name, result, replay, tuning)
    return files, " ".join([stamp for _, stamp in read])


def _stamps(place: str) -> str:
    """Return what `_read` would say of the files."""
    return " ".join([stamp_of(f"{place}/{file}") for file in RECORD_FILES])


def _read_cache(path: Path) -> pd.DataFrame | None:
    """Return the cached rows, or None where there are none or they are not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, body = content[: len(CACHE_VERSION) + 32], content[len(CACHE_VERSION) + 32 :]
    if head != CACHE_VERSION + hashlib.sha256(body).digest():
        return None
    with pa.ipc.open_file(pa.py_buffer(body)) as reader:
        frame: pd.DataFrame = reader.read_pandas()
    return frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name in _TIMES})


def _write_cache(path: Path, frame: pd.DataFrame) -> None:
    """Write the rows atomically; a folder that cannot be written goes without a cache."""
    sink = pa.BufferOutputStream()
    # pyarrow 25 takes the values of a column with a time zone in a way that pandas 3.1 warns of.
    plain = frame.assign(**{name: frame[name].dt.tz_localize(None) for name in _TIMES})
    table = pa.Table.from_pandas(plain, preserve_index=False)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(CACHE_VERSION + hashlib.sha256(body).digest() + body)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
