"""Scoring a split, and the named rule by which the weights that count are chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from torch import Tensor

from suite.fields import Bounds, Settings
from suite.seeds import seed_torch

Score = Callable[[Tensor, Tensor], dict[str, float]]
"""(predictions, targets) of a whole split -> scores by name."""

if TYPE_CHECKING:
    from suite.batch import Batch
    from suite.engine.data import ResidentSplit
    from suite.learner import Learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Settings):
    """When val is scored and which weights are kept; test is scored once, after that choice."""

    group: ClassVar[str] = "evaluation"

    selection: Literal["best-val", "last"] = "best-val"
    """Rule that picks the weights: the best val score (the earliest of equals), or those of the last step."""
    every_steps: Annotated[int | None, Bounds(low=1)] = None
    """Steps between two validations; none is once per epoch. The last step is always validated."""
    batch_size: Annotated[int, Bounds(low=1)] = 1000
    """Examples scored at once; it changes speed, memory and which samples a generator draws."""
    test: bool = True
    """Score test after training. A search never does: its trials have no test score and enter no leaderboard."""


class EvaluationStoppedError(Exception):
    """Somebody wished the scoring of a split to end before its last batch."""


@torch.no_grad()
def evaluate(
    learner: Learner,
    split: ResidentSplit,
    *,
    batch_size: int,
    score: Score,
    noise_seed: int,
    is_final: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[dict[str, float], Tensor]:
    """Return the scores of ``learner`` on ``split`` and its predictions, leaving its mode as it was.

    Scores are those of the task's metrics, and the means of the learner's own.

    Args:
        learner: What to score; its averaged weights where there are any.
        split: On what.
        batch_size: Examples predicted at once.
        score: (predictions, targets) of the whole split -> scores by name; it reads the device once.
        noise_seed: Seeds what predictions draw: samples of a generator are the same at every evaluation.
        is_final: Whether this is the end of a run, where a learner gives also the scores that are dear.
        should_stop: Asked before each batch: samples of a generator may take minutes.

    Raises:
        EvaluationStoppedError: ``should_stop`` said so.
    """
    was_training = learner.training
    learner.eval()
    seed_torch(noise_seed)
    try:
        with learner.averaged():
            # Predictions first: what scores draw must not change the samples of a generator.
            batches = [
                (learner.predict(batch), batch.targets) for batch in _until(should_stop, split.batches(batch_size))
            ]
            own = _means(learner.scores, _until(should_stop, split.batches(batch_size)))
            if is_final:
                own |= _means(learner.final_scores, _until(should_stop, split.batches(batch_size)))
    finally:
        learner.train(was_training)
    predictions = torch.cat([predicted for predicted, _ in batches])
    scores = score(predictions.float(), torch.cat([targets for _, targets in batches]))
    for name in own:
        assert name not in scores, f"{name} is the name of a metric of the task"
    return scores | own, predictions


def _until(should_stop: Callable[[], bool], batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if should_stop():
            raise EvaluationStoppedError
        yield batch


def _means(scores: Callable[[Batch], dict[str, Tensor]], batches: Iterable[Batch]) -> dict[str, float]:
    """Return the mean over all examples of each score that a learner gives per example."""
    found: dict[str, list[Tensor]] = {}
    for batch in batches:
        of_batch = scores(batch)
        if not of_batch:
            break
        for name, values in of_batch.items():
            found.setdefault(name, []).append(values)
    return {name: float(torch.cat(values).double().mean()) for name, values in found.items()}
