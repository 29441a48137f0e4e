"""Occlusion: how much the answer falls when a part of the input is covered."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch

from suite.explainer import Explainer, Question
from suite.fields import Bounds

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Occlusion(Explainer):
    """Cover a window of the input with a baseline and see by how much the answer falls, window by window.

    All channels of a position are covered together. A position has the mean over the windows that it lies in.

    Reference: Zeiler and Fergus, 2014, arXiv:1311.2901; computed by captum (Kokhlikyan et al., 2020, arXiv:2009.07896).
    """

    name: ClassVar[str] = "occlusion"
    packages: ClassVar[tuple[str, ...]] = ("captum",)

    window: Annotated[int, Bounds(low=1)] = 1
    """Positions along each axis that are covered at once."""

    def misfit(self, question: Question) -> str | None:
        """Return why the window does not fit."""
        if self.window > min(question.positions):
            shape = " x ".join(map(str, question.positions))
            return f"`explanation.window <= {min(question.positions)}` must hold on inputs of {shape} positions"
        return None

    def attribute(self, question: Question) -> Tensor:
        """Return by how much the answer falls where each position is covered."""
        from captum.attr import Occlusion as Captum

        features, unit = question.features, question.unit
        # Flat features hold the positions along the one axis that they have, each of `unit` values.
        window = tuple(
            size if size == whole else size * self.window for size, whole in zip(unit, features.shape[1:], strict=True)
        )
        with torch.no_grad():
            attributions: Tensor = Captum(question.outputs).attribute(
                features,
                sliding_window_shapes=window,
                strides=unit,
                baselines=question.baseline,
                target=question.chosen,
            )
        # Every feature of a position has the whole fall: their mean is what the position has.
        return question.fold(attributions) / question.features[0].numel() * math.prod(question.positions)
