"""Optuna's database: where it is, whether it can be had, and its tables; no message ever holds a password."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

CONNECT_SECONDS = 10
"""How long a server that does not answer is waited for."""
NUM_TRIES = 5
"""Two processes that make the tables of a fresh database at once: all but one fail, and find them there afterwards."""
EXAMPLE = "postgresql://USER@HOST/DATABASE"


class StorageError(ValueError):
    """A database that cannot be used; the message names it without its password."""


def default_url(directory: Path) -> str:
    """Return the URL of the SQLite database in ``directory``."""
    return f"sqlite:///{(directory / 'optuna.db').resolve()}"


def place_of(url: str) -> str:
    """Return a URL without what may be secret in it: password and options."""
    return _parse(url).set(query={}).render_as_string(hide_password=True)


def open_storage(url: str) -> RDBStorage:
    """Return Optuna's storage at ``url``, its tables made, SQLite in write-ahead mode.

    Raises:
        StorageError: The URL is none, its driver is missing, or the database cannot be reached.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url, parsed)
    waits = parsed.get_backend_name() in ("postgresql", "mysql", "mariadb")
    return _open(url, parsed, {"connect_timeout": CONNECT_SECONDS} if waits else {})


def _open_sqlite(url: str, parsed: URL) -> RDBStorage:
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError("A study's database must be a file or a server, but sqlite:// is neither.")
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise StorageError(f"A study's database lies in a folder, but there is no {str(path.parent)!r}.")
    with _alone(path):
        storage = _open(url, parsed, {"timeout": 60})
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # the file keeps the mode; asking again changes nothing
    return storage


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Let one process at a time make the tables."""
    try:
        with database.with_name(f".{database.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StorageError(f"The study's database {str(database)!r} cannot be written ({error.strerror}).") from None


def _open(url: str, parsed: URL, connect_args: dict[str, int]) -> RDBStorage:
    for attempt in range(1, NUM_TRIES + 1):
        try:
            return RDBStorage(url, engine_kwargs={"connect_args": connect_args, "pool_pre_ping": True})
        # The messages of drivers may hold the password, and a chained exception would show them: neither is kept.
        except ImportError:
            driver = parsed.drivername.partition("+")[2] or parsed.get_backend_name()
            raise StorageError(
                f"The database {place_of(url)} needs a driver for {driver}, which is not installed. "
                "PostgreSQL: pip install boltbench[postgres]."
            ) from None
        except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
            if attempt == NUM_TRIES or not _may_be_a_race(error):
                raise StorageError(
                    f"The database {place_of(url)} cannot be used ({type(error).__name__}). "
                    "Is the server up, and do user, password and database name fit?"
                ) from None
            time.sleep(0.2 * attempt)
    raise AssertionError("the last try returns or raises")


def _may_be_a_race(error: Exception) -> bool:
    """Return whether another process may just have made what this one tried to make."""
    cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
    return type(cause).__name__ in ("IntegrityError", "ProgrammingError")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise StorageError(
            f"A study's database must be given as a URL such as {EXAMPLE} or sqlite:///studies.db, "
            "but what was given is none."
        ) from None
    return parsed
