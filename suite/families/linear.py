"""Linear: one affine map from the inputs to the outputs."""

import dataclasses
from typing import ClassVar

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.family import Family, needs_whole_input
from suite.layers import Flat
from suite.supervised_learner import SupervisedLearner
from suite.task import Card


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Family):
    """Logistic or linear regression on the flattened input, the baseline of every task.

    Reference: Cox, 1958, JRSS B 20.
    """

    name: ClassVar[str] = "linear"

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        return needs_whole_input(card)

    def build(self, card: Card) -> "LinearLearner":
        """Return the learner."""
        return LinearLearner(card)


class LinearLearner(SupervisedLearner):
    """An affine map of the flattened input."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.flat = Flat(card)
        self.output = nn.Linear(self.flat.size, card.num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        outputs: Tensor = self.output(self.flat(inputs))
        return self.shape_outputs(outputs)
