"""Aggregates across tasks of scores that are normalised: 0 is a task's floor, and 1 its ceiling.

Each returns its value and its standard error over seeds, for arrays of shape (..., tasks, seeds), so that the
bootstrap can draw thousands of them at once.

Reference: Agarwal et al., 2021, arXiv:2108.13264; the values are those of its library, rliable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from results.statistics.intervals import Array, stratified_error

TRIMMED_SHARE: Final = 0.25
"""What the interquartile mean leaves out at either end."""
OPTIMUM: Final = 1.0
"""The normalised score from which on there is no gap to the optimum."""


def normalized(scores: Array, floor: float, ceiling: float) -> Array:
    """Return scores with the floor at 0 and the ceiling at 1, whichever of the two is the larger number."""
    assert floor != ceiling
    return np.asarray((scores - floor) / (ceiling - floor))


def mean(samples: Sequence[Array]) -> tuple[Array, Array]:
    """Return the mean over tasks and seeds."""
    (scores,) = samples
    return scores.mean(axis=(-2, -1)), stratified_error(scores)


def optimality_gap(samples: Sequence[Array]) -> tuple[Array, Array]:
    """Return by how much scores fall short of the ceiling on average; those above it count as being there."""
    (scores,) = samples
    return mean([OPTIMUM - np.minimum(scores, OPTIMUM)])


def interquartile_mean(samples: Sequence[Array]) -> tuple[Array, Array]:
    """Return the mean of the middle half of all scores, tasks and seeds pooled."""
    (scores,) = samples
    pooled = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    count = pooled.shape[-1]
    cut = int(TRIMMED_SHARE * count)
    value = pooled[..., cut : count - cut].mean(axis=-1)
    # The influence of a score on a trimmed mean: that of a winsorised mean, over the share that is kept.
    ends = pooled[..., cut, None, None], pooled[..., count - cut - 1, None, None]
    influences = np.clip(scores, *ends) / (1 - 2 * cut / count)
    return value, stratified_error(influences)


def probability_of_improvement(samples: Sequence[Array]) -> tuple[Array, Array]:
    """Return how often the first sample beats the others, over pairs of seeds within each task; a tie counts half.

    The mean over tasks and over the other samples; each may have its own number of seeds.
    """
    ours, *others = samples
    chances = np.zeros(ours.shape[:-2])
    variances = np.zeros(ours.shape[:-2])
    placements = np.zeros(ours.shape)
    num_tasks = ours.shape[-2]
    for theirs in others:
        won = _wins(ours[..., :, None], theirs[..., None, :])
        chances += won.mean(axis=(-3, -2, -1))
        placements += won.mean(axis=-1)
        # The other sample's part of the variance of a Mann-Whitney statistic (DeLong et al., 1988, Biometrics 44).
        variances += stratified_error(won.mean(axis=-2)) ** 2
    count = len(others)
    variances = variances / count**2 + stratified_error(placements / count) ** 2
    assert num_tasks > 0
    return chances / count, np.sqrt(variances)


def _wins(ours: Array, theirs: Array) -> Array:
    return np.asarray((ours > theirs) + 0.5 * (ours == theirs))
