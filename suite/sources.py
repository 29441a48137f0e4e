"""The source files that decide results, as this process has them: whoever edits one later changes no digest here.

A sweep may go on for hours, and its processes import nothing anew. A command reads the files once, before it imports
what is in them, and a worker once it has imported everything; both then name the code that they really have.
"""

from __future__ import annotations

import hashlib
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

_pinned: dict[Path, bytes] = {}
_sha256: list[str] = []
"""The digest of all that, once it is known."""


def pin_sources() -> None:
    """Read every file that decides results; what was pinned before is forgotten."""
    _pinned.clear()
    patterns = {*CORE_SOURCES, *COMPRESSION_SOURCES, *TRANSFER_SOURCES, *_ADDED}
    paths = {path for pattern in patterns for path in (ROOT / "suite").glob(pattern)}
    for path in paths | set((ROOT / "tasks").rglob("*.py")):
        pin(path)


def pin(path: Path) -> None:
    """Read one file, such as a plug-in that has just been imported."""
    _pinned[path] = path.read_bytes()
    _sha256.clear()


def pinned(path: Path) -> bytes | None:
    """Return a file as it was read, or None where it was not."""
    return _pinned.get(path)


def pinned_sha256() -> str:
    """Return the digest of everything that is pinned: two processes with one digest have the same code."""
    if not _pinned:
        pin_sources()
    if not _sha256:
        lines = sorted(f"{path.name} {hashlib.sha256(content).hexdigest()}\n" for path, content in _pinned.items())
        _sha256.append(hashlib.sha256("".join(lines).encode()).hexdigest())
    return _sha256[0]
