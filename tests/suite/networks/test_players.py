"""Players of a GAN: convolutions that halve any sizes and bring them back, and a range that samples stay in."""

import pytest
import torch
from torch import nn

from suite.networks.players import Squash, convolutional_discriminator, convolutional_generator


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 7, 10), (2, 9)])
def test_generator_and_discriminator_fit_the_shape_whatever_its_sizes(shape: tuple[int, ...]) -> None:
    samples = convolutional_generator(5, shape, (4, 6))(torch.randn(3, 5))
    assert samples.shape == (3, *shape)
    assert convolutional_discriminator(shape, (4, 6))(samples).shape == (3, 1)


def test_even_sizes_have_kernels_that_the_stride_divides() -> None:
    layers = [*convolutional_generator(5, (1, 8, 8), (4, 6)), *convolutional_discriminator((1, 8, 8), (4, 6))]
    kernels = [layer.kernel_size for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert kernels == [(4, 4)] * 4


def test_squashing_keeps_the_range_and_its_middle() -> None:
    squash = Squash(-1.0, 3.0)
    assert squash(torch.tensor([-50.0, 0.0, 50.0])).tolist() == [-1, 1, 3]
