"""Run folders for tests, written as a run writes them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

RESULT: dict[str, Any] = {
    "schema": 1,
    "protocol": 1,
    "run_id": "",
    "status": "completed",
    "message": "",
    "task": "digits",
    "kind": "image-classification",
    "family": "mlp",
    "seed": 0,
    "config_id": "9c1d02ab44",
    "spec": {
        "task": {"name": "digits"},
        "family": {"name": "mlp", "width": 64},
        "optimization": {"lr": 0.001},
        "regularization": {},
        "data": {"batch_size": 32},
        "budget": {"epochs": 10},
        "seed": 0,
    },
    "changed": {},
    "metric": "accuracy",
    "direction": "maximize",
    "floor": 0.1,
    "ceiling": None,
    "scores": {"val/accuracy": 0.97, "val/loss": 0.1, "test/accuracy": 0.96, "test/loss": 0.12},
    "selection": {"rule": "best-val", "step": 400, "epoch": 10},
    "cost": {
        "seconds": 1.9,
        "steps": 400,
        "epochs": 10.0,
        "num_parameters": 5210,
        "flops_per_step": 123456,
        "peak_memory_mib": 310.5,
        "device": "cpu",
    },
    "determinism": "seeded",
    "digests": {"weights": "w0", "metrics": "m0", "predictions": "p0"},
    "files": {"spec.yaml": "0" * 64},
    "data_sha256": "d" * 64,
    "scorer_sha256": None,
    "environment_id": "e0",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:02Z",
}
"""A completed run, as result.json holds it."""


class Runs:
    """A folder of runs that tests fill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, *, test: float | None = None, val: float | None = None, **changes: Any) -> Path:
        """Write one run, `RESULT` with top-level changes, and return its folder.

        ``test`` and ``val`` are scores of the primary metric; the run id follows from the other fields unless given.
        """
        made = copy.deepcopy(RESULT) | copy.deepcopy(changes)
        if "spec" not in changes:
            made["spec"]["task"]["name"] = made["task"]
        made["run_id"] = made["run_id"] or f"{made['task']}-{made['family']}-s{made['seed']}-{made['config_id']}"
        for split, score in (("test", test), ("val", val)):
            if score is not None:
                made["scores"][f"{split}/{made['metric']}"] = score
        return self.write(self.path / made["run_id"], made)

    def add_seeds(self, scores: Sequence[float], **changes: Any) -> None:
        """Write one completed run for each test score, with seeds 0, 1, 2 and so on."""
        for seed, score in enumerate(scores):
            self.add(test=score, seed=seed, **changes)

    def write(self, folder: Path, content: Mapping[str, Any]) -> Path:
        """Write ``content`` as the result.json of ``folder``, whatever it is."""
        folder.mkdir(exist_ok=True)
        (folder / "result.json").write_text(json.dumps(content))
        return folder

    def add_tuning(self, folder: Path, **changes: Any) -> None:
        """Write the tuning.json of a run."""
        bill = {"schema": 1, "study": "s", "role": "winner", "num_trials": 8, "seconds": 60.0, "device_seconds": 90.0}
        (folder / "tuning.json").write_text(json.dumps(bill | changes))

    def change(self, folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
        """Rewrite a result.json after ``edit`` changed it in place."""
        content = json.loads((folder / "result.json").read_text())
        edit(content)
        self.write(folder, content)

    def write_metrics(self, folder: Path, rows: Sequence[Mapping[str, Any]], *, torn: bytes = b"") -> str:
        """Write metrics.jsonl, with ``torn`` bytes after its last line; return its sha256."""
        folder.mkdir(exist_ok=True)
        content = b"".join(json.dumps(row).encode() + b"\n" for row in rows) + torn
        (folder / "metrics.jsonl").write_bytes(content)
        return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="session")
def make_runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Runs]:
    """Return what makes an empty folder of runs; generated tests need one for each example."""
    return lambda: Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def runs(make_runs: Callable[[], Runs]) -> Runs:
    return make_runs()
