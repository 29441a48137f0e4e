"""The files of a run folder, read strictly: what is not as it must be is an error that names the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NoReturn

import orjson

from results.errors import RecordError
from results.schema import SCHEMA, WAY_OUT
from results.seal import check_seal


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
        raise RecordError(f"{path} must be readable, but: {error.strerror}. {WAY_OUT}") from error


def decode(content: bytes, where: str) -> dict[str, Any]:
    """Decode one JSON mapping; ``where`` names it in the error.

    Raises:
        RecordError: The content is not strict JSON (NaN and Infinity are none), or no mapping.
    """
    try:
        try:
            decoded = orjson.loads(content)
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
