"""Optuna's database: what is refused, in words that never hold a password."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.storage import StorageError, default_url, open_storage, place_of

CANARY = "canary-4711"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+nodriver://user:{CANARY}@localhost/studies",
        f"nothing://user:{CANARY}@localhost/studies",
        f"not a url {CANARY}",
        f"postgresql+asyncpg://user:{CANARY}@localhost:1/studies?password={CANARY}",
        "sqlite:////no/such/folder/studies.db",
        "sqlite://",
    ],
)
def test_a_database_that_cannot_be_had_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StorageError) as error:
        open_storage(url)
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None, "a traceback would show the driver's message"


def test_a_place_has_neither_password_nor_options() -> None:
    shown = place_of(f"postgresql://user:{CANARY}@host:5432/studies?password={CANARY}&sslmode=require")
    assert shown == "postgresql://user:***@host:5432/studies"


def test_a_fresh_database_is_in_write_ahead_mode(tmp_path: Path) -> None:
    open_storage(default_url(tmp_path)).engine.dispose()
    with sqlite3.connect(tmp_path / "optuna.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_processes_that_meet_on_a_fresh_database_all_open_it(tmp_path: Path) -> None:
    code = "import sys; from sweeps.storage import open_storage; open_storage(sys.argv[1])"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, default_url(tmp_path)]
    children = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], errors
