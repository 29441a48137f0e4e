"""Augmentation: training inputs are changed at random in ways that leave their answer as it is."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from suite.batch import Batch
from suite.errors import UserError
from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer
from suite.task import Augmentation as AugmentationName

LARGEST_SHIFT = 0.25
"""Shift at strength 1, as a share of each size."""
LEVEL_STD = 0.3
"""Standard deviation of the mean of a signal at strength 1; this figure and the next are those of MNIST-1D, whose
values have mean 0 and deviation 1, as its notebook on self-supervised learning has them (greydanus/mnist1d)."""
RISE_STD = 1.6
"""The same of how far a signal rises from end to end: 0.04 on each of 40 steps there."""
LARGEST_CUTOUT = 0.75
"""Side of the cut-out square at strength 1, as a share of each size."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation(Regularizer):
    """Shift, roll, flip, level, tilt and cut out, each where the task's card allows it, anew for each example and step.

    Shifted-in and cut-out places are filled with 0, the mean of the normalised inputs.

    Reference: LeCun et al., 1998, Proc. IEEE 86 (shifts); DeVries and Taylor, 2017, arXiv:1708.04552 (cutout).
    """

    name: ClassVar[str] = "augmentation"

    augmentation: Annotated[float, Bounds(0, 1), FloatDistribution(0.0, 1.0)] = 0.0
    """Strength: at 1 shifts and rolls by up to a quarter of the size, and cutout squares up to three; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Add the transforms that the card allows; a task that allows none cannot be augmented."""
        allowed = learner.card.augmentations
        if not allowed:
            raise UserError(
                f"regularization.augmentation needs changes that keep the answer, but the card of "
                f"{learner.card.name!r} names none. Leave regularization.augmentation at its default."
            )
        learner.register_buffer("augmentation", torch.tensor(self.augmentation), persistent=False)
        for name, transform in CHANGES.items():
            if name in allowed:
                learner.transforms.append(functools.partial(_apply, learner, transform))


def _apply(learner: Learner, transform: Callable[[Tensor, Tensor], Tensor], batch: Batch) -> Batch:
    return batch._replace(inputs=transform(batch.inputs, learner.get_buffer("augmentation")))


def shift(inputs: Tensor, strength: Tensor) -> Tensor:
    """Move each example by whole places along each size; ``inputs`` are (batch, channels, *sizes)."""
    for axis in range(2, inputs.ndim):
        size = inputs.shape[axis]
        most = strength * LARGEST_SHIFT * size
        moves = ((torch.rand(len(inputs), device=inputs.device) * 2 - 1) * most).round().long()
        sources = torch.arange(size, device=inputs.device) - moves[:, None]
        shape = [-1 if dim in (0, axis) else 1 for dim in range(inputs.ndim)]
        shape[0], shape[axis] = len(inputs), size
        inside = ((sources >= 0) & (sources < size)).reshape(shape)
        index = sources.clamp(0, size - 1).reshape(shape).expand_as(inputs)
        inputs = inputs.gather(axis, index) * inside
    return inputs


def roll(inputs: Tensor, strength: Tensor) -> Tensor:
    """Move what is about the line of each signal on by whole places; what leaves at the end comes in at the beginning.

    (batch, channels, length).
    """
    size = inputs.shape[2]
    moves = (torch.rand(len(inputs), device=inputs.device) * strength * LARGEST_SHIFT * size).floor().long()
    sources = (torch.arange(size, device=inputs.device) - moves[:, None]) % size
    means, slopes, steps = _line(inputs)
    line = means + slopes * steps
    return (inputs - line).gather(2, sources[:, None].expand_as(inputs)) + line


def level(inputs: Tensor, strength: Tensor) -> Tensor:
    """Move the mean of each channel of a signal towards a new one, at strength 1 to it; (batch, channels, length)."""
    means, _, _ = _line(inputs)
    return inputs + strength * (torch.randn_like(means) * LEVEL_STD - means)


def tilt(inputs: Tensor, strength: Tensor) -> Tensor:
    """Turn each channel of a signal towards a new slope, at strength 1 to it; (batch, channels, length)."""
    _, slopes, steps = _line(inputs)
    return inputs + strength * (torch.randn_like(slopes) * RISE_STD / inputs.shape[2] - slopes) * steps


def _line(inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and slope of the line through each channel, (batch, channels, 1), and the steps from its middle."""
    size = inputs.shape[2]
    steps = torch.arange(size, device=inputs.device, dtype=inputs.dtype) - (size - 1) / 2
    slopes = (inputs * steps).sum(dim=2, keepdim=True) / steps.square().sum()
    return inputs.mean(dim=2, keepdim=True), slopes, steps


def flip(inputs: Tensor, strength: Tensor) -> Tensor:
    """Mirror examples along their last size, at strength 1 half of them."""
    chosen = torch.rand(len(inputs), device=inputs.device) < 0.5 * strength
    return torch.where(chosen.reshape(-1, *[1] * (inputs.ndim - 1)), inputs.flip(-1), inputs)


def cut_out(inputs: Tensor, strength: Tensor) -> Tensor:
    """Set a patch of each example, at a random place and up to the strength's size, to 0."""
    inside = torch.ones((len(inputs), *[1] * (inputs.ndim - 1)), dtype=torch.bool, device=inputs.device)
    side = torch.rand(len(inputs), 1, device=inputs.device) * strength * LARGEST_CUTOUT
    for axis in range(2, inputs.ndim):
        size = inputs.shape[axis]
        centre = torch.rand(len(inputs), 1, device=inputs.device) * size
        near = (torch.arange(size, device=inputs.device) + 0.5 - centre).abs() < side * size / 2
        shape = [1] * inputs.ndim
        shape[0], shape[axis] = len(inputs), size
        inside = inside & near.reshape(shape)
    return inputs.masked_fill(inside, 0)


CHANGES: dict[AugmentationName, Callable[[Tensor, Tensor], Tensor]] = {
    "shift": shift,
    "roll": roll,
    "flip": flip,
    "level": level,
    "slope": tilt,
    "cutout": cut_out,
}
"""Each change of inputs under a strength, by the name under which a card allows it, in the order in which they act."""
