"""Strategies against missing input values; whatever they need to know they learn from the training split."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.engine.missing import ROWS, Array, Gaps, Mask, Missing
from suite.errors import UserError
from suite.task import Card, Split, SplitName, Splits


class Imputer:
    """Takes values away as `Gaps` says, and fills or marks what is missing, or drops the examples.

    - ``mean``, ``median``, ``max``: that statistic of the position's observed training values;
    - ``forward``: the last value before it on the last axis (time, or a picture's row), the mean where there is none;
    - ``indicator``: the mean, and as many channels (for vectors, values) again that are 1 where one is missing;
    - ``drop``: training examples with a gap are left out. Val and test keep theirs, filled with the mean: a score over
      fewer examples would measure something else.

    Inputs come out as floats on the scale on which they are stored. Targets stay whole.

    Args:
        missing: The settings.
        card: Of the task without gaps.
        train: The training split.
    """

    def __init__(self, missing: Missing, card: Card, train: Split) -> None:
        self._missing, self._card = missing, card
        inputs = train.inputs.numpy()
        self._gaps = Gaps(missing, card, inputs)
        self._fill = self._learn(inputs, self._gaps.mask(inputs, "train"))

    def apply(self, splits: Splits, name: SplitName) -> Splits:
        """Return the split ``name`` of ``splits`` with its gaps dealt with, and how its inputs are normalised.

        Raises:
            UserError: The strategy ``drop`` leaves no training example.
        """
        split, mean, std = splits[name], splits.mean, splits.std
        assert mean is not None and std is not None, "real inputs have moments"
        inputs, targets = split.inputs.numpy(), split.targets
        mask = self._gaps.mask(inputs, name)
        if self._missing.strategy == "drop" and name == "train":
            kept = np.logical_not(mask.reshape(len(mask), -1).any(axis=1))
            if not kept.any():
                raise UserError(
                    f"data.missing_strategy='drop' must leave training examples, but each of the {len(kept)} of the "
                    f"task {self._card.name!r} lacks a value with data.missing_rate={self._missing.rate} of "
                    f"{self._card.num_inputs} values each. Lower the rate, or take a strategy that fills the gaps."
                )
            inputs, mask, targets = inputs[kept], mask[kept], targets[torch.from_numpy(kept)]
        whole = torch.from_numpy(self._filled(inputs, mask)).to(mean.dtype)
        if self._missing.strategy == "indicator":
            if targets.dtype == torch.uint8:  # pictures to be rebuilt, which the moments below no longer fit
                targets = targets.to(mean.dtype).sub_(mean).div_(std)
            whole = torch.cat([whole, torch.from_numpy(mask).to(mean.dtype)], dim=1)
            mean, std = self._beside(mean, 0.0), self._beside(std, 1.0)
        if self._card.objective == "generation" and name == "train":  # a model must not see what was taken away
            targets = (whole - mean) / std
        return dataclasses.replace(splits, by_name={name: Split(whole, targets)}, mean=mean, std=std)

    def _learn(self, inputs: Array, mask: Mask) -> NDArray[np.float32]:
        """Return the value for each position, (*input_shape)."""
        values, gaps = inputs.reshape(len(inputs), -1), mask.reshape(len(mask), -1)
        counts = (~gaps).sum(axis=0)
        if not counts.all():
            raise UserError(
                f"Every input value must be observed in some training example, but {int((counts == 0).sum())} of "
                f"{len(counts)} never are, with data.missing_rate={self._missing.rate} and {len(inputs)} training "
                f"examples of the task {self._card.name!r}. Lower the rate, or use more examples."
            )
        if self._missing.strategy == "median":
            columns = range(values.shape[1])
            found = np.array([np.median(values[~gaps[:, column], column]) for column in columns])
        elif self._missing.strategy == "max":
            found = np.full(values.shape[1], -np.inf)
            for rows in _pieces(len(values)):
                found = np.maximum(found, np.where(gaps[rows], -np.inf, values[rows]).max(axis=0))
        else:
            sums = np.zeros(values.shape[1])
            for rows in _pieces(len(values)):
                sums += np.where(gaps[rows], 0, values[rows]).sum(axis=0, dtype=np.float64)
            found = sums / counts
        return found.astype(np.float32).reshape(inputs.shape[1:])

    def _filled(self, inputs: Array, mask: Mask) -> NDArray[np.float32]:
        filled = np.empty(inputs.shape, dtype=np.float32)
        for rows in _pieces(len(inputs)):
            values, gaps = inputs[rows].astype(np.float32), mask[rows]
            if self._missing.strategy == "forward":
                values, gaps = _carried_forward(values, gaps)
            filled[rows] = np.where(gaps, self._fill, values)
        return filled

    def _beside(self, moment: Tensor, value: float) -> Tensor:
        """Return a moment of the inputs, and ``value`` for as many indicators."""
        shape = self._card.input_shape
        moment = moment.reshape((1,) * (len(shape) - moment.ndim) + tuple(moment.shape))
        moment = moment.expand(shape[0], *moment.shape[1:])
        return torch.cat([moment, torch.full_like(moment, value)])


def _carried_forward(values: Array, gaps: Mask) -> tuple[Array, Mask]:
    """Return the values with each gap closed by the last one before it on the last axis, and the gaps that are left."""
    places = np.where(gaps, -1, np.arange(values.shape[-1]))
    last = np.maximum.accumulate(places, axis=-1)
    return np.take_along_axis(values, np.maximum(last, 0), axis=-1), last < 0


def _pieces(count: int) -> list[slice]:
    return [slice(start, start + ROWS) for start in range(0, count, ROWS)]
