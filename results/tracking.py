"""Runs as MLflow holds them: the mirror keeps the files that make a record as tags, and here they are read back."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from results.errors import RecordError
from results.files import RECORD_FILES, Files

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from sqlalchemy import Engine

PREFIX: Final = "mlflow.boltbench."
"""What the tags of files begin with. MLflow's UI hides tags under ``mlflow.``, and these are thousands of letters."""
MAX_TAG_LENGTH: Final = 5000
"""MLflow takes 8000 letters, and other servers of its interface 5000."""
CONNECT_SECONDS: Final = 5
"""How long a database server may take to answer a first time."""
LOCK_SECONDS: Final = 20
"""How long another process may hold a SQLite file, as MLflow has it."""
RUN_ID_TAG: Final = "run_id"
COMPLETE_TAG: Final = "result_sha256"
"""Written last, with the digest of the files: a copy without it was cut short."""


def is_tracking_uri(source: object) -> bool:
    """Return whether a source of records names an MLflow store and not a folder."""
    return isinstance(source, str) and ("://" in source or source in ("databricks", "uc"))


def shown_uri(uri: str) -> str:
    """Return a tracking URI without what may be secret in it: user, password and query."""
    if uri.startswith("sqlite:"):
        return uri.partition("?")[0]
    scheme, _, rest = uri.partition("://")
    place = rest.partition("?")[0].rpartition("@")[2]
    return f"{scheme}://{place}" if rest else scheme


def tags_of_file(name: str, content: str) -> dict[str, str]:
    """Return the tags that keep the content of one file."""
    parts = [content[start : start + MAX_TAG_LENGTH] for start in range(0, len(content), MAX_TAG_LENGTH)]
    return {f"{PREFIX}{name}.{index}": part for index, part in enumerate(parts)}


def make_client(tracking_uri: str) -> MlflowClient:
    """Return MLflow's client, which then looks no host up, executes no pickle, and waits for no dead server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it looks a host up in every process
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    # By default an unreachable server is asked for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow.tracking import MlflowClient

    if tracking_uri.startswith("postgresql"):
        # MLflow asks a server that does not answer eleven times, for more than three minutes.
        with database_engine(tracking_uri).connect():
            pass
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=tracking_uri)


def database_engine(uri: str) -> Engine:
    """Return an engine that keeps no connection and does not wait long for a server that does not answer."""
    import sqlalchemy

    if uri.startswith("sqlite"):
        wait = {"timeout": LOCK_SECONDS}
        return sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool, connect_args=wait)
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    if engine.driver in ("psycopg", "psycopg2") and "connect_timeout" not in engine.url.query:
        url = engine.url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    return engine


def files_in_store(uri: str) -> tuple[list[Files], int]:
    """Return the files of every run that an MLflow store holds whole, and the number of copies that it does not.

    A SQLite file is read directly, which takes a fiftieth of the client's time; any other store through the client.

    Raises:
        RecordError: The store cannot be read, or is none.
    """
    database = _database(uri)
    copies = _rows_of_database(database) if database is not None else _tags_by_client(uri)
    found: list[Files] = []
    num_incomplete = 0
    for tags in copies:
        files = {name: _content(tags, name) for name in RECORD_FILES}
        result = files["result.json"]
        if result is None or COMPLETE_TAG not in tags:
            num_incomplete += 1
            continue
        name = tags.get(RUN_ID_TAG, "(no run_id)")
        found.append(Files(f"mlflow/{name}", name, result, files["replay.json"], files["tuning.json"]))
    return found, num_incomplete


def _content(tags: Mapping[str, str], name: str) -> bytes | None:
    parts: list[str] = []
    while (part := tags.get(f"{PREFIX}{name}.{len(parts)}")) is not None:
        parts.append(part)
    return "".join(parts).encode() if parts else None


def _database(uri: str) -> Path | None:
    """Return the file of a SQLite URI, or None where the URI says more than a path."""
    path = uri.removeprefix("sqlite:///")
    return Path(path) if path and path != uri and "?" not in path else None


_QUERY: Final = """
SELECT tags.run_uuid, tags.key, tags.value FROM tags JOIN runs USING (run_uuid)
WHERE runs.lifecycle_stage = 'active'
AND (tags.key IN (?, ?) OR (tags.key >= ? AND tags.key < ?))
"""


def _rows_of_database(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise RecordError(f"An MLflow store must be there to be read, but there is no {path}.")
    # Read-only, so that looking never creates or changes a store.
    location = f"file:{urllib.parse.quote(str(path.resolve()))}?mode=ro"
    copies: dict[str, dict[str, str]] = {}
    try:
        with contextlib.closing(sqlite3.connect(location, uri=True)) as connection:
            bounds = (RUN_ID_TAG, COMPLETE_TAG, PREFIX, PREFIX[:-1] + "/")
            for run, key, value in connection.execute(_QUERY, bounds):
                copies.setdefault(run, {})[key] = value
    except sqlite3.Error as error:
        raise RecordError(f"{path} must be an MLflow store, but it cannot be read as one: {error}.") from error
    # Not every run of a store is ours; what carries our id or our files is.
    return [tags for tags in copies.values() if RUN_ID_TAG in tags or any(key.startswith(PREFIX) for key in tags)]


def _tags_by_client(uri: str) -> list[dict[str, str]]:
    try:
        return [tags for tags in _all_tags(make_client(uri)) if RUN_ID_TAG in tags]
    except Exception as error:  # sqlalchemy, requests and MLflow errors have no common base
        # The message of a database driver may hold the password that the URI holds, so only its type is told.
        raise RecordError(
            f"The MLflow store at {shown_uri(uri)} could not be read ({type(error).__name__}). "
            "Check that the address is right and that the server runs."
        ) from error


def _all_tags(client: MlflowClient) -> Iterator[dict[str, str]]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token: str | None = None
    while experiments:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        yield from (dict(run.data.tags) for run in page)
        token = page.token
        if not token:
            return
