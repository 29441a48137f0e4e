"""metrics.jsonl: every step's losses and every val score of a run, one line per block."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suite.atomic import writing
from suite.engine.progress import Row
from suite.errors import UserError


class JsonlMetricsLog:
    """Appends rows to a file. A kill can tear the last line only, and a resume cuts back to a checkpoint's position.

    Every method raises `WriteError` when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            self._file = path.open("ab+")

    def append(self, row: Row) -> None:
        """Write one row through to the operating system: a killed process loses none."""
        with writing(self._path):
            self._file.write(_line(row.to_mapping()))
            self._file.flush()

    def position(self) -> int:
        """Return the file's length in bytes."""
        return self._file.seek(0, os.SEEK_END)

    def sync(self) -> None:
        """Wait until the rows so far are on disk."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def rewind(self, position: int) -> None:
        """Cut the file back to ``position`` bytes."""
        with writing(self._path):
            self._file.truncate(position)
            self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Sync and close the file."""
        self.sync()
        self._file.close()


def _line(mapping: dict[str, Any]) -> bytes:
    # NaN is no JSON; a diverged loss is written as null, and the result says which value it was.
    try:
        text = json.dumps(mapping, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(mapping), separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


@dataclass
class Curves:
    """A metrics log without its blocks and times, which differ between equal runs."""

    steps: dict[str, list[float | None]] = field(default_factory=dict)
    """Per-step values by name; entry i belongs to step i + 1."""
    scores: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)
    """(step, val score) by name."""

    def digest(self) -> str:
        """Return the sha256 of all values."""
        text = json.dumps({"steps": self.steps, "scores": self.scores}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a metrics log; a torn last line, which a kill may leave, is passed over."""
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise UserError(f"{str(path)!r} is damaged in line {number}: {error}. Run `boltbench doctor`.") from error
        yield row


def read_curves(path: Path) -> Curves:
    """Read a metrics log into curves."""
    curves = Curves()
    for row in read_rows(path):
        for name, value in row.items():
            if isinstance(value, list):
                curves.steps.setdefault(name, []).extend(value)
            elif "/" in name:
                curves.scores.setdefault(name, []).append((row["step"], value))
    return curves
