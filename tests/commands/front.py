"""The front door for tests: `main([...])` in this process, what it said, and what it left on disk and in MLflow."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from results.seal import SEAL, sealed
from suite.cli import main
from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, default_tracking_uri

COMMAND = (sys.executable, "-c", "import sys; from suite.cli import main; sys.exit(main())")
"""The command in a process of its own, wherever the package is installed."""
QUICK = ("--budget.epochs", "2", "--execution.device", "cpu")
"""Settings of a run that takes a tenth of a second."""
ISOLATED = ("BOLTBENCH_ROOT", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")
"""Variables that would lead a test out of its own folder."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one call of the command did."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclasses.dataclass(frozen=True)
class Front:
    """The command over one root folder."""

    root: Path

    def __call__(self, *arguments: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        # Behind the verb, where every verb takes it.
        words = [str(arguments[0]), "--root", str(self.root), *map(str, arguments[1:])]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
        return Outcome(code, out.getvalue(), err.getvalue())

    def folders(self) -> list[RunFolder]:
        return Store(self.root).folders()

    def only(self) -> RunFolder:
        (folder,) = self.folders()
        return folder

    def result(self) -> dict[str, Any]:
        result = self.only().result()
        assert result is not None
        return result

    def mlflow_runs(self) -> list[Any]:
        """Return every live MLflow run, whatever its experiment."""
        client = Mirror(Store(self.root), default_tracking_uri(Store(self.root))).client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return sorted(client.search_runs(experiments, max_results=1000), key=lambda run: run.data.tags["run_id"])

    def mlflow_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row that MLflow holds on runs, straight from its tables."""
        return read_rows(self.root / "mlflow" / "mlflow.db")

    def mlflow_content(self) -> dict[str, Any]:
        """Return what MLflow says of each run, without the random ids that it gives a fresh copy."""
        client = Mirror(Store(self.root), default_tracking_uri(Store(self.root))).client()
        found = {}
        for run in self.mlflow_runs():
            tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.log")}
            curves = {
                name: sorted((item.step, item.timestamp, item.value) for item in history)
                for name in run.data.metrics
                if (history := client.get_metric_history(run.info.run_id, name))
            }
            artifacts = sorted(item.path for item in client.list_artifacts(run.info.run_id))
            info = (run.info.status, run.info.start_time, run.info.end_time, run.info.run_name)
            assert tags["run_id"] not in found, "one copy of each run"
            found[tags["run_id"]] = (info, run.data.params, tags, curves, artifacts)
        return found


def read_rows(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of MLflow's tables on runs, sorted."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in ("experiments", "runs", "params", "tags", "metrics", "latest_metrics")
        }


def snapshot(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file under ``folder`` by path, and every folder; SQLite's side files left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            found[name] = "folder"
        elif not name.endswith(("-wal", "-shm")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child process: one thread, and nothing that leads out of the test's folder."""
    kept = {key: value for key, value in os.environ.items() if key not in ISOLATED}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **more}


def write_result(folder: Path, record: dict[str, Any]) -> None:
    """Write a result.json with a seal that fits, as who means to deceive, or another program, would."""
    plain = {key: value for key, value in record.items() if key != SEAL}
    (folder / "result.json").write_text(sealed(plain))


def read_json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ISOLATED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def migrated_store() -> Iterator[Path]:
    """Return an empty MLflow store: its migrations take seconds, a copy of it takes none."""
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory))
        Mirror(store, default_tracking_uri(store)).client()
        yield store.mlflow


@pytest.fixture
def front(tmp_path: Path, migrated_store: Path) -> Front:
    """The command over a fresh root whose MLflow store has its tables already."""
    return make_front(tmp_path / "root", migrated_store)


def make_front(root: Path, migrated_store: Path) -> Front:
    root.mkdir()
    shutil.copytree(migrated_store, root / "mlflow")
    return Front(root)


@pytest.fixture
def done(front: Front) -> Front:
    """The command over a root that holds one finished run of digits and mlp."""
    assert front("run", "digits", "mlp", *QUICK).code == 0
    return front
