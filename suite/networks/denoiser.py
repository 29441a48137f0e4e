"""Networks that look at a noisy example and at how noisy it is: residual layers for vectors, a U-Net for the rest."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from suite.layers import Dropout
from suite.normalization import GroupNorm

EMBEDDING_SIZE = 64
"""Waves that a noise level becomes."""
LEVEL_SCALE = 1000.0
"""A level in [0, 1] is embedded as a position up to this, as the thousand steps of the first paper."""
NUM_VALUE_WAVES = 16
FINEST_WAVE = 100.0
"""Waves of a value in a vector: the longest has a period of 8, and the finest is this many times finer."""
MAX_GROUPS = 8


class LevelEmbedding(nn.Module):
    """Noise levels in [0, 1] as features: sines and cosines of many wavelengths, through one hidden layer.

    Reference: Vaswani et al., 2017, arXiv:1706.03762 (waves); Ho et al., 2020, arXiv:2006.11239.
    """

    rates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = EMBEDDING_SIZE // 2
        rates = LEVEL_SCALE * 10_000 ** (-torch.arange(half) / half)
        self.register_buffer("rates", rates, persistent=False)
        self.layers = nn.Sequential(nn.Linear(EMBEDDING_SIZE, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, levels: Float[Tensor, " batch"]) -> Float[Tensor, "batch width"]:
        """Return the features."""
        angles = levels.unsqueeze(1) * self.rates
        features: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return features


class VectorDenoiser(nn.Module):
    """Residual layers of one width over vectors; each sees the noise level.

    Beside the values themselves, the first layer sees waves of them, for what sets examples apart may be a hundred
    times smaller than their spread, and layers of this kind learn such detail very late.

    Reference: Tancik et al., 2020, arXiv:2006.10739 (waves).
    """

    rates: Tensor

    def __init__(self, num_values: int, width: int, num_layers: int) -> None:
        super().__init__()
        rates = math.pi / 4 * FINEST_WAVE ** (torch.arange(NUM_VALUE_WAVES) / (NUM_VALUE_WAVES - 1))
        self.register_buffer("rates", rates, persistent=False)
        self.level = LevelEmbedding(width)
        self.entry = nn.Linear(num_values * (1 + 2 * NUM_VALUE_WAVES), width)
        self.layers = nn.ModuleList(_ResidualLayer(width) for _ in range(num_layers))
        self.output = nn.Linear(width, num_values)

    def forward(
        self, noisy: Float[Tensor, "batch values"], levels: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch values"]:
        """Return one number for each value."""
        level = self.level(levels)
        angles = (noisy.unsqueeze(2) * self.rates).flatten(1)
        x = self.entry(torch.cat([noisy, angles.sin(), angles.cos()], dim=1))
        for layer in self.layers:
            x = layer(x, level)
        outputs: Tensor = self.output(functional.silu(x))
        return outputs


class _ResidualLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.level = nn.Linear(width, width, bias=False)
        self.dropout = Dropout()
        self.branch_output = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "batch width"], level: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch width"]:
        hidden = functional.silu(self.hidden(functional.silu(x)) + self.level(level))
        summed: Tensor = x + self.branch_output(self.dropout(hidden))
        return summed


class UNet(nn.Module):
    """Residual convolution blocks on ever coarser positions and back, with bridges between equal sizes; 1-d or 2-d.

    Each stage after the first halves the positions, rounding up.

    Reference: Ronneberger et al., 2015, arXiv:1505.04597; Ho et al., 2020, arXiv:2006.11239 (levels, group norm);
    Dhariwal and Nichol, 2021, arXiv:2105.05233 (a level scales and shifts channels).
    Differs from the papers: no attention, since the pictures are small.

    Args:
        shape: (channels, *sizes) of an example.
        channels: Channels of each stage.
        num_blocks: Residual blocks of each stage, on the way down and on the way up.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], num_blocks: int) -> None:
        super().__init__()
        num_axes = len(shape) - 1
        convolution: type[nn.Conv1d | nn.Conv2d] = nn.Conv2d if num_axes == 2 else nn.Conv1d
        width = 4 * channels[0]
        self.level = LevelEmbedding(width)
        self.stem = convolution(shape[0], channels[0], 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for count in channels:
            self.down.append(_Stage(convolution, count, count, width, num_blocks))
            # The way up sees what the way down left at this size, too.
            self.up.append(_Stage(convolution, 2 * count, count, width, num_blocks))
        for fine, coarse in itertools.pairwise(channels):
            self.shrink.append(convolution(fine, coarse, 3, stride=2, padding=1))
            self.grow.append(convolution(coarse, fine, 3, padding=1))
        self.middle = _Block(convolution, channels[-1], channels[-1], width)
        self.norm = _norm(channels[0])
        self.output = convolution(channels[0], shape[0], 3, padding=1)

    def forward(
        self, noisy: Float[Tensor, "batch channels *sizes"], levels: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch channels *sizes"]:
        """Return one number for each value."""
        level = self.level(levels)
        x = self.stem(noisy)
        bridges = []
        for stage, blocks in enumerate(self.down):
            x = blocks(x if stage == 0 else self.shrink[stage - 1](x), level)
            bridges.append(x)
        x = self.middle(x, level)
        for stage in reversed(range(len(self.up))):
            if stage < len(self.grow):
                x = self.grow[stage](doubled(x, bridges[stage].shape[2:]))
            x = self.up[stage](torch.cat([x, bridges[stage]], dim=1), level)
        outputs: Tensor = self.output(functional.silu(self.norm(x)))
        return outputs


class _Stage(nn.Module):
    """Residual blocks one after the other, the first of which changes the number of channels."""

    def __init__(
        self, convolution: type[nn.Conv1d | nn.Conv2d], before: int, channels: int, level_width: int, num_blocks: int
    ) -> None:
        super().__init__()
        sizes = [before, *[channels] * (num_blocks - 1)]
        self.blocks = nn.ModuleList(_Block(convolution, size, channels, level_width) for size in sizes)

    def forward(
        self, x: Float[Tensor, "batch before *sizes"], level: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch channels *sizes"]:
        for block in self.blocks:
            x = block(x, level)
        return x


class _Block(nn.Module):
    """Two convolutions in a residual branch, each after a norm; the level scales and shifts the second norm."""

    def __init__(self, convolution: type[nn.Conv1d | nn.Conv2d], before: int, channels: int, level_width: int) -> None:
        super().__init__()
        self.first_norm = _norm(before)
        self.first = convolution(before, channels, 3, padding=1)
        self.level = nn.Linear(level_width, 2 * channels)
        self.second_norm = _norm(channels)
        self.dropout = Dropout()
        self.second = convolution(channels, channels, 3, padding=1)
        self.shortcut = nn.Identity() if before == channels else convolution(before, channels, 1)

    def forward(
        self, x: Float[Tensor, "batch before *sizes"], level: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch channels *sizes"]:
        branch = self.first(functional.silu(self.first_norm(x)))
        scale, shift = self.level(level).reshape(len(x), -1, *[1] * (x.ndim - 2)).chunk(2, dim=1)
        branch = functional.silu(self.second_norm(branch) * (1 + scale) + shift)
        summed: Tensor = self.shortcut(x) + self.second(self.dropout(branch))
        return summed


def doubled(x: Float[Tensor, "batch channels *sizes"], sizes: Sequence[int]) -> Tensor:
    """Return ``x`` with every position repeated once along each axis, cut to ``sizes``."""
    # torch's own upsampling has no deterministic gradient on every device, and a view that is copied has.
    for axis, size in enumerate(sizes, start=2):
        twice = [*x.shape[: axis + 1], 2, *x.shape[axis + 1 :]]
        x = x.unsqueeze(axis + 1).expand(twice).flatten(axis, axis + 1).narrow(axis, 0, size)
    return x


def _norm(channels: int) -> GroupNorm:
    return GroupNorm(math.gcd(channels, MAX_GROUPS), channels)
