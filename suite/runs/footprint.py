"""What a compressed model costs beside its original: bytes, non-zero parameters and latency, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from suite.batch import Batch
from suite.engine.data import ResidentSplit
from suite.learner import Learner

BATCH_SIZE = 256
"""Examples of the larger of the two batches that are timed."""
NUM_TIMINGS = 31
"""Of each model and batch; the median counts."""
SECONDS = 0.5
"""After this long a batch has been timed enough, if at least `FEWEST_TIMINGS` of each model are there."""
FEWEST_TIMINGS = 5


def footprint(
    compressed: Learner, original: Learner, *, weights: Path, original_weights: Path, train: ResidentSplit
) -> dict[str, Any]:
    """Return the figures of both models; the examples that are timed come from the training split."""
    one, batch = train.gather(slice(0, 1)), train.gather(slice(0, BATCH_SIZE))
    latency_one, original_one = median_seconds((compressed, original), one)
    latency_batch, original_batch = median_seconds((compressed, original), batch)
    return {
        "bytes": weights.stat().st_size,
        "original_bytes": original_weights.stat().st_size,
        "nonzero_parameters": count_nonzero(compressed),
        "original_nonzero_parameters": count_nonzero(original),
        "latency_one_seconds": latency_one,
        "original_latency_one_seconds": original_one,
        "latency_batch_seconds": latency_batch,
        "original_latency_batch_seconds": original_batch,
        "latency_batch_size": len(batch.targets),
    }


@torch.no_grad()
def median_seconds(models: Sequence[Learner], batch: Batch) -> list[float]:
    """Return the median time of one prediction of each model, the models taking turns in one process."""
    times: list[list[float]] = [[] for _ in models]
    for model in models:
        model.predict(batch)  # the first call allocates, and chooses kernels
    begin = time.perf_counter()
    for count in range(NUM_TIMINGS):
        if count >= FEWEST_TIMINGS and time.perf_counter() - begin > SECONDS:
            break
        for model, found in zip(models, times, strict=True):
            start = _now(batch.inputs)
            model.predict(batch)
            found.append(_now(batch.inputs) - start)
    return [statistics.median(found) for found in times]


def count_nonzero(model: Learner) -> int:
    """Return how many values of the parameters are not zero, quantised ones as the numbers that they stand for."""
    return sum(int(torch.count_nonzero(_plain(parameter))) for parameter in model.parameters())


def _plain(parameter: Tensor) -> Tensor:
    tensor = parameter.detach()
    # torchao's tensors are wrappers around whole numbers and their scales.
    return tensor.dequantize() if type(tensor) is not Tensor and hasattr(tensor, "qdata") else tensor


def _now(tensor: Tensor) -> float:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)
    return time.perf_counter()
