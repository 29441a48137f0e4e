"""A lock file that one process holds, and that says which one; the kernel drops it with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LOCK_SECONDS = 0.3
"""Longest wait for a lock that another process seems to hold."""


class LockHeldError(Exception):
    """Another live process holds the lock; the message says which one."""


class Lock:
    """A lock at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for this process; raise `LockHeldError` naming the owner when another one does."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+") as file:
            self._take(file)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            yield

    def owner(self) -> str | None:
        """Return who holds the lock, or None."""
        try:
            with self.path.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except OSError:
            return self._owner_text()
        return None

    def _take(self, file: IO[str]) -> None:
        """Take the lock, waiting for a moment: who asks for the owner holds it just as long as that takes."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LockHeldError(self._owner_text()) from error
                time.sleep(0.02)
            else:
                return

    def _owner_text(self) -> str:
        return self.path.read_text().strip() or "another process"
