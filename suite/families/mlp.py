"""MLP: a multilayer perceptron on the flattened input."""

import dataclasses
import itertools
from typing import Annotated, ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.errors import UserError
from suite.family import Family, needs_whole_input
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, Unless, When
from suite.layers import Dropout, Flat, activation
from suite.normalization import NormName, check_groups, placed_norm
from suite.supervised_learner import SupervisedLearner
from suite.task import Card


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Family):
    """Fully connected hidden layers, by default of one width.

    Reference: Rumelhart, Hinton and Williams, 1986, Nature 323; with ``residual`` and 2 layers of 256 it is the MLP
    of Greydanus and Kobak, 2024, arXiv:2011.14439.
    """

    name: ClassVar[str] = "mlp"

    width: Annotated[int, Bounds(low=1), IntDistribution(16, 512, log=True), When("widths", ())] = 64
    """Units per hidden layer."""
    num_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 4), When("widths", ())] = 2
    """Hidden layers."""
    activation: Annotated[Literal["relu", "tanh", "gelu"], CategoricalDistribution(("relu", "tanh", "gelu"))] = "relu"
    """Nonlinearity after each hidden layer."""
    residual: Annotated[bool, CategoricalDistribution((False, True)), Unless("num_layers", 1)] = False
    """Add the input of each hidden layer but the first to its output."""
    norm: Annotated[NormName, CategoricalDistribution(("none", "batch", "layer"))] = "none"
    """Normalisation between each hidden layer and its nonlinearity."""
    num_groups: Annotated[int, Bounds(low=1), When("norm", "group")] = 8
    """Groups of units under group norm; they divide the width."""
    widths: Annotated[tuple[int, ...], Bounds(low=1)] = ()
    """Units of each hidden layer, where they differ; width and num_layers then say nothing, and must not be given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.norm, self.hidden_widths, self.num_groups, field="widths" if self.widths else "width")
        if not self.widths:
            return
        given = [name for name in ("width", "num_layers") if name in self.changed()]
        if given:
            raise UserError(
                f"family.widths says how many layers there are and how wide, but got family.{given[0]} beside it. "
                "Give either the one or the other."
            )
        if self.residual and len(set(self.widths)) > 1:
            raise UserError(f"All of family.widths must be equal under family.residual, but got {list(self.widths)}.")

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return self.widths or (self.width,) * self.num_layers

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        return needs_whole_input(card)

    def build(self, card: Card) -> "MLPLearner":
        """Return the learner."""
        return MLPLearner(card, self)


class MLPLearner(SupervisedLearner):
    """Hidden layers with a norm, a nonlinearity and a dropout place each, then an affine output."""

    def __init__(self, card: Card, settings: MLP) -> None:
        super().__init__(card)
        self.flat = Flat(card)
        widths = [self.flat.size, *settings.hidden_widths]
        self.hidden = nn.ModuleList(
            nn.Sequential(
                nn.Linear(before, after),
                *placed_norm(settings.norm, after, num_groups=settings.num_groups),
                activation(settings.activation),
                Dropout(),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.residual = settings.residual
        self.output = nn.Linear(widths[-1], card.num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        x = self.flat(inputs)
        for index, layer in enumerate(self.hidden):
            x = x + layer(x) if self.residual and index > 0 else layer(x)
        outputs: Tensor = self.output(x)
        return self.shape_outputs(outputs)
