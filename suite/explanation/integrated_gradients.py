"""Integrated gradients: the gradient, summed up on the straight way from an input that says nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch

from suite.explainer import Explainer, Question
from suite.fields import Bounds

if TYPE_CHECKING:
    from torch import Tensor

POINTS_AT_ONCE = 1000
"""Points on the ways of all examples that go through the model together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntegratedGradients(Explainer):
    """Integrate the gradient of the answer along the straight line from a baseline to the input.

    What all positions contribute sums to the difference between the answers to input and baseline.

    Reference: Sundararajan, Taly and Yan, 2017, arXiv:1703.01365; computed by captum (Kokhlikyan et al., 2020,
    arXiv:2009.07896) with a Gauss-Legendre rule.
    Differs from the paper: the baseline of tokens is the mean of what the first layer makes of each, where the paper
    takes an embedding of zeros.
    """

    name: ClassVar[str] = "integrated-gradients"
    packages: ClassVar[tuple[str, ...]] = ("captum",)

    steps: Annotated[int, Bounds(low=1)] = 50
    """Points of the line at which the gradient is taken."""

    def misfit(self, question: Question) -> str | None:
        """Return why the model does not fit: no gradient of its answer reaches the input."""
        with torch.enable_grad():
            features = question.features[:1].detach().requires_grad_()
            answer = question.outputs(features).sum()
        found = torch.autograd.grad(answer, features, allow_unused=True)[0] if answer.requires_grad else None
        if found is None:
            return "needs a gradient of the answer by the input, and this family lets none through"
        return None

    def attribute(self, question: Question) -> Tensor:
        """Return the contribution of each position."""
        from captum.attr import IntegratedGradients as Captum

        attributions: Tensor = Captum(question.outputs).attribute(
            question.features,
            baselines=question.baseline,
            target=question.chosen,
            n_steps=self.steps,
            internal_batch_size=max(POINTS_AT_ONCE, len(question.features)),
        )
        return question.fold(attributions.detach())
