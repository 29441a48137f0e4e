"""P10: all leaderboards over 10,000 runs against `mlflow.search_runs` over the same runs in a SQLite store."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.harness import Comparison, NotEquivalentError, Sample, Scale, run, timed
from results.folders import CACHE
from results.leaderboard import leaderboard, task_labels
from results.records import load_records
from results.seal import SEAL, sealed
from results.tracking import PREFIX, tags_of_file
from suite.engine.devices import Execution
from suite.runs.execute import execute
from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, default_tracking_uri
from suite.runs.prepare import prepare
from suite.spec import RunSpec

NUM_SEEDS = 5
TASKS = ("digits", "mnist1d", "listops", "parity")
"""Names only: the records are made up, on the pattern of one real run of digits and mlp."""


def comparisons(scale: Scale) -> Sequence[Comparison]:
    """Make the runs, then return the figures: the first look at the folders, the second, and at the store."""
    count = 200 if scale.smoke else 10_000
    root = Path(tempfile.mkdtemp(prefix="boltbench-p10-"))
    scores = make_runs(root, count)
    store = default_tracking_uri(Store(root))

    def look(source: Path | str, *, is_first: bool) -> Sample:
        if is_first:
            (root / "runs" / CACHE).unlink(missing_ok=True)
        with timed() as sample:
            records = load_records(source)
            tables = [leaderboard(records, task) for task in task_labels(records)]
        assert sum(len(table) for table in tables) == len(records) / NUM_SEEDS
        sample.outcome = dict(zip(records["run_id"], records["test_score"], strict=True))
        return sample

    def search() -> Sample:
        import mlflow

        mlflow.set_tracking_uri(store)
        try:
            with timed() as sample:
                found = mlflow.search_runs(search_all_experiments=True, max_results=2 * count)
        finally:
            mlflow.set_tracking_uri(None)  # it is written into the environment too, where others would follow it
        sample.outcome = dict(zip(found["tags.run_id"], found["metrics.test/accuracy"], strict=True))
        return sample

    def check(ours: Any, peer: Any) -> None:
        if not ours == peer == scores:
            raise NotEquivalentError("Both sides must find every run with its score.")

    about = {
        "peer": search,
        "check": check,
        "peer_is": f"mlflow.search_runs over the {count} runs in SQLite: parameters, last metrics and tags, as pandas",
        "equivalence": "both find every run with its test score; ours also ranks them, with intervals and groups",
        "goal": 30.0,
    }
    what = f"load_records and the leaderboards of {len(TASKS)} tasks over {count} runs, {NUM_SEEDS} seeds each"
    return (
        Comparison(
            name="P10 first look",
            ours=lambda: look(root, is_first=True),
            what_is_timed=f"{what}; from folders, without a cache, seals checked, the cache written.",
            **about,
        ),
        Comparison(
            name="P10 second look",
            ours=lambda: look(root, is_first=False),
            what_is_timed=f"{what}; from folders, nothing changed since the look before.",
            **about,
        ),
        Comparison(
            name="P10 from the store",
            ours=lambda: look(store, is_first=False),
            what_is_timed=f"{what}; from the same SQLite store, seals checked.",
            **about,
        ),
    )


def make_runs(root: Path, count: int) -> dict[str, float]:
    """Write ``count`` results and their copies in MLflow; return run id -> test score.

    One run is made and mirrored. The others are its files and rows with other values; the histories of metrics, which
    a search does not read, are left out.
    """
    made, rows = _pattern(root)
    scores: dict[str, float] = {}
    with closing(sqlite3.connect(root / "mlflow" / "mlflow.db")) as database:
        for record in _records(made, count):
            folder = root / "runs" / record["run_id"]
            folder.mkdir()
            content = sealed(record)
            (folder / "result.json").write_text(content)
            scores[record["run_id"]] = record["scores"]["test/accuracy"]
            _insert(database, rows, record, content)
        database.commit()
    return scores


def _pattern(root: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Return the record of a real run and its rows in MLflow, both taken away."""
    store = Store(root)
    spec = RunSpec.from_mapping({"task": "digits", "family": "mlp", "budget": {"epochs": 1}})
    prepared = prepare(spec, Execution(device="cpu"))
    folder = RunFolder(store.runs / prepared.run_id)
    record, _ = execute(prepared, folder)
    Mirror(store, default_tracking_uri(store)).sync(folder)
    for path in sorted(folder.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.path.rmdir()
    rows = {}
    with closing(sqlite3.connect(store.mlflow / "mlflow.db")) as database:
        database.row_factory = sqlite3.Row
        for table in ("runs", "params", "tags", "latest_metrics"):
            rows[table] = [dict(row) for row in database.execute(f"SELECT * FROM {table}")]
        for table in ("tags", "params", "latest_metrics", "metrics", "runs"):
            database.execute(f"DELETE FROM {table}")
        database.commit()
    return record, rows


def _records(made: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(0)
    for index in range(count):
        configuration, seed = divmod(index, NUM_SEEDS)
        record = copy.deepcopy(made)
        record.pop(SEAL, None)
        record["task"] = record["spec"]["task"]["name"] = TASKS[configuration % len(TASKS)]
        record["seed"] = record["spec"]["seed"] = seed
        record["config_id"] = f"{configuration:010x}"
        record["changed"] = {"optimization.lr": round(1e-4 * (configuration + 1), 4), "budget.epochs": 1}
        record["spec"]["optimization"]["lr"] = record["changed"]["optimization.lr"]
        record["scores"] = {name: draw.random() for name in record["scores"]}
        record["run_id"] = f"{record['task']}-mlp-s{seed}-{index:010x}"
        yield record


def _insert(
    database: sqlite3.Connection, rows: dict[str, list[dict[str, Any]]], record: dict[str, Any], content: str
) -> None:
    run = uuid.UUID(int=random.Random(record["run_id"]).getrandbits(128)).hex
    tags = {key: str(record[key]) for key in ("run_id", "config_id", "task", "seed")}
    tags |= tags_of_file("result.json", content)
    for table, several in rows.items():
        for row in several:
            own = {**row, "run_uuid": run}
            if table == "runs":
                own["name"] = record["run_id"]
            elif table == "tags":
                if row["key"].startswith(PREFIX):
                    continue
                own["value"] = tags.get(row["key"], row["value"])
            elif table == "latest_metrics":
                own["value"] = record["scores"].get(row["key"], row["value"])
            elif row["key"] == "optimization.lr":
                own["value"] = json.dumps(record["changed"]["optimization.lr"])
            _insert_row(database, table, own)
    for key, value in tags.items():
        if key.startswith(PREFIX):
            _insert_row(database, "tags", {"key": key, "value": value, "run_uuid": run})


def _insert_row(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


if __name__ == "__main__":
    sys.exit(run("p10_leaderboard", comparisons))
