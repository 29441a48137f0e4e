"""RNN: a recurrent network that reads the input step by step."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard
from suite.layers import Dropout, Sequence, num_steps
from suite.recurrence import RecurrentLayer, recurrent_layers, run_recurrent
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

CELLS: dict[str, type[RecurrentLayer]] = {"vanilla": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RNN(Family):
    """A vanilla, LSTM or GRU network over time; images go in row by row, vectors value by value.

    Reference: Elman, 1990, Cognitive Science 14 (vanilla); Hochreiter and Schmidhuber, 1997, Neural Computation 9
    (LSTM); Cho et al., 2014, arXiv:1406.1078 (GRU); Schuster and Paliwal, 1997, IEEE TSP 45 (bidirectional).
    """

    name: ClassVar[str] = "rnn"

    cell: Annotated[Literal["vanilla", "lstm", "gru"], CategoricalDistribution(("vanilla", "lstm", "gru"))] = "gru"
    """Recurrent cell."""
    hidden_size: Annotated[int, Bounds(low=1), IntDistribution(8, 256, log=True)] = 64
    """Units per layer and direction."""
    num_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 3)] = 1
    """Recurrent layers."""
    bidirectional: Annotated[bool, CategoricalDistribution((False, True))] = False
    """Read the sequence backwards too."""
    readout: Annotated[Literal["last", "mean", "flatten"], CategoricalDistribution(("last", "mean", "flatten"))] = (
        "last"
    )
    """What the output layer sees: the state after the last step, the mean over steps, or all steps side by side.

    Where every position has an answer, it sees each step's own state instead.
    """
    embedding_size: Annotated[int, Bounds(low=1), IntDistribution(8, 128, log=True), OnCard("vocabulary")] = 32
    """Features that a token becomes, where inputs are tokens."""

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.is_causal and self.bidirectional:
            return "reads backwards too, and here an answer may rest on earlier positions only"
        if len(card.output_shape) > 1 and card.output_shape[0] != num_steps(card):
            return "answers at every step of the sequence, and here the answers are of another number"
        if not card.is_length_fixed and self.readout == "flatten":
            return "puts all steps side by side, and here the splits differ in length"
        return None

    def idle(self, card: Card) -> Mapping[str, str]:
        """Return the read-out where every position gives an answer of its own."""
        return {"readout": "every position has an answer of its own"} if len(card.output_shape) > 1 else {}

    def build(self, card: Card) -> "RNNLearner":
        """Return the learner."""
        return RNNLearner(card, self)


class RNNLearner(SupervisedLearner):
    """Recurrent layers with a dropout place after each, a read-out over time and an affine output."""

    def __init__(self, card: Card, settings: RNN) -> None:
        super().__init__(card)
        self.sequence = Sequence(card, settings.embedding_size)
        width = settings.hidden_size * (2 if settings.bidirectional else 1)
        self.recurrent = recurrent_layers(
            CELLS[settings.cell],
            self.sequence.features,
            settings.hidden_size,
            num_layers=settings.num_layers,
            bidirectional=settings.bidirectional,
        )
        self.dropout = Dropout()
        self.readout = settings.readout
        self.bidirectional = settings.bidirectional
        self.answers_each_step = len(card.output_shape) > 1
        num_read = self.sequence.steps if settings.readout == "flatten" and not self.answers_each_step else 1
        num_outputs = card.output_shape[-1] if self.answers_each_step else card.num_outputs
        self.output = nn.Linear(width * num_read, num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        x = self.sequence(inputs)
        for layer in self.recurrent:
            x = self.dropout(run_recurrent(layer, x))
        outputs: Tensor = self.output(x if self.answers_each_step else self._read_out(x))
        if self.answers_each_step:
            return outputs
        return self.shape_outputs(outputs)

    def _read_out(self, states: Float[Tensor, "batch steps width"]) -> Float[Tensor, "batch read"]:
        if self.readout == "flatten":
            return states.flatten(1)
        if self.readout == "mean":
            return states.mean(dim=1)
        if not self.bidirectional:
            return states[:, -1]
        # The backward direction has read everything when it arrives at the first step.
        forward, backward = states.chunk(2, dim=-1)
        return torch.cat([forward[:, -1], backward[:, 0]], dim=-1)
