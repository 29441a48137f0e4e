"""Distill: a student of its own shape learns from a teacher's answers, beside those of the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from suite.batch import Batch
from suite.compressor import Compressor
from suite.errors import UserError
from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.probe import computed_layers
from suite.supervised_learner import SupervisedLearner
from suite.targets import NO_TARGET


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(Compressor):
    """Train a student on the softened answers of a teacher, a finished run, and on the task's own targets.

    ``--student FAMILY`` and ``--family.NAME`` shape the student; the other settings are the teacher's where no flag
    changes them. Answers that are real numbers are learnt by their squared error, without a temperature.

    Reference: Hinton et al., 2015, arXiv:1503.02531; features Tung and Mori, 2019, arXiv:1907.09682 (the likeness of
    the examples of a batch to each other, which needs no layer between features of two sizes).
    """

    name: ClassVar[str] = "distill"
    has_own_spec: ClassVar[bool] = True

    temperature: Annotated[float, Bounds(low=0, open_low=True), FloatDistribution(1.0, 20.0, log=True)] = 4.0
    """What the logits of both are divided by before they are compared."""
    soft_share: Annotated[float, Bounds(0, 1), FloatDistribution(0.1, 1.0)] = 0.9
    """Share of the teacher's answers in the loss; the rest is the task's own objective."""
    feature_weight: Annotated[float, Bounds(low=0), FloatDistribution(1.0, 10_000.0, log=True)] = 0.0
    """Weight of the likenesses between the examples of a batch, by what goes into the last layer; 0 is off."""

    @property
    def trains(self) -> bool:
        """Whether there is a training: always."""
        return True

    def attach(self, learner: Learner, parent: Learner, total_steps: int | None) -> None:
        """Let the teacher's answers into the student's loss."""
        if not isinstance(learner, SupervisedLearner) or type(learner).losses is not SupervisedLearner.losses:
            raise UserError(
                "A student learns by the task's own objective, but the family of this one brings a loss of its own. "
                "Take another --student."
            )
        features = [Features(model) for model in (learner, parent)] if self.feature_weight > 0 else []
        # In a closure, not an attribute: the teacher is no part of the student, nor of its weights.
        learner.rewrites.append(self._rewrite(learner, parent, features))

    def _rewrite(
        self, learner: SupervisedLearner, teacher: Learner, features: list[Features]
    ) -> Callable[[Batch, Tensor, Tensor], Tensor]:
        def distilled(batch: Batch, outputs: Tensor, total: Tensor) -> Tensor:
            seen = [feature.take() for feature in features[:1]]
            with torch.no_grad():
                answers = teacher.predict(batch)
                seen += [feature.take() for feature in features[1:]]
            if learner.card.objective == "squared-error":
                soft = functional.mse_loss(outputs, answers)
            else:
                soft = self.temperature**2 * divergence(outputs, answers, batch.targets, self.temperature)
            loss = (1 - self.soft_share) * total + self.soft_share * soft
            return loss + self.feature_weight * unlikeness(*seen) if seen else loss

        return distilled


def divergence(
    outputs: Float[Tensor, "*batch classes"],
    answers: Float[Tensor, "*batch classes"],
    targets: Int[Tensor, "*batch"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the mean Kullback-Leibler divergence of the outputs from the answers, where there is a target."""
    ours = functional.log_softmax(outputs.float() / temperature, dim=-1)
    theirs = functional.log_softmax(answers.float() / temperature, dim=-1)
    each = (theirs.exp() * (theirs - ours)).sum(dim=-1)
    answered = (targets != NO_TARGET).to(each.dtype)
    return (each * answered).sum() / answered.sum()


def unlikeness(one: Float[Tensor, "batch one"], other: Float[Tensor, "batch other"]) -> Float[Tensor, ""]:
    """Return how far apart two models see the examples of a batch: 0 where every pair is as alike to both."""
    likenesses = [functional.normalize(features @ features.T, dim=1) for features in (one, other)]
    return (likenesses[0] - likenesses[1]).square().mean()


class Features:
    """What goes into the layer of a model that is computed last, at its latest prediction."""

    def __init__(self, model: Learner) -> None:
        layers = computed_layers(model)
        if not layers:
            raise UserError(
                "compression.feature_weight compares what goes into the last layer, but one of the two models has no "
                "linear or convolutional layer. Leave it at 0."
            )
        self._latest: Tensor | None = None
        layers[-1][1].register_forward_pre_hook(self._keep)

    def _keep(self, _layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._latest = inputs[0]

    def take(self) -> Float[Tensor, "batch features"]:
        """Return the features, one row per example, and forget them."""
        assert self._latest is not None, "the model has predicted"
        latest, self._latest = self._latest, None
        return latest.flatten(1).float()
