"""Comparisons over shared seeds: paired tests, Holm's correction, groups that cannot be told apart, and power."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from scipy import special

ALPHA: Final = 0.05
"""The chance of at least one false difference within a table."""
POWER: Final = 0.8
"""The chance at which a difference is to be found, for the minimum detectable one."""

Test = Literal["t", "wilcoxon"]
Scores = Mapping[int, float]
"""Scores by seed."""


def paired_p_values(pairs: Iterable[tuple[Scores, Scores]], test: Test = "t") -> list[float]:
    """Return the two-sided p-value of a paired test for each pair, over the seeds that both have.

    It is NaN where they share fewer than two. Over n seeds Wilcoxon's signed-rank test cannot go below 2 / 2**n:
    with five seeds or fewer it never finds a difference at 5 %.
    """
    differences = [
        [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]  # in one order, whatever the dicts'
        for one, other in pairs
    ]
    if test == "wilcoxon":
        return [_wilcoxon(values) for values in differences]
    statistics = [_student_t(values) for values in differences]
    degrees = [max(len(values) - 1, 1) for values in differences]
    # All at once: scipy takes longer over one value than over thousands.
    return (2 * special.stdtr(degrees, -np.abs(statistics))).tolist() if statistics else []


def _student_t(differences: Sequence[float]) -> float:
    count = len(differences)
    if count < 2:
        return math.nan
    if not any(differences):
        return 0.0
    mean = math.fsum(differences) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (count - 1))
    # Every seed differs by one amount, up to rounding: beyond chance for any number of seeds.
    if deviation <= 1e-12 * max(map(abs, differences)):
        return math.inf
    return mean / (deviation / math.sqrt(count))


def _wilcoxon(differences: Sequence[float]) -> float:
    from scipy import stats  # takes half a second to import, and most tables do without

    if len(differences) < 2:
        return math.nan
    return float(stats.wilcoxon(differences).pvalue) if any(differences) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number, in their order; NaN stays NaN and does not count.

    Reference: Holm, 1979, Scandinavian Journal of Statistics 6.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for place, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p))
        adjusted[index] = highest
    return adjusted


def pairwise_p_values(rows: Sequence[Scores], test: Test = "t") -> dict[tuple[int, int], float]:
    """Return Holm-adjusted p-values of every pair of rows, by their positions, the smaller first."""
    pairs = list(itertools.combinations(range(len(rows)), 2))
    adjusted = holm(paired_p_values([(rows[one], rows[other]) for one, other in pairs], test))
    return dict(zip(pairs, adjusted, strict=True))


def letters(count: int, differing: Sequence[tuple[int, int]]) -> list[str]:
    """Return letters for ``count`` rows such that two rows share one exactly when they are not in ``differing``.

    Reference: Piepho, 2004, Journal of Computational and Graphical Statistics 13 (insert and absorb).
    """
    groups = [frozenset(range(count))] if count else []
    for one, other in differing:
        split: list[frozenset[int]] = []
        for group in groups:
            split += [group - {one}, group - {other}] if {one, other} <= group else [group]
        unique = set(split)
        groups = [group for group in unique if not any(group < wider for wider in unique)]
    groups.sort(key=sorted)
    texts = [""] * count
    for index, group in enumerate(groups):
        for row in group:
            texts[row] += _letter(index)
    return texts


def minimum_detectable_difference(sd: float, n: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the smallest true difference that a paired t-test over ``n`` seeds finds with the given power.

    Args:
        sd: Standard deviation of the differences; for two rows of equal sd that do not rise and fall together,
            sqrt(2) times that of one row.
        n: Number of shared seeds.
        alpha: Level of the two-sided test.
        power: How often the difference is to be found.

    Returns:
        The difference in the unit of ``sd``; NaN where n < 2 or sd is NaN.
    """
    if n < 2 or math.isnan(sd):
        return math.nan
    return sd * _detectable_effect(n, alpha, power)


@functools.cache
def _detectable_effect(n: int, alpha: float, power: float) -> float:
    """Return the effect, in standard deviations, by bisection over the power, which grows with it."""
    threshold = float(special.stdtrit(n - 1, 1 - alpha / 2))
    low, high = 0.0, 64.0  # at n=2 an effect of 12 is needed for a power of 0.8
    for _ in range(60):
        middle = (low + high) / 2
        shift = middle * math.sqrt(n)
        found = 1 - special.nctdtr(n - 1, shift, threshold)  # a significant difference the wrong way is no find
        low, high = (middle, high) if found < power else (low, middle)
    return high


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"({index + 1})"
