"""The blocks of a transformer: self-attention and a perceptron in residual branches, and positions as waves."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from suite.layers import Dropout, DropPath

LONGEST_PERIOD = 10_000
"""Base of the wavelengths of sinusoidal and rotary positions, from both papers (see the family `transformer`)."""


class Block(nn.Module):
    """Self-attention and a perceptron, each in a residual branch with its norm.

    Args:
        width: Features per position; a multiple of ``num_heads``.
        num_heads: Attention heads, which share the width.
        mlp_ratio: Hidden units of the perceptron, as a multiple of the width.
        norm_first: Whether what goes into a branch is normalised, or else the sum that comes out.
        bias: Whether affine layers and norms have biases.
        is_causal: Whether a position sees itself and earlier ones only.
    """

    def __init__(
        self, width: int, *, num_heads: int, mlp_ratio: int, norm_first: bool, bias: bool, is_causal: bool
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.attention_norm = nn.LayerNorm(width, bias=bias)
        self.attention = SelfAttention(width, num_heads=num_heads, bias=bias, is_causal=is_causal)
        self.attention_drop_path = DropPath()
        self.mlp_norm = nn.LayerNorm(width, bias=bias)
        self.mlp = Perceptron(width, ratio=mlp_ratio, bias=bias)
        self.mlp_drop_path = DropPath()

    def forward(
        self, x: Float[Tensor, "batch positions width"], turns: Float[Tensor, "2 positions half"] | None
    ) -> Float[Tensor, "batch positions width"]:
        """Return the features after both branches."""
        if self.norm_first:
            x = x + self.attention_drop_path(self.attention(self.attention_norm(x), turns))
            x = x + self.mlp_drop_path(self.mlp(self.mlp_norm(x)))
        else:
            x = self.attention_norm(x + self.attention_drop_path(self.attention(x, turns)))
            x = self.mlp_norm(x + self.mlp_drop_path(self.mlp(x)))
        return x


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention of a sequence over itself."""

    def __init__(self, width: int, *, num_heads: int, bias: bool, is_causal: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.is_causal = is_causal
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.branch_output = nn.Linear(width, width, bias=bias)
        self.dropout = Dropout()

    def forward(
        self, x: Float[Tensor, "batch positions width"], turns: Float[Tensor, "2 positions half"] | None
    ) -> Float[Tensor, "batch positions width"]:
        """Return the attended features."""
        query, key, value = self._split(x, turns)
        heads = functional.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)
        attended: Tensor = self.dropout(self.branch_output(heads.transpose(1, 2).flatten(2)))
        return attended

    def weights(
        self, x: Float[Tensor, "batch positions width"], turns: Float[Tensor, "2 positions half"] | None
    ) -> Float[Tensor, "batch heads positions positions"]:
        """Return the weights that `forward` sums values with; it never holds them itself."""
        query, key, _ = self._split(x, turns)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        if self.is_causal:
            later = torch.ones(scores.shape[2:], dtype=torch.bool, device=x.device).triu(diagonal=1)
            scores = scores.masked_fill(later, -math.inf)
        return torch.softmax(scores, dim=3)

    def _split(
        self, x: Float[Tensor, "batch positions width"], turns: Float[Tensor, "2 positions half"] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, (batch, heads, positions, size) each."""
        batch, positions, width = x.shape
        joint = self.query_key_value(x).reshape(batch, positions, 3, self.num_heads, width // self.num_heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        if turns is not None:
            query, key = turn(query, turns), turn(key, turns)
        return query, key, value


class Perceptron(nn.Module):
    """One hidden layer, applied to each position."""

    def __init__(self, width: int, *, ratio: int, bias: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, ratio * width, bias=bias)
        self.branch_output = nn.Linear(ratio * width, width, bias=bias)
        self.dropout = Dropout()

    def forward(self, x: Float[Tensor, "batch positions width"]) -> Float[Tensor, "batch positions width"]:
        """Return the transformed features."""
        transformed: Tensor = self.dropout(self.branch_output(functional.gelu(self.hidden(x))))
        return transformed


def waves(length: int, size: int) -> Float[Tensor, "2 length half"]:
    """Return cosines and sines of ``size / 2`` wavelengths, from 2 pi to nearly `LONGEST_PERIOD` times that."""
    rates = LONGEST_PERIOD ** (-torch.arange(0, size - 1, 2) / size)
    angles = torch.arange(length).unsqueeze(1) * rates
    return torch.stack([angles.cos(), angles.sin()])


def turn(
    x: Float[Tensor, "batch heads positions size"], turns: Float[Tensor, "2 positions half"]
) -> Float[Tensor, "batch heads positions size"]:
    """Turn each pair of values by its position's angle; products of two turned vectors see only their distance."""
    cosines, sines = turns
    left, right = x.chunk(2, dim=-1)
    turned = torch.cat([left * cosines - right * sines, left * sines + right * cosines], dim=-1)
    return turned.type_as(x)
