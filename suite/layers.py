"""Layers that families share and regularisers act on."""

import math
from collections.abc import Sequence as Many

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.task import Card


class DropPlace(nn.Module):
    """A place where a family lets a regulariser drop something; off until the regulariser sets its rate.

    The rate is a 0-dim buffer, not a Python float, so that lanes of one program may differ in it. While the place is
    off it costs nothing and draws no random numbers.
    """

    rate: Tensor
    part: tuple[int, int] | None = None
    """Where this process's examples begin in the batch, and how many that holds; None has the whole batch here."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rate", torch.zeros(()), persistent=False)
        self.is_on = False

    def switch_on(self, rate: float) -> None:
        """Drop with probability ``rate`` from now on, in [0, 1)."""
        self.rate.fill_(rate)
        self.is_on = True

    def draw(self, like: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Return uniform numbers in [0, 1), those of the whole batch where this process has a part of it."""
        if self.part is None:
            return torch.rand_like(like)
        start, total = self.part
        # Numbers are drawn in the order of memory, which is another one behind a recurrent layer.
        layout = sorted(range(like.ndim), key=like.stride, reverse=True)
        whole = torch.empty_permuted((total, *like.shape[1:]), layout, dtype=like.dtype, device=like.device)
        return torch.rand_like(whole)[start : start + len(like)]


class Dropout(DropPlace):
    """A place where single activations may be dropped, by the ``dropout`` regulariser.

    Reference: Srivastava et al., 2014, JMLR 15.
    """

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Zero each value with probability ``rate`` and scale the others by ``1 / (1 - rate)``, in training only."""
        if not (self.training and self.is_on):
            return x
        keep = self.draw(x) >= self.rate
        return x * keep / (1 - self.rate)


class DropPath(DropPlace):
    """A place where a residual branch may be dropped for an example, by the ``stochastic-depth`` regulariser.

    A learner's ``modules()`` meet these places from the input to the output, so that a rate may grow with the depth.

    Reference: Huang et al., 2016, arXiv:1603.09382.
    Differs from the paper: each example draws for itself, not the batch, and what is kept is scaled in training instead
    of in evaluation.
    """

    def forward(self, branch: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Zero each example with probability ``rate`` and scale the others by ``1 / (1 - rate)``, in training only."""
        if not (self.training and self.is_on):
            return branch
        keep = self.draw(branch[(slice(None), *[slice(1)] * (branch.ndim - 1))]) >= self.rate
        return branch * keep / (1 - self.rate)


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable values in ``module``."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


class Flat(nn.Module):
    """Any input as one vector of ``size`` values; tokens are one-hot."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.vocabulary = card.vocabulary
        self.size = card.num_inputs * (card.vocabulary or 1)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch values"]:
        """Return the flat vectors."""
        if self.vocabulary is None:
            return inputs.flatten(1)
        # Not one_hot, which reads its input's largest value: lanes of one program cannot.
        tokens = torch.arange(self.vocabulary, device=inputs.device)
        return (inputs.unsqueeze(-1) == tokens).flatten(1).float()


def num_steps(card: Card) -> int:
    """Return the number of vectors that `Sequence` makes of one input."""
    return card.input_shape[0] if len(card.input_shape) == 1 else card.input_shape[1]


class Sequence(nn.Module):
    """Any input as a sequence of vectors: (batch, *input_shape) to (batch, steps, features).

    Tokens are embedded in ``embedding_size`` learned features; images go row by row, vectors value by value.
    """

    def __init__(self, card: Card, embedding_size: int) -> None:
        super().__init__()
        shape = card.input_shape
        self.embedding = None if card.vocabulary is None else nn.Embedding(card.vocabulary, embedding_size)
        self.steps = num_steps(card)
        if self.embedding is not None:
            self.features = embedding_size
        elif len(shape) == 1:
            self.features = 1
        elif len(shape) == 2:
            self.features = shape[0]
        else:
            self.features = shape[0] * shape[2]

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch steps features"]:
        """Return the sequence."""
        if self.embedding is not None:
            embedded: Tensor = self.embedding(inputs)
            return embedded
        if inputs.ndim == 2:
            return inputs.unsqueeze(-1)
        if inputs.ndim == 3:
            return inputs.transpose(1, 2)
        return inputs.transpose(1, 2).flatten(2)


def halved_shapes(shape: tuple[int, ...], channels: Many[int]) -> list[tuple[int, ...]]:
    """Return ``shape``, (channels, *sizes), and that after each stage of stride 2, sizes rounded up."""
    shapes = [shape]
    for count in channels:
        shapes.append((count, *(math.ceil(size / 2) for size in shapes[-1][1:])))
    return shapes


class Patches(nn.Module):
    """Real inputs cut into patches, each mapped to ``width`` features: (batch, *shape) to (batch, patches, width).

    A patch is ``size`` steps of a signal or vector, or ``size`` x ``size`` pixels, with all channels; ``size`` must
    divide the input. Patches go row by row.

    Reference: Dosovitskiy et al., 2020, arXiv:2010.11929.
    """

    def __init__(self, card: Card, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.sizes = card.input_shape[-2:] if len(card.input_shape) == 3 else card.input_shape[-1:]
        channels = 1 if len(card.input_shape) == 1 else card.input_shape[0]
        num_axes = 2 if len(card.input_shape) == 3 else 1
        self.projection = nn.Linear(channels * size**num_axes, width)

    def forward(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch patches width"]:
        """Return the patches' features."""
        if inputs.ndim == 2:
            inputs = inputs.unsqueeze(1)
        if inputs.ndim == 3:
            cut = inputs.unflatten(2, (-1, self.size)).transpose(1, 2)
        else:
            rows = inputs.unflatten(3, (-1, self.size)).unflatten(2, (-1, self.size))
            cut = rows.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
        patches: Tensor = self.projection(cut.flatten(2))
        return patches

    def spread(self, shares: Float[Tensor, "batch patches"]) -> Float[Tensor, "batch *sizes"]:
        """Return one value per patch as even shares of it for each of its steps or pixels; their sums stay."""
        grid = shares.reshape(len(shares), *(size // self.size for size in self.sizes))
        for axis in range(1, grid.ndim):
            grid = grid.repeat_interleave(self.size, dim=axis) / self.size
        return grid


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def activation(name: str) -> nn.Module:
    """Return the nonlinearity called ``name``."""
    return ACTIVATIONS[name]()
