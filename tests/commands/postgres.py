"""A real PostgreSQL server on loopback, started by the tests and run by a user without rights."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "canary-5ecret-W0rd"
"""What must turn up nowhere."""
USER = "bench"


class Server:
    """One server over a fresh folder.

    Args:
        programs: Folder of initdb and pg_ctl.
        folder: Owned by ``account``.
        account: Who runs it; None is whoever runs the tests (PostgreSQL refuses root).
    """

    def __init__(self, programs: Path, folder: Path, account: str | None) -> None:
        self._programs, self._folder, self._account = programs, folder, account
        self._data = folder / "data"
        self.port = free_port()

    def start(self) -> None:
        """Make the cluster where there is none, and return when the server answers."""
        if not self._data.exists():
            secret = self._folder / "password"
            secret.write_text(PASSWORD)
            secret.chmod(0o644)
            self._run("initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync")
            secret.unlink()
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once."""
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')  # type: ignore[call-overload]  # a name of our own
        return self.url(database)

    def content(self, database: str) -> str:
        """Return every row of every table as text."""
        import psycopg

        found = []
        with psycopg.connect(self.url(database)) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                found += map(str, connection.execute(f'SELECT * FROM "{table}"').fetchall())  # type: ignore[call-overload]
        return "\n".join(found)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [str(self._programs / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open for as long as the server runs
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            user=self._account,
            group=self._account,
            extra_groups=None if self._account is None else [],
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{program} failed: {(self._folder / 'log').read_text()[-2000:]}"


def programs() -> Path | None:
    """Return the folder of the newest server's programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server; skipped where its programs or its driver are missing."""
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    found = programs()
    if found is None:
        pytest.skip("there is no PostgreSQL server here (Debian: apt-get install postgresql)")
    account = None if os.geteuid() != 0 else "postgres"
    folder = Path(tempfile.mkdtemp(prefix="boltbench-postgres-", dir="/tmp"))  # pytest's own folder is root's alone
    if account is not None:
        shutil.chown(folder, account, account)
    one = Server(found, folder, account)
    try:
        one.start()
        yield one
        one.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
