"""Attention: a recurrent encoder whose states are weighed by a learned query, and summed."""

import dataclasses
import math
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.batch import Batch
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard
from suite.layers import Dropout, Sequence
from suite.recurrence import RecurrentLayer, recurrent_layers, run_recurrent
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

CELLS: dict[str, type[RecurrentLayer]] = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention(Family):
    """An LSTM or GRU, and attention over its states; images go in row by row, vectors value by value.

    `AttentionLearner.attention_weights` tells which steps an answer rests on.

    Reference: Bahdanau et al., 2015, arXiv:1409.0473 (additive); Vaswani et al., 2017, arXiv:1706.03762 (scaled dot
    product); Yang et al., 2016, NAACL (a learned query for classification).
    Differs from the paper: one learned query in place of a decoder's states, since there is one answer.
    """

    name: ClassVar[str] = "attention"

    cell: Annotated[Literal["lstm", "gru"], CategoricalDistribution(("lstm", "gru"))] = "lstm"
    """Recurrent cell."""
    hidden_size: Annotated[int, Bounds(low=1), IntDistribution(8, 256, log=True)] = 24
    """Units per layer and direction."""
    num_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 3)] = 1
    """Recurrent layers."""
    bidirectional: Annotated[bool, CategoricalDistribution((False, True))] = True
    """Read the sequence backwards too."""
    score: Annotated[Literal["additive", "scaled-dot"], CategoricalDistribution(("additive", "scaled-dot"))] = (
        "additive"
    )
    """How a state is held against the query: through a hidden layer of tanh units, or by a scaled dot product."""
    attention_size: Annotated[int, Bounds(low=1), IntDistribution(8, 128, log=True)] = 32
    """Values in the query, and units of the additive score's hidden layer."""
    embedding_size: Annotated[int, Bounds(low=1), IntDistribution(8, 128, log=True), OnCard("vocabulary")] = 32
    """Features that a token becomes, where inputs are tokens."""

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if len(card.output_shape) > 1:
            return "sums the whole sequence up for one answer, and here there are several"
        return None

    def build(self, card: Card) -> "AttentionLearner":
        """Return the learner."""
        return AttentionLearner(card, self)


class AttentionLearner(SupervisedLearner):
    """Recurrent layers, weights over their steps, and an affine output of the weighted sum."""

    def __init__(self, card: Card, settings: Attention) -> None:
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
        self.is_additive = settings.score == "additive"
        # A bias would add the same to every scaled dot product, which the softmax does not see.
        self.key = nn.Linear(width, settings.attention_size, bias=self.is_additive)
        self.query = nn.Parameter(torch.randn(settings.attention_size) / math.sqrt(settings.attention_size))
        self.weight_dropout = Dropout()
        self.output_dropout = Dropout()
        self.output = nn.Linear(width, card.num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Return the outputs, of the card's output shape."""
        states = self._encode(inputs)
        weights = self.weight_dropout(self._weigh(states))
        summary = (weights.unsqueeze(1) @ states).squeeze(1)
        outputs: Tensor = self.output(self.output_dropout(summary))
        return outputs

    def attention_weights(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch steps"]:
        """Return the share of each step in the answer, before dropout; the shares of an input sum to one."""
        return self._weigh(self._encode(inputs))

    def attention_maps(self, batch: Batch) -> Tensor:
        """Return `attention_weights` as one head of one layer, with one query."""
        return self.attention_weights(batch.inputs)[:, None, None, None]

    def attended_positions(self, shares: Float[Tensor, "batch steps"]) -> Float[Tensor, "batch *positions"]:
        """Return the shares of steps; of an image, where a step is a row, those of its pixels."""
        if len(self.card.input_shape) < 3:
            return shares
        columns = self.card.input_shape[2]
        return shares.unsqueeze(2).expand(-1, -1, columns) / columns

    def _encode(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch steps width"]:
        states: Tensor = self.sequence(inputs)
        for layer in self.recurrent:
            states = run_recurrent(layer, states)
        return states

    def _weigh(self, states: Float[Tensor, "batch steps width"]) -> Float[Tensor, "batch steps"]:
        keys = self.key(states)
        keys = torch.tanh(keys) if self.is_additive else keys / math.sqrt(len(self.query))
        scores: Tensor = keys @ self.query
        return torch.softmax(scores, dim=1)
