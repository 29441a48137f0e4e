"""Folders that travel as bytes between machines without a shared disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

Folders = Mapping[str, Mapping[str, bytes]]
"""Folder under a root -> file in it -> content."""
PROOF = "result.json"
"""The file that says that a folder is complete: taken away before anything changes, and written last."""


def within(root: Path, name: str) -> Path:
    """Return the path of ``name`` under ``root``.

    Raises:
        ValueError: It leads out of it.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"What travels between machines must lie within its folder, but is named {name!r}.")
    return root / name


def pack(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in ``folder`` by path; hidden files (locks, half-written ones) stay behind."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            files[name.as_posix()] = path.read_bytes()
    return files


def unpack(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` to ``folder``, each whole or not at all.

    Folders in it are replaced; of the files beside them those that are not named stay, as the notes of whoever wrote
    them here.

    Raises:
        ValueError: A path leads out of the folder.
    """
    for name in files:
        within(folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROOF).unlink(missing_ok=True)
    for name in pack(folder):
        if name not in files and "/" in name:
            (folder / name).unlink()
    for name in sorted(files, key=lambda name: (name == PROOF, name)):
        _write(folder / name, files[name])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
