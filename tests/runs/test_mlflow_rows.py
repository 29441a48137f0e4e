"""Runs that are written at once stand in MLflow's tables as those that its client writes call by call."""

import contextlib
import dataclasses
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from suite.runs.folder import Store
from suite.runs.mlflow_rows import EndedRun, write_runs
from suite.runs.mlflow_store import MlflowStore

INFINITY = float("inf")
RUN = EndedRun(
    experiment="",
    name="trial-00007",
    status="FINISHED",
    start=1_700_000_000_123,
    end=1_700_000_060_456,
    params={"lr": "0.001", "optimizer": "adam", **{f"field_{index}": str(index) for index in range(150)}},
    metrics=[
        Metric("test/accuracy", 0.5, 1_700_000_060_456, 0),
        *(Metric("train/loss", 1 / step, 1_700_000_000_123 + step, step) for step in range(1, 1001)),
        Metric("val/accuracy", 0.25, 1_700_000_000_200, 10),
        Metric("val/accuracy", 0.75, 1_700_000_000_100, 10),  # the same step again, earlier
        Metric("val/accuracy", 0.75, 1_700_000_000_100, 10),  # and the very same point
        *(Metric("val/loss", float("nan"), 1_700_000_000_100, 10) for _ in range(2)),
        Metric("grad/norm", INFINITY, 1_700_000_000_100, 10),
        Metric("grad/least", -INFINITY, 1_700_000_000_100, 10),
    ],
    tags={"run_id": "digits-mlp-s0-0123456789", "status": "completed", "trial": "7"},
    proof={"mlflow.boltbench.result.json.0": "x" * 5000, "result_sha256": "0" * 64},
)
POOR = dataclasses.replace(RUN, name="trial-00008", status="FAILED", params={}, metrics=[], proof={})


@pytest.fixture
def stores(migrated_store: Path, tmp_path: Path) -> tuple[MlflowStore, MlflowStore]:
    """Return two stores that are alike, each with an experiment."""
    found = []
    for name in ("theirs", "ours"):
        path = Path(shutil.copytree(migrated_store, tmp_path / name))
        # The location of the artifacts is a part of the rows that are compared.
        store = MlflowStore(Store(tmp_path), f"sqlite:///{path / 'mlflow.db'}")
        store.client().create_experiment("digits", artifact_location="file:///somewhere/digits")
        found.append(store)
    return found[0], found[1]


def at(store: MlflowStore, run: EndedRun) -> EndedRun:
    return dataclasses.replace(run, experiment=store.experiment("digits", ""))


def write_by_client(store: MlflowStore, runs: Iterable[EndedRun]) -> None:
    client = store.client()
    for run in runs:
        made = client.create_run(run.experiment, start_time=run.start, tags=dict(run.tags), run_name=run.name)
        client.set_terminated(made.info.run_id, run.status, end_time=run.end)
        store.log(made.info.run_id, params=run.params, metrics=run.metrics, tags=run.proof)


def tables(store: MlflowStore) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, with the runs' random ids replaced by their names."""
    path = store.tracking_uri.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as database:
        names = dict(database.execute("SELECT run_uuid, name FROM runs"))

        def told(value: Any) -> Any:
            for run_id, name in names.items():
                value = value.replace(run_id, f"<{name}>") if isinstance(value, str) else value
            return value

        found = {}
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
            found[table] = sorted((tuple(map(told, row)) for row in rows), key=repr)
        for table in ("experiments", "experiment_tags"):  # they say when they were made
            found.pop(table)
        return found


def test_the_tables_are_those_that_the_client_writes(stores: tuple[MlflowStore, MlflowStore]) -> None:
    theirs, ours = stores
    write_by_client(theirs, [at(theirs, RUN), at(theirs, POOR)])
    ids = write_runs(ours.engine(), [at(ours, RUN), at(ours, POOR)])
    assert tables(ours) == tables(theirs)
    assert len(tables(ours)["metrics"]) == 1006
    assert [ours.client().get_run(run_id).info.run_name for run_id in ids] == [RUN.name, POOR.name]


def test_the_client_goes_on_with_what_was_written(stores: tuple[MlflowStore, MlflowStore]) -> None:
    _, ours = stores
    (run_id,) = write_runs(ours.engine(), [at(ours, RUN)])
    ours.set_tags(run_id, {"result_sha256": "1" * 64, "more": "yes"})
    (found,) = ours.runs([ours.experiment("digits", "")])
    assert found.data.tags["result_sha256"] == "1" * 64
    assert found.data.metrics["val/accuracy"] == 0.25
    ours.client().delete_run(run_id)
    assert list(ours.runs([ours.experiment("digits", "")])) == []
    with pytest.raises(MlflowException):
        ours.client().log_metric(run_id, "late", 1.0)


def test_all_runs_are_written_or_none(stores: tuple[MlflowStore, MlflowStore]) -> None:
    _, ours = stores
    before = tables(ours)
    broken = dataclasses.replace(RUN, params={"lr": None})
    with pytest.raises(SQLAlchemyError):
        write_runs(ours.engine(), [at(ours, RUN), at(ours, broken)])
    assert tables(ours) == before
