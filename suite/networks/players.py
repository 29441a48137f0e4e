"""The two players of a GAN, dense or convolutional: noise to samples, and packs of examples to a judgement each."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from suite.layers import Dropout, halved_shapes

BATCH_NORM_MOMENTUM = 0.05
"""Share of a batch in the running statistics that samples are drawn with, as in the code of Lin et al."""
LEAK = 0.2
"""Slope below zero in a convolutional discriminator, as in DCGAN."""


class Maxout(nn.Module):
    """Units that are the largest of several affine maps each.

    Reference: Goodfellow et al., 2013, arXiv:1302.4389.
    """

    def __init__(self, num_inputs: int, width: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_inputs, width * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch units"]:
        """Return the units."""
        largest: Tensor = self.linear(x).unflatten(1, (self.pieces, -1)).amax(dim=1)
        return largest


class Squash(nn.Module):
    """Any number into a range, by a hyperbolic tangent: in the middle of the range its slope is one half of it."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.middle, self.reach = (low + high) / 2, (high - low) / 2

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the squashed numbers."""
        return self.middle + self.reach * torch.tanh(x)


def dense_generator(latent_size: int, width: int, num_layers: int, num_values: int) -> nn.Sequential:
    """Return layers with batch norm and ReLU: (batch, latent_size) to (batch, num_values)."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([latent_size, *[width] * num_layers]):
        layers += [
            nn.Linear(before, after, bias=False),
            nn.BatchNorm1d(after, momentum=BATCH_NORM_MOMENTUM),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Linear(width, num_values))


def dense_discriminator(num_values: int, width: int, num_layers: int, pieces: int) -> nn.Sequential:
    """Return maxout layers with a dropout place after each: (packs, num_values) to (packs, 1)."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([num_values, *[width] * num_layers]):
        layers += [Maxout(before, after, pieces), Dropout()]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def convolutional_generator(latent_size: int, shape: tuple[int, ...], channels: Sequence[int]) -> nn.Sequential:
    """Return transposed convolutions of stride 2 with batch norm and ReLU: (batch, latent_size) to (batch, *shape).

    Args:
        latent_size: Normal numbers that go in.
        shape: (channels, *sizes) of a sample.
        channels: Channels of each stage, from the finest one with half the sizes to the coarsest.
    """
    is_image = len(shape) == 3
    convolution: Any = nn.ConvTranspose2d if is_image else nn.ConvTranspose1d
    norm: type[nn.BatchNorm1d | nn.BatchNorm2d] = nn.BatchNorm2d if is_image else nn.BatchNorm1d
    shapes = halved_shapes(shape, channels)[::-1]
    layers: list[nn.Module] = [nn.Linear(latent_size, math.prod(shapes[0]), bias=False), nn.Unflatten(1, shapes[0])]
    for before, after in itertools.pairwise(shapes):
        layers += [norm(before[0], momentum=BATCH_NORM_MOMENTUM), nn.ReLU()]
        layers.append(convolution(before[0], after[0], _kernel(after), 2, padding=1, bias=after == shape))
    return nn.Sequential(*layers)


def convolutional_discriminator(shape: tuple[int, ...], channels: Sequence[int]) -> nn.Sequential:
    """Return convolutions of stride 2, each with a leaky ReLU and a dropout place: (packs, *shape) to (packs, 1)."""
    convolution: Any = nn.Conv2d if len(shape) == 3 else nn.Conv1d
    shapes = halved_shapes(shape, channels)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(shapes):
        layers += [convolution(before[0], after[0], _kernel(before), 2, padding=1), nn.LeakyReLU(LEAK), Dropout()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(math.prod(shapes[-1]), 1))


def _kernel(fine: tuple[int, ...]) -> tuple[int, ...]:
    """Return the kernel that halves these sizes, rounding up, and brings them back; where it can, of 4 pixels.

    A kernel that the stride divides covers all pixels equally often, so that no chequerboard is built in.
    """
    return tuple(4 - size % 2 for size in fine[1:])
