"""Missing input values: which are taken away, by a mechanism and the same for every run, and what a card becomes."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from suite.streams import Stream
from suite.task import Card, SplitName

Mechanism = Literal["completely-at-random", "at-random", "blocks"]
Strategy = Literal["drop", "mean", "median", "max", "forward", "indicator"]
Array = NDArray[Any]
Mask = NDArray[np.bool_]

OBSERVED_SHARE = 0.3
"""Share of an input's values that ``at-random`` leaves in place everywhere; the others depend on them."""
SLOPE = 2.0
"""How steeply ``at-random`` follows what is observed: log-odds per standard deviation."""
LARGEST_DIFFERENCE = 0.03
"""Between the rate and the share that a block of whole places really takes, where half a place is less."""
MOST_DISTORTED = 2.0
"""How many times as long, or as wide, a block may be as one with the image's proportions."""
ROWS = 1024
"""Examples drawn for at a time; even, so that a stream gives the same numbers as all at once."""


@dataclasses.dataclass(frozen=True)
class Missing:
    """What is missing and what is done about it: the settings ``data.missing_*``."""

    rate: float
    mechanism: Mechanism
    strategy: Strategy

    def misfit(self, card: Card) -> str | None:
        """Return why a task's inputs cannot have gaps of this kind, or None when they can."""
        if card.vocabulary is not None:
            return "values can be missing among real numbers, and here inputs are tokens"
        if not card.is_length_fixed:
            return "statistics per position need inputs of one length, and here the splits differ in it"
        if self.strategy == "indicator" and card.objective == "generation":
            return "an indicator is no value, and here inputs are what is to be generated"
        if self.rate > 0 and self.mechanism == "at-random" and card.num_inputs < 2:
            return "some values must be observed for others to depend on, and here an input is one value"
        if self.rate > 0 and self.mechanism == "blocks":
            block, places = self.block(card), _places(card)
            if self.rate * math.prod(places) < 0.5:
                return f"`rate * places >= 0.5` must hold for blocks, but got rate={self.rate} and {places}"
            share = math.prod(block) / math.prod(places)
            if abs(share - self.rate) > max(LARGEST_DIFFERENCE, 0.5 / math.prod(places) + 1e-9):
                return (
                    f"a block must take the share data.missing_rate of the places, but the nearest one in {places} is "
                    f"{block}, a share of {share:.3g}"
                )
        return None

    def card(self, card: Card) -> Card:
        """Return the card of the task with these gaps: its data is other data, and what was certain no longer is."""
        shape = card.input_shape
        if self.strategy == "indicator":
            shape = (2 * shape[0], *shape[1:])
            # They would change the marks as if they were values.
            card = dataclasses.replace(card, augmentations=frozenset())
        if self.rate == 0:
            return dataclasses.replace(card, input_shape=shape)
        text = f"{card.sha256} missing {self.rate!r} {self.mechanism}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        return dataclasses.replace(card, input_shape=shape, sha256=digest, ceiling=None, ceiling_reason="")

    def block(self, card: Card) -> tuple[int, ...]:
        """Return the sizes of a block: a run of steps or values, or a rectangle, with the share nearest to the rate.

        A rectangle has about the proportions of the image: at most twice as long or as wide. Something is left, and
        where a share near enough allows it, no place is in every block.
        """
        sizes = _places(card)
        count = math.prod(sizes)
        shapes = [shape for shape in _shapes(sizes, self.rate * count) if _distortion(shape, sizes) <= MOST_DISTORTED]
        shapes = shapes or [(1,) * len(sizes)]
        near = [shape for shape in shapes if abs(math.prod(shape) / count - self.rate) <= LARGEST_DIFFERENCE]
        free = [shape for shape in near if any(2 * side <= size for side, size in zip(shape, sizes, strict=True))]
        return min(
            free or near or shapes,
            key=lambda shape: (abs(math.prod(shape) - self.rate * count), _distortion(shape, sizes), shape),
        )


def _places(card: Card) -> tuple[int, ...]:
    """Return what a block lies in: the axes of an input without its channels."""
    return card.input_shape[-2:] if len(card.input_shape) == 3 else card.input_shape[-1:]


def _shapes(sizes: tuple[int, ...], wanted: float) -> set[tuple[int, ...]]:
    """Return the blocks that can be the nearest to ``wanted`` places: one axis free, the other next below and above."""
    found: set[tuple[int, ...]]
    if len(sizes) == 1:
        found = {(side,) for side in _around(wanted, sizes[0])}
    else:
        height, width = sizes
        found = {(side, other) for side in range(1, height + 1) for other in _around(wanted / side, width)}
        found |= {(other, side) for side in range(1, width + 1) for other in _around(wanted / side, height)}
    return found - {sizes}


def _around(value: float, most: int) -> set[int]:
    """Return the whole numbers next to ``value``, from 1 to ``most``."""
    return {min(max(side, 1), most) for side in (math.floor(value), math.ceil(value))}


def _distortion(block: tuple[int, ...], sizes: tuple[int, ...]) -> float:
    """Return how many times as long, or as wide, a block is as one with the proportions of ``sizes``."""
    shares = [side / size for side, size in zip(block, sizes, strict=True)]
    return max(shares) / min(shares)


class Gaps:
    """Says which values of a split are missing: those that the mechanism takes away, and those that are NaN.

    What is drawn rests on the task's name, the split and the mechanism alone, never on a run's seed: a gap is a fact of
    the data. ``completely-at-random`` takes each value by itself; with a higher rate it takes those of a lower one and
    more. ``at-random`` leaves a fixed share of the positions in place in every example. The chance of the others
    to be missing is a logistic function of how high those in place are on average, each measured in standard deviations
    of the training split; the rate is the mean chance there. ``blocks`` takes one block per example, of all channels.

    Reference: Rubin, 1976, Biometrika 63 (the mechanisms); Muzellec et al., 2020, arXiv:2002.03860 (missing at random
    as a logistic function of a fixed set of observed values).
    Differs from the second: the weights are equal, not drawn.

    Args:
        missing: The settings.
        card: Of the task without gaps.
        train: The training split's inputs, (examples, *input_shape).
    """

    def __init__(self, missing: Missing, card: Card, train: Array) -> None:
        self._missing, self._card = missing, card
        if self._depends_on_values:
            count = max(1, round(OBSERVED_SHARE * card.num_inputs))
            drawn = Stream("missing", card.name, "always observed").bits(card.num_inputs)
            self._observed = np.sort(np.argsort(drawn, kind="stable")[:count])
            values = train.reshape(len(train), -1)[:, self._observed].astype(np.float64)
            self._means = _nan_safe(np.nanmean, values)
            self._deviations = _nan_safe(np.nanstd, values)
            self._deviations[self._deviations == 0] = 1.0
            means = self._means_of(train)
            self._centre, self._spread = float(means.mean()), float(means.std()) or 1.0
            self._intercept = _intercept(self._scores(train), missing.rate)

    @property
    def _depends_on_values(self) -> bool:
        return self._missing.mechanism == "at-random" and self._missing.rate > 0

    def mask(self, inputs: Array, split: SplitName) -> Mask:
        """Return what is missing of ``inputs``, in their shape."""
        mask = np.isnan(inputs) if inputs.dtype.kind == "f" else np.zeros(inputs.shape, dtype=bool)
        if self._missing.rate == 0:
            return mask
        if self._missing.mechanism == "blocks":
            return mask | self._blocks(len(inputs), split)
        stream = Stream("missing", self._card.name, split, self._missing.mechanism)
        chances = self._chances(inputs) if self._depends_on_values else None
        flat = mask.reshape(len(mask), -1)
        for start in range(0, len(flat), ROWS):
            piece = flat[start : start + ROWS]
            drawn = stream.uniform(*piece.shape)
            if chances is None:
                piece |= drawn < self._missing.rate
            else:
                taken = drawn < chances[start : start + ROWS, None]
                taken[:, self._observed] = False
                piece |= taken
        return mask

    def _blocks(self, count: int, split: SplitName) -> Mask:
        """Return a mask (examples, 1, *sizes), or (examples, size) for vectors."""
        block = self._missing.block(self._card)
        sizes = self._card.input_shape[-len(block) :]
        inside = []
        for axis, (side, size) in enumerate(zip(block, sizes, strict=True)):
            starts = Stream("missing", self._card.name, split, "blocks", axis).below(size - side + 1, count)
            places = np.arange(size)
            inside.append((places >= starts[:, None]) & (places < starts[:, None] + side))
        mask: Mask = inside[0] if len(inside) == 1 else inside[0][:, :, None] & inside[1][:, None, :]
        return mask if len(self._card.input_shape) == 1 else mask[:, None]

    def _chances(self, inputs: Array) -> NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-SLOPE * self._scores(inputs) - self._intercept)))

    def _scores(self, inputs: Array) -> NDArray[np.float64]:
        """Return how high the observed values of each example are, in standard deviations of the training split."""
        # Rounded: the last bits of a sum differ between machines, and nothing is left of that.
        return np.round((self._means_of(inputs) - self._centre) / self._spread * 2**12) / 2**12

    def _means_of(self, inputs: Array) -> NDArray[np.float64]:
        values = inputs.reshape(len(inputs), -1)[:, self._observed].astype(np.float64)
        return _nan_safe(np.nanmean, (values - self._means) / self._deviations, axis=1)


def _nan_safe(statistic: Any, values: NDArray[np.float64], axis: int = 0) -> NDArray[np.float64]:
    """Return ``statistic`` along ``axis``, 0 where there is no number at all."""
    is_empty = np.isnan(values).all(axis=axis, keepdims=True)
    return np.asarray(statistic(np.where(is_empty, 0.0, values), axis=axis))


def _intercept(scores: NDArray[np.float64], rate: float) -> float:
    """Return the intercept under which the mean chance over ``scores`` is ``rate``, by bisection."""
    low, high = -100.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        mean = float((1 / (1 + np.exp(-SLOPE * scores - middle))).mean())
        low, high = (middle, high) if mean < rate else (low, middle)
    return (low + high) / 2
