"""Transformer: self-attention over steps, patches or tokens, as an encoder or as a language model."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from suite.batch import Batch
from suite.errors import UserError
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard
from suite.layers import Dropout, Patches
from suite.networks.attention_blocks import Block, waves
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

PositionsName = Literal["learned", "sinusoidal", "rotary"]
ReadoutName = Literal["mean", "last", "class-token"]

INITIAL_STD = 0.02
"""Standard deviation of initial weights, from GPT-2 (github.com/openai/gpt-2, src/model.py)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Family):
    """Blocks of multi-head self-attention and a two-layer perceptron.

    Signals, vectors and images are cut into patches. Where an answer may rest on earlier positions only, attention is
    causal. Where every position has an answer, each one's own features give it.

    Reference: Vaswani et al., 2017, arXiv:1706.03762; Xiong et al., 2020, arXiv:2002.04745 (norm first); Dosovitskiy
    et al., 2020, arXiv:2010.11929 (patches); Su et al., 2021, arXiv:2104.09864 (rotary); Radford et al., 2019, GPT-2
    (initial weights), as in github.com/karpathy/nanoGPT.
    Differs from the paper: GELU in place of ReLU; no dropout on attention weights; rotary positions turn the two halves
    of a head against each other, not neighbouring values.
    """

    name: ClassVar[str] = "transformer"

    width: Annotated[int, Bounds(low=1), CategoricalDistribution((32, 64, 128, 256))] = 32
    """Features per position."""
    num_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 6)] = 2
    """Blocks."""
    num_heads: Annotated[int, Bounds(low=1), CategoricalDistribution((1, 2, 4, 8))] = 2
    """Attention heads; they share the width."""
    mlp_ratio: Annotated[int, Bounds(low=1), IntDistribution(1, 4)] = 4
    """Hidden units of each perceptron, as a multiple of the width."""
    norm_first: Annotated[bool, CategoricalDistribution((False, True))] = True
    """Normalise what goes into a residual branch (as GPT-2), not the sum that comes out (as the first paper)."""
    bias: Annotated[bool, CategoricalDistribution((False, True))] = True
    """Give biases to the affine layers and norms."""
    positions: Annotated[PositionsName, CategoricalDistribution(("learned", "sinusoidal", "rotary"))] = "learned"
    """How a position enters: a learned vector, fixed waves, or a turn of queries and keys."""
    readout: Annotated[ReadoutName, CategoricalDistribution(("mean", "last", "class-token"))] = "mean"
    """What one answer is read from: the mean over positions, the last position, or a learned token before the first."""
    patch_size: Annotated[
        int, Bounds(low=1), CategoricalDistribution((1, 2, 4)), OnCard("vocabulary", present=False)
    ] = 4
    """Steps of a signal or vector, or pixels along each side of an image, that make a position; tokens are one each."""
    tie_weights: bool = False
    """Use the token embedding as the output layer's weights, in language models."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise UserError(
                f"family.width must be a multiple of family.num_heads, but got {self.width} and {self.num_heads}."
            )
        if self.positions == "rotary" and self.width // self.num_heads % 2:
            raise UserError(
                f"`family.width / family.num_heads` must be even under rotary positions, "
                f"but got {self.width} / {self.num_heads}."
            )
        if self.positions == "sinusoidal" and self.width % 2:
            raise UserError(f"`family.width` must be even under sinusoidal positions, but got {self.width}.")

    def num_positions(self, card: Card) -> int:
        """Return how many patches or tokens one input makes."""
        if card.vocabulary is not None:
            return card.input_shape[0]
        sizes = card.input_shape[-2:] if len(card.input_shape) == 3 else card.input_shape[-1:]
        return math.prod(size // self.patch_size for size in sizes)

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        sizes = card.input_shape[-2:] if len(card.input_shape) == 3 else card.input_shape[-1:]
        if card.vocabulary is None and any(size % self.patch_size for size in sizes):
            return f"cuts inputs into patches of {self.patch_size}, and {card.input_shape} leaves a rest"
        if card.output_shape[:-1] not in ((), (self.num_positions(card),)):
            found = self.num_positions(card)
            return f"answers at {found} positions, and here the answers, {card.output_shape}, are of another number"
        if not card.is_length_fixed and self.positions == "learned":
            return (
                "has one learned vector per position, and here the splits differ in length; with family.positions "
                "sinusoidal or rotary it has none"
            )
        if not card.is_length_fixed and card.vocabulary is None and self.patch_size > 1:
            return f"cuts inputs into patches of {self.patch_size}, and here the splits differ in length"
        if self.tie_weights and not (len(card.output_shape) > 1 and card.output_shape[-1] == card.vocabulary):
            return "ties its output to the token embedding, and here the answers are no tokens"
        if card.is_causal and self.readout == "class-token" and len(card.output_shape) == 1:
            return "puts its class token first, and here it may not see what comes later"
        return None

    def idle(self, card: Card) -> Mapping[str, str]:
        """Return the read-out where every position gives an answer of its own."""
        return {"readout": "every position has an answer of its own"} if len(card.output_shape) > 1 else {}

    def build(self, card: Card) -> "TransformerLearner":
        """Return the learner."""
        return TransformerLearner(card, self)


class TransformerLearner(SupervisedLearner):
    """Embedded positions, blocks, a last norm where norms come first, a read-out and an affine output."""

    waves: Tensor

    def __init__(self, card: Card, settings: Transformer) -> None:
        super().__init__(card)
        width, length = settings.width, settings.num_positions(card)
        self.settings = settings
        self.answers_each_position = len(card.output_shape) > 1
        self.embedding: nn.Module
        if card.vocabulary is None:
            self.embedding = Patches(card, settings.patch_size, width)
        else:
            self.embedding = nn.Embedding(card.vocabulary, width)
        has_class_token = settings.readout == "class-token" and not self.answers_each_position
        length += has_class_token
        self.class_token = nn.Parameter(torch.empty(1, width)) if has_class_token else None
        self.learned_positions = nn.Parameter(torch.empty(length, width)) if settings.positions == "learned" else None
        self.wave_size = width if settings.positions == "sinusoidal" else width // settings.num_heads
        num_waves = 0 if settings.positions == "learned" else length
        self.register_buffer("waves", waves(num_waves, self.wave_size), persistent=False)
        self.embedding_dropout = Dropout()
        self.blocks = nn.ModuleList(
            Block(
                width,
                num_heads=settings.num_heads,
                mlp_ratio=settings.mlp_ratio,
                norm_first=settings.norm_first,
                bias=settings.bias,
                is_causal=card.is_causal,
            )
            for _ in range(settings.num_layers)
        )
        self.last_norm = nn.LayerNorm(width, bias=settings.bias) if settings.norm_first else nn.Identity()
        self.output = nn.Linear(width, card.output_shape[-1], bias=settings.bias)
        self._initialize()
        if settings.tie_weights:
            assert isinstance(self.embedding, nn.Embedding)
            self.output.weight = self.embedding.weight

    def _initialize(self) -> None:
        """Draw the initial weights of GPT-2."""
        settings = self.settings
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.endswith("branch_output.weight"):
                # Each of 2L branches adds to the sum that runs through the net, whose variance shall not grow with L.
                nn.init.normal_(parameter, std=INITIAL_STD / math.sqrt(2 * settings.num_layers))
            elif name == "embedding.weight" and settings.positions == "sinusoidal":
                nn.init.normal_(parameter, std=1 / math.sqrt(settings.width))
            elif parameter.ndim > 1 and not name.startswith("embedding.projection"):
                # Norms keep their ones, and patches torch's fan-in, as in the vision transformer.
                nn.init.normal_(parameter, std=INITIAL_STD)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        x = self._embed(inputs)
        turns = self._waves(x.shape[1]) if self.settings.positions == "rotary" else None
        for block in self.blocks:
            x = block(x, turns)
        x = self.last_norm(x)
        outputs: Tensor = self.output(x if self.answers_each_position else self._read_out(x))
        return outputs

    def attention_maps(self, batch: Batch) -> Tensor:
        """Return the weights of every head; a class token is the first position."""
        x = self._embed(batch.inputs)
        turns = self._waves(x.shape[1]) if self.settings.positions == "rotary" else None
        maps = []
        for block in self.blocks:
            assert isinstance(block, Block)
            maps.append(block.attention.weights(block.attention_norm(x) if block.norm_first else x, turns))
            x = block(x, turns)
        return torch.stack(maps, dim=1)

    def answering_queries(self, num_queries: int) -> Tensor:
        """Return the position that the answer is read from, or all of them alike."""
        if self.settings.readout == "mean":
            return super().answering_queries(num_queries)
        return functional.one_hot(
            torch.tensor(0 if self.class_token is not None else num_queries - 1), num_queries
        ).float()

    def attended_positions(self, shares: Float[Tensor, "batch keys"]) -> Float[Tensor, "batch *positions"]:
        """Return the shares of steps, pixels or tokens, without the class token's own."""
        if self.class_token is not None:
            shares = shares[:, 1:]
        return self.embedding.spread(shares) if isinstance(self.embedding, Patches) else shares

    def _embed(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch positions width"]:
        x: Tensor = self.embedding(inputs)
        if self.settings.positions == "sinusoidal" and isinstance(self.embedding, nn.Embedding):
            x = x * math.sqrt(self.settings.width)  # as large as the waves that are added
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)
        if self.learned_positions is not None:
            x = x + self.learned_positions
        elif self.settings.positions == "sinusoidal":
            x = x + self._waves(x.shape[1]).transpose(0, 1).flatten(1)
        dropped: Tensor = self.embedding_dropout(x)
        return dropped

    def _waves(self, length: int) -> Float[Tensor, "2 positions half"]:
        """Return the table, which was made once for the training length."""
        if length == self.waves.shape[1]:
            return self.waves
        return waves(length, self.wave_size).to(self.waves.device)

    def _read_out(self, x: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch width"]:
        if self.settings.readout == "mean":
            return x.mean(dim=1)
        return x[:, 0 if self.settings.readout == "class-token" else -1]
