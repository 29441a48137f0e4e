"""Ranks over blocks (tasks, or seeds of one task): Friedman's test, Nemenyi's critical difference, groups of methods.

Reference: Demsar, 2006, JMLR 7, "Statistical comparisons of classifiers over multiple data sets".
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from results.statistics.comparisons import ALPHA
from results.statistics.intervals import Array


class Friedman(NamedTuple):
    """Friedman's test that all methods rank alike: its statistic, corrected for ties, and p-value."""

    statistic: float
    p_value: float


def rank_blocks(scores: Array, direction: str) -> Array:
    """Return ranks within each block, 1 for the best, ties sharing their mean; ``scores`` are (blocks, methods)."""
    ordered = -scores if direction == "maximize" else scores
    return np.asarray(stats.rankdata(ordered, axis=1), dtype=np.float64)


def friedman(ranks: Array) -> Friedman:
    """Return Friedman's test of (blocks, methods); NaN with fewer than 3 methods or 2 blocks, or where all tie."""
    num_blocks, num_methods = ranks.shape
    if num_methods < 3 or num_blocks < 2 or bool((ranks == ranks[:, :1]).all()):
        return Friedman(math.nan, math.nan)
    found = stats.friedmanchisquare(*ranks.T)
    return Friedman(float(found.statistic), float(found.pvalue))


def critical_difference_of(num_methods: int, num_blocks: int, alpha: float = ALPHA) -> float:
    """Return by how much two mean ranks must differ at least to differ significantly, after Nemenyi."""
    assert num_methods >= 2 and num_blocks >= 1
    quantile = stats.studentized_range.ppf(1 - alpha, num_methods, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(num_methods * (num_methods + 1) / (6 * num_blocks)))


def nemenyi_p_values(ranks: Array) -> Array:
    """Return Nemenyi's p-value for every pair of methods, as a symmetric matrix with ones on its diagonal."""
    num_blocks, num_methods = ranks.shape
    means = ranks.mean(axis=0)
    error = math.sqrt(num_methods * (num_methods + 1) / (6 * num_blocks))
    distances = np.abs(means[:, None] - means[None, :]) / error * math.sqrt(2)
    return np.asarray(stats.studentized_range.sf(distances, num_methods, np.inf), dtype=np.float64)


def cliques(mean_ranks: Array, difference: float) -> list[tuple[int, int]]:
    """Return the longest runs of methods that are not told apart, as (first, last) positions in ``mean_ranks``.

    ``mean_ranks`` ascend. A run spans less than the critical difference; runs of one method are left out.
    """
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = first
        while last + 1 < len(mean_ranks) and mean_ranks[last + 1] - mean_ranks[first] < difference:
            last += 1
        if last > first and not any(one <= first and last <= other for one, other in found):
            found.append((first, last))
    return found


def pairs_apart(mean_ranks: Array, difference: float) -> list[tuple[int, int]]:
    """Return the pairs of positions whose mean ranks differ by the critical difference or more."""
    pairs = itertools.combinations(range(len(mean_ranks)), 2)
    return [(one, other) for one, other in pairs if abs(mean_ranks[one] - mean_ranks[other]) >= difference]
