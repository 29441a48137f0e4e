"""The source files that decide results, as this process has them: whoever edits one later changes no digest here.

A sweep may go on for hours, and its processes import nothing anew. A command reads the files once, before it imports
what is in them, and a worker once it has imported everything; both then name the code that they really have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages: a checkout, or site-packages."""

CORE_SOURCES = (
    *("batch.py", "fidelity.py", "layers.py", "learner.py", "metrics.py", "normalization.py", "seeds.py", "streams.py"),
    *("targets.py", "task.py", "regularizer.py", "engine/*.py", "networks/*.py"),
    *("runs/prepare.py", "runs/splits.py", "runs/execute.py", "runs/scoring.py"),
)
"""The files under suite/ that decide a result whatever the task and family."""

COMPRESSION_SOURCES = ("compressor.py", "weights.py", "probe.py", "runs/compressed.py", "runs/source.py")
"""The same for runs that compress another, and for those alone."""

TRANSFER_SOURCES = ("transfer.py", "inheritance.py", "depth.py", "weights.py", "runs/source.py")
"""The same for runs that begin with another's weights, or train some of their layers only."""

_ADDED = ("families/*.py", "regularization/*.py", "compression/*.py")

_packages: dict[Path, bytes] = {}
_plugins: dict[Path, bytes] = {}
_sha256: list[str] = []
"""The digest of the packages' files, once it is known."""


def pin_sources() -> None:
    """Read every file of the packages that decides results; what was pinned before is forgotten."""
    for forgotten in (_packages, _plugins, _sha256):
        forgotten.clear()
    patterns = {*CORE_SOURCES, *COMPRESSION_SOURCES, *TRANSFER_SOURCES, *_ADDED}
    paths = {path for pattern in patterns for path in (ROOT / "suite").glob(pattern)}
    _packages.update((path, path.read_bytes()) for path in paths | set((ROOT / "tasks").rglob("*.py")))


def pin_plugin(path: Path) -> None:
    """Read a plug-in that has just been imported."""
    _plugins[path.resolve()] = path.read_bytes()


def pinned(path: Path) -> bytes | None:
    """Return a file as it was read, or None where it was not."""
    found = _packages.get(path)
    return _plugins.get(path.resolve()) if found is None else found


def pinned_sha256(plugins: Iterable[str]) -> str:
    """Return the digest of the packages and of some plug-ins as they are pinned: processes with one digest agree.

    Args:
        plugins: Paths of those that a job needs; a command may know of others, too.
    """
    if not _packages:
        pin_sources()
    if not _sha256:
        lines = (
            f"{path.relative_to(ROOT).as_posix()} {hashlib.sha256(content).hexdigest()}\n"
            for path, content in _packages.items()
        )
        _sha256.append(hashlib.sha256("".join(sorted(lines)).encode()).hexdigest())
    added = [hashlib.sha256(_plugins.get(Path(plugin).resolve(), b"")).hexdigest() for plugin in plugins]
    return hashlib.sha256("".join([_sha256[0], *added]).encode()).hexdigest()
