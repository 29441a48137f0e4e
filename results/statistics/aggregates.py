"""Aggregates across tasks of scores that are normalised: 0 is a task's floor, and 1 its ceiling.

Each returns its value and its standard error over seeds, for arrays of shape (..., tasks, seeds), so that the
bootstrap can draw thousands of them at once.

Reference: Agarwal et al., 2021, arXiv:2108.13264; the values are those of its library, rliable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import special

from results.statistics.intervals import LEVEL, UNKNOWN, Array, Interval, stratified_error

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
    value, variances = _improvement(samples)
    return value, np.sqrt(sum(part.sum(axis=-1) for part, _ in variances))


def improvement_interval(samples: Sequence[Array], level: float = LEVEL) -> Interval:
    """Return the interval of `probability_of_improvement` for samples of shape (tasks, seeds).

    The estimate is held to be Student's, with Satterthwaite's degrees of freedom over tasks and samples. Of 4000 draws
    it held the true value in 94 % to 96 % with five or more seeds on 2 to 12 tasks and in 95 % to 97 % with three on
    4 to 12, for normal, skewed and heavy-tailed scores; with ten seeds of one task in 93 % to 95 %. The studentised
    bootstrap held it in 98 % with five on 4 tasks: a resample of five seeds has many ties, and its standard error says
    little.

    Returns:
        The interval; unknown where a sample has fewer than two seeds, or where one side always wins.

    Reference: Brunner and Munzel, 2000, Biometrical Journal 42 (one task and two samples; here tasks are strata).
    """
    if any(sample.shape[-1] < 2 for sample in samples):
        return UNKNOWN
    value, parts = _improvement(samples)
    variance = math.fsum(float(part.sum()) for part, _ in parts)
    if not variance > 1e-24:
        return UNKNOWN
    degrees = variance**2 / math.fsum(float((part**2).sum()) / (num_seeds - 1) for part, num_seeds in parts)
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(float(value) - half, float(value) + half)


def _improvement(samples: Sequence[Array]) -> tuple[Array, list[tuple[Array, int]]]:
    """Return the probability, and what each sample adds to its variance by task, (..., tasks), with its seeds.

    Reference: DeLong et al., 1988, Biometrics 44 (the variance of a Mann-Whitney statistic by placements).
    """
    ours, *others = samples
    chances = np.zeros(ours.shape[:-2])
    placements = np.zeros(ours.shape)
    variances = []
    scale = len(others) * ours.shape[-2]
    for theirs in others:
        won = _wins(ours[..., :, None], theirs[..., None, :])
        chances += won.mean(axis=(-3, -2, -1))
        placements += won.mean(axis=-1)
        variances.append((_variances(won.mean(axis=-2)) / scale**2, theirs.shape[-1]))
    variances.append((_variances(placements) / scale**2, ours.shape[-1]))
    return chances / len(others), variances


def _variances(influences: Array) -> Array:
    """Return the variance of the mean over seeds by task."""
    return np.asarray(influences.var(axis=-1, ddof=1) / influences.shape[-1])


def _wins(ours: Array, theirs: Array) -> Array:
    return np.asarray((ours > theirs) + 0.5 * (ours == theirs))
