"""Gradient clipping: no step follows a gradient longer than a given norm."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import torch

from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer

EPSILON = 1e-6
"""Added to the norm that the gradient has, as torch adds it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientClipping(Regularizer):
    """Scale the gradient of all parameters down to the given Euclidean norm where it is longer.

    Reference: Pascanu et al., 2013, arXiv:1211.5063.
    """

    name: ClassVar[str] = "gradient-clipping"

    gradient_clipping: Annotated[float | None, Bounds(low=0, open_low=True), FloatDistribution(0.1, 10.0, log=True)] = (
        None
    )
    """Largest norm of the whole gradient; none is off."""

    def attach(self, learner: Learner) -> None:
        """Clip between backward and the optimiser's step; the norm is a buffer so that lanes may differ in it."""
        assert self.gradient_clipping is not None, "attached only when it is on"
        learner.register_buffer("gradient_clipping", torch.tensor(self.gradient_clipping), persistent=False)
        learner.after_backward.append(functools.partial(clip, learner))


@torch.no_grad()
def clip(learner: Learner) -> None:
    """Clip all gradients in place, to the bits of `torch.nn.utils.clip_grad_norm_`, which takes a Python float."""
    gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    # A reciprocal and a product, as torch divides a number by a tensor: a quotient rounds otherwise.
    share = (norm + EPSILON).reciprocal() * learner.get_buffer("gradient_clipping")
    torch._foreach_mul_(gradients, share.clamp(max=1.0))
