"""`boltbench leaderboard --log`: the tables and their pictures as an MLflow run of their own."""

from __future__ import annotations

import hashlib
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

EXPERIMENT = "leaderboards"
NOTE = "Tables and pictures that `boltbench leaderboard --log` stored; the artifacts of each run hold them."
TABLES_TAG = "tables_sha256"
"""Says what was logged: equal tables are logged once."""


def log_tables(arguments: Namespace, tables: dict[str, pd.DataFrame]) -> str:
    """Store each table in every format, with its pictures, and the best rows as metrics; return what was done.

    Raises:
        UserError: MLflow could not be written.
    """
    from suite.runs.folder import Store
    from suite.runs.mirror import Mirror

    mirror = Mirror(Store(arguments.root), arguments.tracking_uri)
    contents = _contents(tables)
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name} {hashlib.sha256(contents[name]).hexdigest()}\n".encode())
    try:
        client = mirror.client()
        experiment = mirror.experiment(EXPERIMENT, NOTE)
        earlier = client.search_runs([experiment], f"tags.{TABLES_TAG} = '{digest.hexdigest()}'", max_results=1)
        if earlier:
            return f"These tables are in MLflow already, as {earlier[0].info.run_name!r} of {EXPERIMENT!r}."
        run = client.create_run(experiment, run_name=f"{arguments.view} {digest.hexdigest()[:8]}").info
        with tempfile.TemporaryDirectory() as folder:
            for name, content in contents.items():
                path = Path(folder) / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            client.log_artifacts(run.run_id, folder)
        client.log_param(run.run_id, "view", arguments.view)
        client.log_param(run.run_id, "tables", ", ".join(tables)[:500])
        client.log_metric(run.run_id, "rows", float(sum(len(table) for table in tables.values())))
        client.set_terminated(run.run_id)
        client.set_tag(run.run_id, TABLES_TAG, digest.hexdigest())  # last: what a kill cuts short is logged anew
    except Exception as error:  # sqlalchemy, requests and MLflow errors have no common base
        # The URI may carry a password; the message of a database driver may too, so only its type is told.
        raise UserError(
            f"The tables could not be logged to MLflow ({type(error).__name__}). --output writes them to files."
        ) from error
    return f"Logged {len(contents)} files to MLflow as {run.run_name!r} of the experiment {EXPERIMENT!r}."


def _contents(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return every file by its path: tables/ and pictures/."""
    from results.export import SUFFIXES, export, file_names
    from results.pictures import pictures_of

    names = file_names(list(tables))
    contents = {
        f"tables/{names[label]}.{suffix}": export(table, format)
        for label, table in tables.items()
        for format, suffix in SUFFIXES.items()
    }
    for label, table in tables.items():
        for kind, picture in pictures_of(table).items():
            contents[f"pictures/{names[label]}-{kind}.png"] = picture
    return contents
