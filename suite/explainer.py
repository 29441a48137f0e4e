"""The Explainer base: one way to say which positions of an input an answer rests on."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from suite.fields import Settings
from suite.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from suite.learner import Learner


@dataclasses.dataclass(frozen=True)
class Question:
    """What is to be explained: some examples, and for each the one output that is its answer.

    Methods change ``features``: the inputs themselves where they are real numbers, and what the first layer makes of
    them where they are tokens, which no method could change a little.
    """

    learner: Learner
    inputs: Tensor
    """As the model sees them, (batch, *input_shape)."""
    features: Tensor
    """(batch, *shape)."""
    baseline: Tensor
    """Features that say nothing, (1, *shape): 0 where inputs are real, and the mean over the vocabulary for tokens."""
    outputs: Callable[[Tensor], Tensor]
    """Features to outputs, (batch, outputs)."""
    chosen: Tensor
    """The output of each example that is explained: its predicted class, or 0 where there is one output only."""
    positions: tuple[int, ...]
    """The input's axes but its channels."""
    unit: tuple[int, ...]
    """The part of the features that one position is, as the sizes of a window in them."""
    fold: Callable[[Tensor], Tensor]
    """Values of features to sums over each position, (batch, *shape) to (batch, *positions)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explainer(Settings, ABC):
    """One method; class and configuration are one thing. It draws nothing: one run gives one explanation."""

    group: ClassVar[str] = "explanation"
    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages of the extra `explain` that it needs."""

    def misfit(self, question: Question) -> str | None:
        """Return why the method cannot explain this model, or None when it can."""
        return None

    @abstractmethod
    def attribute(self, question: Question) -> Tensor:
        """Return what each position contributes to the answer, (batch, *positions).

        Its size is the position's relevance; a sign says for or against, where the method knows.
        """


EXPLAINERS: Registry[Explainer] = Registry(
    "explanation method", package="suite.explanation", entry_point_group="boltbench.explanation"
)
