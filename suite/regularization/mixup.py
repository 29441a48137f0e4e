"""Mixup: training on weighted sums of two examples and of their targets."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from suite.batch import Batch
from suite.errors import UserError
from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer

SMALLEST_PARAMETER = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixup(Regularizer):
    """Mix each example with another of its batch, by one share per batch drawn from Beta(mixup, mixup).

    Reference: Zhang et al., 2018, arXiv:1710.09412.
    """

    name: ClassVar[str] = "mixup"

    mixup: Annotated[float, Bounds(low=0), FloatDistribution(0.05, 2.0, log=True)] = 0.0
    """Parameter of the Beta distribution that the share is drawn from; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Add the transform; its strength is a buffer so that lanes may differ in it."""
        self.require_real_inputs(learner)
        check_parameter("mixup", self.mixup)
        learner.register_buffer("mixup", torch.tensor([self.mixup, self.mixup]), persistent=False)
        learner.transforms.append(functools.partial(_mix, learner))


def check_parameter(name: str, value: float) -> None:
    """Raise `UserError` where draws from Beta(value, value) lose their sense in fp32: both numbers behind it are 0."""
    if value < SMALLEST_PARAMETER:
        raise UserError(
            f"`{name} = 0 or {name} >= {SMALLEST_PARAMETER:g}` must hold, but got regularization.{name}={value!r}."
        )


def draw_share(parameters: Tensor) -> Tensor:
    """Return a 0-dim draw from Beta(a, b), where ``parameters`` holds a and b."""
    return torch._sample_dirichlet(parameters)[0]


def _mix(learner: Learner, batch: Batch) -> Batch:
    share = draw_share(learner.get_buffer("mixup"))
    partners = torch.randperm(len(batch.targets), device=batch.targets.device)
    inputs = share * batch.inputs + (1 - share) * batch.inputs[partners]
    return Batch(inputs, batch.targets, batch.targets[partners], share)
