"""The files of a run folder, read strictly: what is not as it must be is an error that names the file."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from results.errors import RecordError
from results.schema import SCHEMA, WAY_OUT
from results.seal import check_seal

RECORD_FILES: Final = ("result.json", "replay.json", "tuning.json")
"""The files of a run that make its record."""
ABSENT: Final = "-"
"""The stamp of a file that is not there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """The files of one finished run, from wherever they came."""

    place: str
    """How errors name it: the path of a run folder, or a run in MLflow."""
    name: str
    """The run id that the place says."""
    result: bytes
    replay: bytes | None = None
    tuning: bytes | None = None


def read_bytes(path: str | Path) -> bytes | None:
    """Return the bytes of a file, or None where there is no such file.

    Raises:
        RecordError: The file is there and cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # pathlib costs 10 us more for each of 10,000 runs
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def read_stamped(path: str) -> tuple[bytes | None, str]:
    """Return the bytes of a file and its stamp, None and `ABSENT` where there is no such file.

    Raises:
        RecordError: As for `read_bytes`.
    """
    # Four calls of the system where `open` makes seven and a stamp of its own one more: 10,000 runs have 30,000 files.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None, ABSENT
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        about = os.fstat(descriptor)
        content = os.read(descriptor, about.st_size)
        while len(content) < about.st_size and (more := os.read(descriptor, about.st_size - len(content))):
            content += more
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)
    return content, _stamp(about)


def stamp_of(path: str) -> str:
    """Return what changes when a file does: its inode, size and times."""
    try:
        return _stamp(os.stat(path))  # noqa: PTH116  # pathlib costs as much again, 30,000 times
    except OSError:
        return ABSENT


def _stamp(about: os.stat_result) -> str:
    return f"{about.st_ino}.{about.st_size}.{about.st_mtime_ns}.{about.st_ctime_ns}"


def _unreadable(path: str | Path, error: OSError) -> RecordError:
    return RecordError(f"{path} must be readable, but: {error.strerror}. {WAY_OUT}")


def decode(content: bytes, where: str) -> dict[str, Any]:
    """Decode one JSON mapping; ``where`` names it in the error.

    Raises:
        RecordError: The content is not strict JSON (NaN and Infinity are none), or no mapping.
    """
    try:
        try:
            decoded = msgspec.json.decode(content)
        except ValueError:  # also for numbers that fit into no float: whose they are is told by the checks of fields
            decoded = json.loads(content.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} must be strict JSON, but it is not: {error}. {WAY_OUT}") from error
    if not isinstance(decoded, dict):
        raise RecordError(f"{where} must be a JSON mapping, but it is a {type(decoded).__name__}. {WAY_OUT}")
    return decoded


def read_result(run_folder: str | Path) -> dict[str, Any] | None:
    """Return the result.json of one run as it stands, or None where the run is unfinished.

    Raises:
        RecordError: The file is not strict JSON, not a mapping of the schema that this package reads, or was changed
            after it was sealed.
    """
    path = f"{run_folder}/result.json"
    content = read_bytes(path)
    return None if content is None else decode_result(content, path)


def decode_result(content: bytes, where: str) -> dict[str, Any]:
    """Decode the content of a result.json; ``where`` names it in errors.

    Raises:
        RecordError: As for `read_result`.
    """
    result = decode(content, where)
    schema = result.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        got = f"it is {schema!r}" if "schema" in result else "it is missing"
        raise RecordError(f"`schema` in {where} must be {SCHEMA}, but {got}. {WAY_OUT}")
    check_seal(content, result, where)
    return result


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
