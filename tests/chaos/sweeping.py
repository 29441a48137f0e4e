"""What the chaos tests of sweeps share: the sweep that they disturb, its processes, and what it must come to."""

import csv
import io
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna

from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, default_tracking_uri
from tests.chaos.zygote import Child, Zygote
from tests.commands.front import Front, make_front

ROUNDS = int(os.environ.get("BOLTBENCH_CHAOS_ROUNDS", "3"))
IS_CAMPAIGN = ROUNDS > 3
SHORT = (
    "--budget.steps",
    12,
    "--evaluation.every_steps",
    4,
    "--data.batch_size",
    32,
    "--execution.checkpoint_seconds",
    0,
)
SAMPLERS: dict[str, tuple[object, ...]] = {
    "random": ("--sampler", "random"),
    "qmc": ("--sampler", "qmc"),
    "tpe": ("--sampler", "tpe", "--deterministic-batches", 4),
    "grid": (
        *("--sampler", "grid", "--preset", "none", "--space.optimization.lr", "1e-4,1e-3,1e-2"),
        *("--space.regularization.dropout", "0.0,0.1,0.2,0.3"),
    ),
}
ATTEMPTS = ("--attempts", 1000)
"""Kills at random may meet one trial often, and none of them is its fault."""


def words(sampler: str, *, trials: int, workers: object) -> tuple[object, ...]:
    return (
        *("sweep", "digits", "mlp", *SHORT, *SAMPLERS[sampler], "--trials", trials, "--study", "study"),
        *("--workers", workers, "--final-seeds", 1, "--no-plots", *ATTEMPTS),
    )


def trials(front: Front) -> list[dict[str, Any]]:
    folder = front.root / "studies" / "study" / "trials"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]


def table(front: Front) -> list[tuple[Any, ...]]:
    """Return what must not depend on kills: everything of a trial but its times, attempts and device."""
    fields = ("number", "status", "params", "run_ids", "values", "intermediate")
    return [tuple(trial[field] for field in fields) for trial in trials(front)]


def digests(front: Front) -> dict[str, Any]:
    """Return the sha256 of the weights and curves of every run."""
    found = {}
    for folder in front.folders():
        result = folder.result()
        assert result is not None, f"{folder.run_id} has no result"
        found[folder.run_id] = result["digests"]
    return found


def leaderboard(front: Front) -> list[dict[str, str]]:
    """Return the leaderboard as it is exported, without the columns that hold times and memory."""
    outcome = front("leaderboard", "--format", "csv")
    assert outcome.code == 0, outcome.text
    measured = ("seconds", "peak_memory_mib", "energy_joules", "tuning_seconds", "tuning_device_seconds")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    return [{name: value for name, value in row.items() if name not in measured} for row in rows]


def optuna_numbers(front: Front) -> list[int]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{front.root / 'studies' / 'optuna.db'}")
    found = [row.number for row in optuna.load_study(study_name="study", storage=storage).get_trials(deepcopy=False)]
    storage.engine.dispose()
    return found


def mlflow_kinds(front: Front) -> list[str]:
    client = Mirror(Store(front.root), default_tracking_uri(Store(front.root))).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.data.tags["kind_of_run"] for run in client.search_runs(experiments, max_results=5000)]


def check_complete(front: Front, num_trials: int) -> None:
    """Check that nothing is stuck, lost or doubled: in the files, in Optuna, in MLflow and among the run folders."""
    found = trials(front)
    assert [trial["number"] for trial in found] == list(range(num_trials))
    assert {trial["status"] for trial in found} == {"completed"}
    assert optuna_numbers(front) == list(range(num_trials))
    run_ids = [run_id for trial in found for run_id in trial["run_ids"]]
    assert len(set(run_ids)) == num_trials
    assert [RunFolder(front.root / "runs" / run_id).damaged_files() for run_id in run_ids] == [[]] * num_trials
    kinds = mlflow_kinds(front)
    assert (kinds.count("trial"), kinds.count("study")) == (num_trials, 1)


class Undisturbed:
    """Sweeps that nobody disturbed, in one process, each made when it is first asked for."""

    def __init__(self, zygote: Zygote, folder: Path, migrated_store: Path) -> None:
        self._zygote, self._folder, self._migrated_store = zygote, folder, migrated_store
        self._fronts: dict[tuple[str, int], Front] = {}

    def front(self, sampler: str, num_trials: int) -> Front:
        key = (sampler, num_trials)
        if key not in self._fronts:
            front = make_front(self._folder / f"{sampler}-{num_trials}", self._migrated_store)
            outcome = self._zygote.run(*words(sampler, trials=num_trials, workers="inline"), "--root", front.root)
            assert outcome.code == 0, outcome.text
            self._fronts[key] = front
        return self._fronts[key]


# -- processes


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and parent_of(int(entry.name)) == pid:
            found.append(int(entry.name))
    return found


def parent_of(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def descendants_of(pid: int) -> list[int]:
    found = []
    for child in children_of(pid):
        found += [child, *descendants_of(child)]
    return found


def workers_of(parent: int) -> list[int]:
    """Return the worker processes of a sweep: the children of the process that it starts them from."""
    return [worker for nursery in children_of(parent) for worker in children_of(nursery)]


def is_running(pid: int) -> bool:
    return parent_of(pid) is not None


def wait_until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def wait_for_trials(child: Child, front: Front, count: int) -> bool:
    """Return whether the sweep has begun so many trials while it is still at work."""
    folder = front.root / "studies" / "study" / "trials"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if len(list(folder.glob("[0-9]*.json"))) >= count:
            return child.is_alive()
        if not child.is_alive():
            return False
        time.sleep(0.01)
    raise AssertionError("the sweep did not get so far within five minutes")


def kill_workers(child: Child, draw: random.Random, *, most: int, every: float) -> Iterator[int]:
    """Kill workers of a sweep one by one at random moments, as long as it runs; yield each that was hit."""
    hit = 0
    while hit < most and child.is_alive():
        time.sleep(draw.uniform(0, every))
        workers = workers_of(child.pid)
        if not workers:
            continue
        victim = draw.choice(workers)
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        hit += 1
        yield victim
