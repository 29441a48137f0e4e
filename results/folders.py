"""Run folders as rows, with a cache beside them: a second look reads only what has changed since the first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from results.errors import RecordError
from results.files import Files, read_bytes
from results.rows import PLACE, combined, sound_rows
from results.schema import COLUMNS

CACHE: Final = ".records.arrow"
"""The cache's name within the folder of runs; it may be deleted at any time."""
CACHE_VERSION: Final = b"boltbench records 2\n"
"""What a cache begins with; a change of columns needs a new number."""
CACHE_FROM: Final = 500
"""Fewer runs are read from their files in less than a tenth of a second, and no cache is written."""

_FILES: Final = ("result.json", "replay.json", "tuning.json")
_ABSENT: Final = "-"
_TIMES: Final = [column.name for column in COLUMNS if column.dtype.startswith("datetime")]
_FOLDER: Final = "_folder"
_STAMP: Final = "_stamp"


def rows_of_folder(runs: Path) -> tuple[pd.DataFrame, int, dict[str, RecordError]]:
    """Return the rows of every finished run, the number of unfinished ones, and the damaged ones by name."""
    stamps = _stamps(runs)
    finished = {name: stamp for name, stamp in stamps.items() if not stamp.startswith(_ABSENT)}
    cached = _read_cache(runs / CACHE) if len(finished) >= CACHE_FROM else None
    frames, known = [], set()
    if cached is not None:
        valid = pd.Series(cached[_FOLDER].map(finished) == cached[_STAMP], index=cached.index)
        kept = cached[valid]
        known = set(kept[_FOLDER])
        frames.append(kept)
    new = [name for name in finished if name not in known]
    damaged: dict[str, RecordError] = {}
    if new or cached is None:
        rows, damaged = sound_rows([_read(runs, name, finished[name]) for name in sorted(new)])
        folders = [place.rpartition("/")[2] for place in rows[PLACE]]
        rows[_FOLDER] = pd.Series(folders, dtype="str")
        rows[_STAMP] = pd.Series([finished[name] for name in folders], dtype="str")
        frames.append(rows)
    frame = combined(frames)
    if len(frame) >= CACHE_FROM and (new or cached is None or len(cached) != len(frame)):
        _write_cache(runs / CACHE, frame)
    return frame.drop(columns=[_FOLDER, _STAMP]), len(stamps) - len(finished), damaged


def _read(runs: Path, name: str, stamp: str) -> Files:
    place = f"{runs}/{name}"
    # Looking again for what was not there costs as much as opening what was.
    result, replay, tuning = (
        None if about == _ABSENT else read_bytes(f"{place}/{file}")
        for file, about in zip(_FILES, stamp.split(" "), strict=True)
    )
    if result is None:
        raise RecordError(f"{place}/result.json was there and is gone: the run is being made anew. Try again.")
    return Files(place, name, result, replay, tuning)


def _stamps(runs: Path) -> Mapping[str, str]:
    """Return for every folder what changes when one of its files does: their inodes, sizes and times."""
    try:
        with os.scandir(runs) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise RecordError(f"Runs must lie in a folder, but {runs} is none. `boltbench run` makes runs.") from error
    return {name: " ".join([_stamp(f"{runs}/{name}/{file}") for file in _FILES]) for name in names}


def _stamp(path: str) -> str:
    try:
        about = os.stat(path)  # noqa: PTH116  # pathlib costs as much again, 30,000 times
    except OSError:
        return _ABSENT
    return f"{about.st_ino}.{about.st_size}.{about.st_mtime_ns}.{about.st_ctime_ns}"


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
