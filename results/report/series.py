"""Learning curves over seeds: one line and one band for each configuration, short enough to draw."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MAX_POINTS: Final = 100
"""Points of a drawn line: a pixel or two apart at the width of a figure."""

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Series:
    """The mean of several seeds and what lies between the lowest and the highest, point by point.

    Args:
        x: Where the points are.
        mean: Mean over the seeds that were still training there.
        low: The lowest of them.
        high: The highest.
        num_seeds: How many seeds there are.
    """

    x: Array
    mean: Array
    low: Array
    high: Array
    num_seeds: int

    def at(self, share: float) -> float:
        """Return the mean at a share of the way from the first point to the last."""
        place = self.x[0] + share * (self.x[-1] - self.x[0])
        return float(np.interp(place, self.x, self.mean))


def over_seeds(curves: Sequence[pd.DataFrame], name: str, axis: str, *, binned: bool) -> Series | None:
    """Return one metric of several runs as a series, or None where no run has a value.

    A line ends where fewer than half of the seeds are left: early stopping ends them at different steps.

    Args:
        curves: What `results.curves.read_curve` returns, one for each seed.
        name: Such as ``val/accuracy``.
        axis: The column that runs along the figure, ``step`` or ``epoch``.
        binned: Average what falls into one of `MAX_POINTS` equal parts of the axis, as losses of single steps need;
            otherwise points between two logged values lie on the straight line between them.
    """
    seeds = []
    for curve in curves:
        rows = curve[(curve["name"] == name) & curve["value"].notna()]
        if len(rows):
            seeds.append((rows[axis].to_numpy(dtype=np.float64), rows["value"].to_numpy(dtype=np.float64)))
    if not seeds:
        return None
    grid = _grid([x for x, _ in seeds], even=binned)
    values = np.stack([_binned(grid, x, y) if binned else _between(grid, x, y) for x, y in seeds])
    known = np.isfinite(values).sum(axis=0)
    kept = 2 * known >= len(seeds)
    grid, values, known = grid[kept], values[:, kept], known[kept]
    if not len(grid):
        return None
    mean = np.nansum(values, axis=0) / known
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    return Series(grid, mean, low, high, len(seeds))


def _grid(places: Sequence[Array], *, even: bool) -> Array:
    """Return the places to draw at: those that were logged, or evenly spaced ones where these are too many."""
    every = np.unique(np.concatenate(places))
    if len(every) <= MAX_POINTS and not even:
        return every
    count = min(MAX_POINTS, max(len(x) for x in places))
    edges = np.linspace(0.0 if even else every[0], every[-1], count + even)
    # A bin stands at its end, where the steps that it averages are done.
    return edges[1:] if even else edges


def _between(grid: Array, x: Array, y: Array) -> Array:
    return np.interp(grid, x, y, left=np.nan, right=np.nan)


def _binned(grid: Array, x: Array, y: Array) -> Array:
    bins = np.searchsorted(grid, x * (1 - 1e-12), side="left").clip(0, len(grid) - 1)
    counts = np.bincount(bins, minlength=len(grid))
    sums = np.bincount(bins, weights=y, minlength=len(grid))
    means: Array = np.divide(sums, counts, out=np.full(len(grid), np.nan), where=counts > 0)
    return _filled(grid, means)


def _filled(grid: Array, values: Array) -> Array:
    """Fill gaps between known values: a seed that logs more seldom than another has bins without a step."""
    known = np.isfinite(values)
    return np.interp(grid, grid[known], values[known], left=np.nan, right=np.nan)
