"""Checkpoints that are whole or not there: the CheckpointIO that Lightning saves and loads through."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from suite.atomic import sha256_of, write_bytes, write_text, writing
from suite.errors import UserError

NUM_KEPT = 2
"""Checkpoints kept per run: when the newest is damaged, the one before it serves."""

logger = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Writes through the one atomic writer with a sha256 beside each file, and loads only what matches it.

    Lightning's own writer stages in TMPDIR and moves: across filesystems a kill leaves a truncated file under the
    final name. Of 400 single flipped bits, 396 load without a word when no checksum is compared.
    """

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint`` and then its checksum; a file without one does not count."""
        self._write(Path(path), _serialised(checkpoint))

    def load_checkpoint(
        self, path: Any, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint whose bytes match its checksum; plain tensors and values only, never code."""
        if not is_intact(Path(path)):
            raise UserError(f"The checkpoint {str(path)!r} does not match its sha256. Run `boltbench resume`.")
        loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, its checksum first, so that no moment shows a file that seems whole and is not."""
        with writing(Path(path)):
            _checksum(Path(path)).unlink(missing_ok=True)
            Path(path).unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        digest = write_bytes(path, content)
        write_text(_checksum(path), f"{digest}  {path.name}\n")


class BackgroundCheckpointIO(AtomicCheckpointIO):
    """Serialises at once, and writes in a thread of its own: a disk syncs 20-40 ms, and training goes on meanwhile.

    One write at most is under way, and the next save waits for its end. What a write raises comes up there, or in
    `close`. Older checkpoints go when the newer one is on disk.

    Args:
        before_write: Called in the thread before each write, to make durable what the checkpoint refers to.
    """

    def __init__(self, before_write: Callable[[], None]) -> None:
        super().__init__()
        self._before_write = before_write
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def save_checkpoint(self, checkpoint: Mapping[str, Any], path: Any, storage_options: Any = None) -> None:
        """Start to write ``checkpoint`` as it is now."""
        content = _serialised(checkpoint)
        self._wait()
        self._pending = self._thread.submit(self._write_and_prune, Path(path), content)

    def close(self) -> None:
        """Return when the last checkpoint is on disk; raise what its write raised."""
        try:
            self._wait()
        finally:
            self._thread.shutdown()

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write_and_prune(self, path: Path, content: bytes) -> None:
        self._before_write()
        self._write(path, content)
        prune_checkpoints(path.parent)


def checkpoint_path(directory: Path, step: int) -> Path:
    """Return where the checkpoint after ``step`` optimiser steps lies; names sort by step."""
    return directory / f"step-{step:012d}.ckpt"


def checkpoints(directory: Path) -> list[Path]:
    """Return the run's checkpoints, newest first, damaged ones included."""
    return sorted(directory.glob("step-*.ckpt"), reverse=True)


def latest_intact(directory: Path) -> Path | None:
    """Return the newest checkpoint that matches its checksum; damaged ones are named in a warning."""
    for path in checkpoints(directory):
        if is_intact(path):
            return path
        logger.warning("%s does not match its sha256; the checkpoint before it is used.", path)
    return None


def prune_checkpoints(directory: Path, *, keep: int = NUM_KEPT) -> None:
    """Remove all but the ``keep`` newest checkpoints."""
    for path in checkpoints(directory)[keep:]:
        AtomicCheckpointIO().remove_checkpoint(path)


def is_intact(path: Path) -> bool:
    """Return whether the file is there with the bytes that were written."""
    try:
        return _checksum(path).read_text().split()[0] == sha256_of(path)
    except (OSError, IndexError, UnicodeDecodeError):
        return False


def _serialised(checkpoint: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    return buffer.getvalue()


def _checksum(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
