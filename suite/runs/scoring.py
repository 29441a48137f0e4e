"""What follows a training: the selected weights are kept and scored, and the test split is read, once."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from suite.atomic import sha256_of, write_bytes
from suite.engine.data import ResidentSplit
from suite.engine.evaluation import evaluate
from suite.errors import UserError
from suite.learner import Learner
from suite.runs.compressed import read_back
from suite.runs.examples import save_examples
from suite.runs.folder import METRICS, PREDICTIONS, TRAINED, WEIGHTS, RunFolder
from suite.runs.metrics_log import read_curves
from suite.runs.prepare import Prepared
from suite.weights import write_tensors


def score(
    prepared: Prepared,
    folder: RunFolder,
    learner: Learner,
    weights: Mapping[str, Tensor],
    val: ResidentSplit | None,
    digests: Mapping[str, str],
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Load the selected weights and score them; return scores and digests, or that the run diverged.

    The test split is read here, once; a trial of a search never reads it.

    Raises:
        EvaluationStoppedError: ``should_stop`` said so before all was scored.
    """
    spec = prepared.spec
    how: dict[str, Any] = {
        "batch_size": spec.evaluation.batch_size,
        "score": spec.task.score,
        "is_final": True,
        "should_stop": should_stop,
    }
    compression: dict[str, Any] | None = None
    if spec.compression is None:
        learner.to(prepared.device)  # Lightning leaves a GPU's learner on the CPU
        learner.load_selected_weights(weights)
    else:
        learner, compression = read_back(prepared, folder)
    scores: dict[str, float] = {}
    predictions_digest: str | None = None
    if val is not None:
        found, _ = evaluate(learner, val, noise_seed=prepared.evaluation_seed("val"), **how)
        scores |= {f"val/{name}": value for name, value in found.items()}
    test = prepared.resident("test") if spec.evaluation.test else None
    if test is not None:
        found, predictions = evaluate(learner, test, noise_seed=prepared.evaluation_seed("test"), **how)
        scores |= {f"test/{name}": value for name, value in found.items()}
        targets = torch.cat([batch.targets for batch in test.batches(spec.evaluation.batch_size)])
        predictions_digest = _save_predictions(folder, predictions, targets)
        save_examples(folder, learner, test)
    broken = [f"{name} was {value}" for name, value in scores.items() if not math.isfinite(value)]
    if broken:  # weights can leave the numbers in the very last step, where no loss sees it
        message = f"{', '.join(broken)}."
        return {"status": "diverged", "message": message, "scores": {}, "selection": None, "digests": {}}
    curves = read_curves(folder.path / METRICS).digest()
    return {
        "scores": scores,
        "compression": compression,
        "digests": {**digests, "predictions": predictions_digest, "metrics": curves},
    }


def save_weights(folder: RunFolder, weights: Mapping[str, Tensor]) -> str:
    """Write the selected weights; return their sha256."""
    return write_tensors(folder.path / WEIGHTS, weights)


def keep_trained(folder: RunFolder, result: dict[str, Any]) -> None:
    """Note that the training is over and how it ended: a later attempt has only to score the saved weights."""
    folder.write_json(TRAINED, result)


def read_trained(folder: RunFolder) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Return what `keep_trained` wrote and the weights; None where there is nothing, or not as it was written."""
    try:
        result = folder.read_json(TRAINED)
    except UserError:
        return None
    weights = folder.path / WEIGHTS
    if result is None or not weights.is_file() or sha256_of(weights) != result["digests"]["weights"]:
        return None
    return result, safetensors.torch.load(weights.read_bytes())


def _save_predictions(folder: RunFolder, predictions: Tensor, targets: Tensor) -> str:
    buffer = io.BytesIO()
    np.savez(buffer, predictions=predictions.float().cpu().numpy(), targets=targets.cpu().numpy())
    return write_bytes(folder.path / PREDICTIONS, buffer.getvalue())
