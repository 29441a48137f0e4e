"""Receipts: what a command found to be done, with all that this rests on, so that asking again costs nothing.

Nothing slow is imported here. A receipt is believed only where every byte of it is as it was: the code, what the
command was given, what is installed, and the files that it vouches for. Receipts lie in the user's cache, so that
looking changes nothing in a root; whoever doubts one may delete it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from suite.atomic import write_text
from suite.cache import cache_dir

PACKAGES = ("suite", "tasks", "sweeps", "results")
GROUPS = "boltbench."
"""What the names of the entry points begin with at which others register theirs, whose code is not ours to read."""
VARIABLES = ("BOLTBENCH_", "CUDA_VISIBLE_DEVICES", "MLFLOW_", "OMP_", "PYTHONPATH")
"""What the names of the variables begin with that a command may heed."""


def ground(given: Mapping[str, Any], files: Iterable[Path] = ()) -> str | None:
    """Return the digest of all that a command's outcome rests on but for its stores; None where that is not known.

    Args:
        given: What the command was given, as plain values.
        files: Files that it reads beside.
    """
    if any(group.startswith(GROUPS) for group in entry_points().groups):
        return None
    total = hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode())
    total.update(repr((sys.version, sys.prefix, _environment(), _devices(), _installed())).encode())
    here = Path(__file__).parents[1]
    own = (path for package in PACKAGES for path in (here / package).rglob("*") if _is_source(path))
    for path in [*sorted(own), *files]:
        try:
            total.update(f"\n{path}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            return None
    return total.hexdigest()


def place_of(root: Path) -> Path | None:
    """Return the folder of the receipts on a root; None where this user has no place for caches."""
    try:
        return cache_dir() / "receipts" / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32]
    except (OSError, RuntimeError):
        return None


def stamp(paths: Iterable[Path | str]) -> str:
    """Return the digest of names, inodes, sizes and times of files, which changes when one of them does."""
    total = hashlib.sha256()
    for path in paths:
        try:
            about = os.stat(path)  # noqa: PTH116  # pathlib costs as much again, thousands of times
            total.update(f"{path} {about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}\n".encode())
        except OSError:
            total.update(f"{path} -\n".encode())
    return total.hexdigest()


def read_receipt(path: Path) -> dict[str, Any] | None:
    """Return what a receipt says, or None where there is none that can be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_receipt(path: Path, content: Mapping[str, Any]) -> None:
    """Write a receipt; a place that cannot be written goes without one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(content) + "\n")
    except OSError:
        return


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _environment() -> list[tuple[str, str]]:
    found = sorted((name, value) for name, value in os.environ.items() if name.startswith(VARIABLES))
    return [(name, hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()) for name, value in found]


def _devices() -> list[str]:
    return sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))


def _installed() -> list[tuple[str, int]]:
    """Return the folders that packages are installed to, with the times at which one came or went."""
    folders = [Path(place) for place in sys.path if place.endswith("-packages")]
    return [(str(folder), folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()]
