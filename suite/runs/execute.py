"""The life of one run: from a prepared spec to a folder whose result.json says how it ended."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from results.seal import sealed
from suite.atomic import WriteError, write_text
from suite.engine.checkpoints import AtomicCheckpointIO, checkpoints, latest_intact
from suite.engine.data import ResidentSplit
from suite.engine.devices import configure_torch, peak_memory_mib, reset_peak_memory
from suite.engine.evaluation import EvaluationStoppedError
from suite.engine.progress import Row, TrainingState
from suite.engine.training import Outcome, Training
from suite.learner import Learner
from suite.runs.compressed import pack_selected
from suite.runs.environment import fingerprint
from suite.runs.folder import CHECKPOINTS, ENVIRONMENT, ERROR, METRICS, RESULT, RESUMABLE, SPEC, TRAINED, RunFolder
from suite.runs.helpers import RankLostError, shared
from suite.runs.metrics_log import JsonlMetricsLog
from suite.runs.prepare import Prepared
from suite.runs.record import describe_run, now
from suite.runs.scoring import keep_trained, read_trained, save_weights, score


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
        should_stop: Asked at each block edge, and before each batch that is scored in the end; True ends the run as
            interrupted, ready for `boltbench resume`.
        on_edge: Told about each block edge.
        should_prune: Told the primary score of each validation; True ends the run as pruned.
        time_limit_seconds: Seconds of training after which the run ends as timed out.
        force: Forget an earlier result and start anew.

    Returns:
        The result, and whether this call made it.

    Raises:
        RunBusyError: Another process is making this run.
        OSError: The folder could not be written; the run stays as it is, to be resumed. What a task's or a family's
            code raises is no such thing, and makes the run failed.
    """
    hooks = {
        "should_stop": should_stop,
        "on_edge": on_edge,
        "should_prune": should_prune,
        "time_limit_seconds": time_limit_seconds,
    }
    with folder.hold():
        earlier = None if force else folder.result()
        if earlier is not None and not folder.can_go_on():
            return earlier, False
        if force:
            folder.clear()
        folder.withdraw_result()
        configure_torch(threads=prepared.threads, deterministic=prepared.execution.deterministic)
        started = now()
        environment = _start(prepared, folder, started)
        reset_peak_memory(prepared.device)
        try:
            result = _train_and_score(prepared, folder, hooks)
        except WriteError:  # a full disk says nothing about the model: no result is written, and a resume goes on
            raise
        except Exception as error:  # whatever breaks a run is recorded as its outcome; it must not end a plan
            result = _failure(folder, error)
        record = describe_run(
            prepared.spec,
            folder,
            {**result, "transfer": prepared.transfer},
            ids=(prepared.run_id, prepared.config_id),
            is_deterministic=prepared.execution.deterministic,
            environment=environment,
        )
        write_text(folder.path / RESULT, sealed(record))
        _drop_resume_files(folder, record["status"])
        return record, True


def _start(prepared: Prepared, folder: RunFolder, started: str) -> dict[str, Any]:
    """Write spec and fingerprint; note when a resume goes on under another fingerprint."""
    write_text(folder.path / SPEC, prepared.to_yaml())
    (folder.path / CHECKPOINTS).mkdir(exist_ok=True)
    environment = fingerprint(
        prepared.spec,
        prepared.device,
        data_sha256=prepared.card.sha256,
        scorer_sha256=prepared.scorer_sha256,
        num_devices=prepared.execution.num_devices,
    )
    before = folder.environment()
    resumes = before is not None and (
        latest_intact(folder.path / CHECKPOINTS) is not None or read_trained(folder) is not None
    )
    earlier_ids: list[str] = before["earlier_environment_ids"] if before is not None and resumes else []
    if before is not None and resumes and before["environment_id"] != environment["environment_id"]:
        earlier_ids = [*earlier_ids, before["environment_id"]]
    environment["earlier_environment_ids"] = earlier_ids
    environment["started_at"] = before["started_at"] if before is not None and resumes else started
    folder.write_json(ENVIRONMENT, environment)
    return environment


def _train_and_score(prepared: Prepared, folder: RunFolder, hooks: dict[str, Any]) -> dict[str, Any]:
    """Train, unless an earlier attempt came to the end of it, and score what was selected."""
    learner, val = prepared.build_learner(), prepared.resident("val")
    found = read_trained(folder)
    if found is None:
        result, weights = _train(prepared, folder, learner, val, hooks)
        if result["status"] != "completed":
            return result
        if prepared.spec.compression is not None:
            weights = pack_selected(prepared, learner, weights)
        result["digests"] = {"weights": save_weights(folder, weights)}
    else:
        result, weights = found
    try:
        return result | score(prepared, folder, learner, weights, val, result["digests"], hooks["should_stop"])
    except WriteError:
        raise
    except EvaluationStoppedError:
        keep_trained(folder, result)
        return result | {"status": "interrupted", "message": "Stopped while its weights were scored."}
    except Exception as error:  # the training is not to blame: its cost counts, and `boltbench resume` scores again
        keep_trained(folder, result)
        return result | _failure(folder, error)


def _train(
    prepared: Prepared,
    folder: RunFolder,
    learner: Learner,
    val: ResidentSplit | None,
    hooks: dict[str, Any],
) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Return how the training ended, without scores, and the selected weights."""
    train = prepared.resident("train")
    assert train is not None, "a task has training examples"
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
        if spec.trains:
            with shared(prepared, latest_intact(folder.path / CHECKPOINTS)) as training.ranks:
                outcome, weights = training.run()
        else:  # some compressed models are made without a training
            outcome, weights = Outcome("completed"), learner.selected_weights()
    except RankLostError as error:
        outcome, weights = Outcome("interrupted", str(error)), {}
    finally:
        log.close()
    state = training.state
    best = spec.evaluation.selection == "best-val"
    selection = {
        "rule": spec.evaluation.selection,
        "step": state.best_step if best else state.step,
        "epoch": state.best_epoch if best else state.epoch,
    }
    return {
        "status": outcome.status,
        "message": outcome.message,
        "scores": {},
        "selection": selection if outcome.status == "completed" else None,
        "cost": {
            "seconds": round(state.seconds, 3),
            "steps": state.step,
            "epochs": round(state.epoch, 4),
            "num_parameters": sum(parameter.numel() for parameter in learner.parameters()),  # frozen ones too
            "flops_per_step": prepared.flops_per_step,
            "flops_per_example": round(prepared.flops_per_step / prepared.examples_per_step, 1),
            "peak_memory_mib": round(peak_memory_mib(prepared.device), 1),
            "device": prepared.device.type,
        },
    }, weights


def _failure(folder: RunFolder, error: Exception) -> dict[str, Any]:
    """Keep the traceback of ``error`` and return the outcome that it is."""
    write_text(folder.path / ERROR, "".join(traceback.format_exception(error)))
    status = "out-of-memory" if _is_out_of_memory(error) else "failed"
    return {"status": status, "message": f"{type(error).__name__}: {error}".strip()[:2000], "scores": {}}


def _drop_resume_files(folder: RunFolder, status: str) -> None:
    """Remove what only a resume needs: the run is over, and its result is on disk."""
    if status in RESUMABLE:
        return
    for path in checkpoints(folder.path / CHECKPOINTS):
        AtomicCheckpointIO().remove_checkpoint(path)
    if status in ("completed", "diverged"):
        (folder.path / TRAINED).unlink(missing_ok=True)


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU's allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
