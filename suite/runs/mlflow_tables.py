"""The tables of an MLflow store, made by one process at a time: of several on a fresh database, only one survives."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path

from results.tracking import database_engine, make_client

ADVISORY_LOCK = 0x626F6C74
"""Key of the lock that PostgreSQL holds for us; other programs have other numbers."""


def prepare_sqlite(folder: Path, uri: str) -> None:
    """Make the tables of the store in ``folder`` and switch it to write-ahead logging."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _touch(uri)
        with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
            database.execute("PRAGMA journal_mode=WAL")  # the file keeps the mode; asking again changes nothing


def prepare_postgresql(uri: str) -> None:
    """Make the tables on a server, whose lock goes with the connection, however that ends."""
    import sqlalchemy

    with database_engine(uri).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        _touch(uri)


def _touch(uri: str) -> None:
    """Have MLflow look at its store, which makes what is missing."""
    make_client(uri).search_experiments(max_results=1)
