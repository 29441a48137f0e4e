"""The life of one run: from a prepared spec to a folder whose result.json says how it ended."""

from __future__ import annotations

import dataclasses
import datetime
import io
import math
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from suite.atomic import write_bytes, write_text
from suite.engine.checkpoints import AtomicCheckpointIO, checkpoints, latest_intact
from suite.engine.data import ResidentSplit
from suite.engine.devices import configure_torch, peak_memory_mib, reset_peak_memory
from suite.engine.evaluation import evaluate
from suite.engine.progress import Row, TrainingState
from suite.engine.training import Training
from suite.layers import count_parameters
from suite.learner import Learner
from suite.runs.environment import fingerprint
from suite.runs.folder import CHECKPOINTS, ENVIRONMENT, ERROR, METRICS, PREDICTIONS, SPEC, WEIGHTS, RunFolder
from suite.runs.metrics_log import JsonlMetricsLog, read_curves
from suite.runs.prepare import Prepared
from suite.spec import PROTOCOL

SCHEMA = 1
"""Version of result.json's layout."""

RESUMABLE = ("planned", "interrupted", "lost")
"""Statuses of a run that `boltbench resume` goes on with."""


def execute(
    prepared: Prepared,
    folder: RunFolder,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_edge: Callable[[TrainingState, Row], None] = lambda _state, _row: None,
    should_prune: Callable[[TrainingState, float], bool] = lambda _state, _score: False,
    time_limit_seconds: float | None = None,
    force: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Make the run, or go on with it, or return what there is when it is done.

    Args:
        prepared: What to run.
        folder: Where; a folder with a final result is left as it is, unless ``force``.
        should_stop: Asked at each block edge; True ends the run as interrupted, ready for `boltbench resume`.
        on_edge: Told about each block edge.
        should_prune: Told the primary score of each validation; True ends the run as pruned.
        time_limit_seconds: Seconds of training after which the run ends as timed out.
        force: Forget an earlier result and start anew.

    Returns:
        The result, and whether this call made it.

    Raises:
        RunBusyError: Another process is making this run.
        OSError: The folder could not be written; the run stays as it is, to be resumed.
    """
    hooks = {
        "should_stop": should_stop,
        "on_edge": on_edge,
        "should_prune": should_prune,
        "time_limit_seconds": time_limit_seconds,
    }
    with folder.hold():
        earlier = None if force else folder.result()
        if earlier is not None and earlier["status"] not in RESUMABLE:
            return earlier, False
        if force:
            folder.clear()
        folder.withdraw_result()
        configure_torch(threads=prepared.threads, deterministic=prepared.execution.deterministic)
        started = _now()
        environment = _start(prepared, folder, started)
        reset_peak_memory(prepared.device)
        try:
            result = _train_and_score(prepared, folder, hooks)
        except OSError:  # a full disk says nothing about the model: no result is written, and a resume goes on
            raise
        except Exception as error:  # whatever breaks a run is recorded as its outcome; it must not end a plan
            status = "out-of-memory" if _is_out_of_memory(error) else "failed"
            write_text(folder.path / ERROR, traceback.format_exc())
            result = {"status": status, "message": f"{type(error).__name__}: {error}".strip()[:2000], "scores": {}}
        record = _record(prepared, folder, environment, result, started)
        folder.write_json("result.json", record)
        if record["status"] not in RESUMABLE:
            _drop_resume_files(folder)
        return record, True


def _start(prepared: Prepared, folder: RunFolder, started: str) -> dict[str, Any]:
    """Write spec and fingerprint; note when a resume goes on under another fingerprint."""
    write_text(folder.path / SPEC, prepared.to_yaml())
    (folder.path / CHECKPOINTS).mkdir(exist_ok=True)
    environment = fingerprint(prepared.spec, prepared.device, data_sha256=prepared.card.sha256)
    before = folder.environment()
    resumes = before is not None and latest_intact(folder.path / CHECKPOINTS) is not None
    earlier_ids: list[str] = before["earlier_environment_ids"] if before is not None and resumes else []
    if before is not None and resumes and before["environment_id"] != environment["environment_id"]:
        earlier_ids = [*earlier_ids, before["environment_id"]]
    environment["earlier_environment_ids"] = earlier_ids
    environment["started_at"] = before["started_at"] if before is not None and resumes else started
    folder.write_json(ENVIRONMENT, environment)
    return environment


def _train_and_score(prepared: Prepared, folder: RunFolder, hooks: dict[str, Any]) -> dict[str, Any]:
    learner = prepared.build_learner()
    train = prepared.resident("train")
    assert train is not None, "a task has training examples"
    val = prepared.resident("val")
    spec = prepared.spec
    log = JsonlMetricsLog(folder.path / METRICS)
    training = Training(
        learner=learner,
        loader=prepared.build_loader(train),
        val=val,
        score=spec.task.score,
        evaluation_seed=prepared.evaluation_seed("val"),
        optimization=spec.optimization,
        evaluation=spec.evaluation,
        budget=spec.budget if prepared.stop_step is None else dataclasses.replace(spec.budget, seconds=None),
        log=log,
        checkpoint_directory=folder.path / CHECKPOINTS,
        checkpoint_seconds=prepared.execution.checkpoint_seconds,
        **hooks,
    )
    try:
        outcome, weights = training.run()
    finally:
        log.close()
    state = training.state
    result: dict[str, Any] = {
        "status": outcome.status,
        "message": outcome.message,
        "scores": {},
        "selection": None,
        "cost": {
            "seconds": round(state.seconds, 3),
            "steps": state.step,
            "epochs": round(state.epoch, 4),
            "num_parameters": count_parameters(learner),
            "flops_per_step": prepared.flops_per_step,
            "peak_memory_mib": round(peak_memory_mib(prepared.device), 1),
            "device": prepared.device.type,
        },
    }
    if outcome.status == "completed":
        result |= _score(prepared, folder, learner, weights, val, state)
    return result


def _score(
    prepared: Prepared,
    folder: RunFolder,
    learner: Learner,
    weights: Mapping[str, Tensor],
    val: ResidentSplit | None,
    state: TrainingState,
) -> dict[str, Any]:
    """Load the selected weights and read the test split, once; a trial of a search never does."""
    spec = prepared.spec
    how: dict[str, Any] = {"batch_size": spec.evaluation.batch_size, "score": spec.task.score}
    learner.to(prepared.device)  # Lightning leaves a GPU's learner on the CPU
    learner.load_selected_weights(weights)
    digests: dict[str, str | None] = {"weights": _save_weights(folder, weights), "predictions": None}
    scores: dict[str, float] = {}
    if val is not None:
        found, _ = evaluate(learner, val, noise_seed=prepared.evaluation_seed("val"), **how)
        scores |= {f"val/{name}": value for name, value in found.items()}
    test = prepared.resident("test") if spec.evaluation.test else None
    if test is not None:
        found, predictions = evaluate(learner, test, noise_seed=prepared.evaluation_seed("test"), **how)
        scores |= {f"test/{name}": value for name, value in found.items()}
        digests["predictions"] = _save_predictions(folder, predictions, test.targets)
    broken = [f"{name} was {value}" for name, value in scores.items() if not math.isfinite(value)]
    if broken:  # weights can leave the numbers in the very last step, where no loss sees it
        return {"status": "diverged", "message": f"{', '.join(broken)}.", "scores": {}}
    best = spec.evaluation.selection == "best-val"
    return {
        "scores": scores,
        "selection": {
            "rule": spec.evaluation.selection,
            "step": state.best_step if best else state.step,
            "epoch": state.best_epoch if best else state.epoch,
        },
        "digests": {**digests, "metrics": read_curves(folder.path / METRICS).digest()},
    }


def _save_weights(folder: RunFolder, weights: Mapping[str, Tensor]) -> str:
    return write_bytes(
        folder.path / WEIGHTS,
        safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in weights.items()}),
    )


def _save_predictions(folder: RunFolder, predictions: Tensor, targets: Tensor) -> str:
    buffer = io.BytesIO()
    np.savez(buffer, predictions=predictions.float().cpu().numpy(), targets=targets.cpu().numpy())
    return write_bytes(folder.path / PREDICTIONS, buffer.getvalue())


def _record(
    prepared: Prepared, folder: RunFolder, environment: dict[str, Any], result: dict[str, Any], started: str
) -> dict[str, Any]:
    spec, card = prepared.spec, prepared.card
    same_place = not environment["earlier_environment_ids"]
    return {
        "schema": SCHEMA,
        "protocol": PROTOCOL,
        "run_id": prepared.run_id,
        "config_id": prepared.config_id,
        "status": result["status"],
        "message": result["message"],
        "task": spec.task.name,
        "kind": card.kind,
        "family": spec.family.name,
        "seed": spec.seed,
        "spec": spec.to_mapping(),
        "changed": spec.changed(),
        "metric": card.metric,
        "direction": card.direction,
        "floor": card.floor,
        "ceiling": card.ceiling,
        "scores": result["scores"],
        "selection": result.get("selection"),
        "cost": result.get("cost"),
        "determinism": "deterministic" if prepared.execution.deterministic and same_place else "seeded",
        "digests": result.get("digests", {}),
        "data_sha256": card.sha256,
        "environment_id": environment["environment_id"],
        "started_at": environment["started_at"],
        "finished_at": _now(),
        "files": folder.file_digests(),
    }


def _drop_resume_files(folder: RunFolder) -> None:
    """Remove the checkpoints that only a resume needs: the run is over, and its result is on disk."""
    for path in checkpoints(folder.path / CHECKPOINTS):
        AtomicCheckpointIO().remove_checkpoint(path)


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU's allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
