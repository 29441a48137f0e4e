"""Where data files may lie on a machine: folders that the user names, a system package, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from suite.cache import cache_dir
from suite.errors import UserError

__all__ = ["address", "cache_dir", "data_folders"]


def data_folders(name: str, *, installed: str = "") -> list[Path]:
    """Return the folders in which the files of data set ``name`` are looked for, in order; some may not exist.

    Args:
        name: The task's name, which is also the name of its folder.
        installed: The folder of a system package that ships the files, or nothing.

    Raises:
        UserError: ``$BOLTBENCH_DATA`` is set to something that is no folder.
    """
    folders = []
    chosen = os.environ.get("BOLTBENCH_DATA")
    if chosen:
        if not Path(chosen).is_dir():
            raise UserError(f"BOLTBENCH_DATA must name a folder that exists, but got {chosen!r}.")
        folders += [Path(chosen) / name, Path(chosen)]
    folders.append(Path("data") / name)
    if installed:
        folders.append(Path(installed))
    folders.append(cache_dir() / name)
    return folders


def address(name: str, file: str, *, official: str) -> str:
    """Return the URL of ``file``: below ``$BOLTBENCH_MIRROR``/``name`` where that is set, else the official one."""
    mirror = os.environ.get("BOLTBENCH_MIRROR")
    return f"{mirror.rstrip('/')}/{name}/{file}" if mirror else f"{official.rstrip('/')}/{file}"
