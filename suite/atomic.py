"""The one way in which this project writes a file: complete under its name, or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class WriteError(OSError):
    """A file of this project's own could not be written; it names the path. An `OSError` of a task's code is none."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` of what happens to ``path`` meanwhile into a `WriteError`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def write_bytes(path: Path, content: bytes) -> str:
    """Write ``content`` to ``path`` atomically and durably; return its sha256.

    The temporary file lies in the same directory (a rename across filesystems is a copy, and a kill during it
    leaves a truncated file under the final name); file and directory are synced before this returns.

    Raises:
        WriteError: The directory is missing, read-only or full; nothing is left behind then.
    """
    with writing(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        sync_directory(path.parent)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, content: str) -> str:
    """Write ``content`` as UTF-8 to ``path`` as `write_bytes` does; return its sha256."""
    return write_bytes(path, content.encode())


def sync_directory(directory: Path) -> None:
    """Make renames and new names in ``directory`` durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
