"""The verdict on a claim from the scores of its seeds: one interval, one region, three outcomes."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from scipy import stats

Verdict = Literal["REPRODUCED", "WITHIN NOISE", "NOT REPRODUCED"]
VERDICTS: Final[tuple[Verdict, ...]] = ("REPRODUCED", "WITHIN NOISE", "NOT REPRODUCED")

SIGNIFICANCE: Final = 0.05
"""Level of each one-sided test; the interval that goes with two of them covers 1 - 2 * 0.05 = 90 %."""
MOST_SEEDS: Final = 1000
"""Where more seeds than this would be needed, the mean lies on the edge, and no number of them settles it."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Scores that a mean is taken of, given one by one or as a source sums them up."""

    mean: float
    sd: float
    """Standard deviation with ddof=1; NaN for a single score."""
    n: int

    @classmethod
    def of(cls, scores: Sequence[float]) -> Sample:
        """Sum scores up; there must be one at the least."""
        # Equal scores have a deviation of exactly 0, whatever the rounding of their mean.
        sd = math.nan if len(scores) < 2 else 0.0 if len(set(scores)) == 1 else statistics.stdev(scores)
        return cls(scores[0] if len(set(scores)) == 1 else statistics.fmean(scores), sd, len(scores))


@dataclasses.dataclass(frozen=True)
class Region:
    """Differences from the reference under which a claim holds: ``low < difference < high``."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        assert self.low < self.high, "a region has an inside"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What the scores say about a claim."""

    verdict: Verdict
    difference: float
    """Mean of our scores minus the reference."""
    low: float
    """Lower end of the 90 % interval of the difference; NaN where there is none."""
    high: float
    p: float
    """Largest p-value of the one-sided tests against the region's finite edges; NaN without an interval."""


def judge(ours: Sample, reference: float | Sample, region: Region) -> Judgement:
    """Hold the mean of ``ours`` against ``reference``, by two one-sided t-tests at 5 % each.

    The claim is that the difference of the means lies in ``region``. With both edges finite this is the TOST procedure
    for equivalence (Schuirmann, 1987, J. Pharmacokinet. Biopharm. 15); with one it is a one-sided test.

    - REPRODUCED: the 90 % interval of the difference lies inside the region, or, what is the same, each one-sided test
      rejects that the difference lies beyond its edge.
    - NOT REPRODUCED: the interval lies wholly outside.
    - WITHIN NOISE: the interval holds an edge, or there is none, as with a single seed.

    Args:
        ours: Our scores.
        reference: A number that is taken as exact, or a sample with a spread of its own; then Welch's test is used.
        region: Where the difference must lie.
    """
    centre = reference.mean if isinstance(reference, Sample) else reference
    difference = ours.mean - centre
    if math.isnan(ours.sd) or (isinstance(reference, Sample) and math.isnan(reference.sd)):
        return Judgement("WITHIN NOISE", difference, math.nan, math.nan, math.nan)
    error, freedom = _standard_error(ours, reference)
    if error == 0:  # all scores agree: the interval is a point, and a t-test would divide by 0
        is_inside = region.low < difference < region.high
        verdict: Verdict = "REPRODUCED" if is_inside else "NOT REPRODUCED"
        return Judgement(verdict, difference, difference, difference, 0.0 if is_inside else 1.0)
    reach = float(stats.t.ppf(1 - SIGNIFICANCE, freedom)) * error
    low, high = difference - reach, difference + reach
    p = max(
        float(stats.t.sf((difference - region.low) / error, freedom)),  # an infinite edge gives 0
        float(stats.t.cdf((difference - region.high) / error, freedom)),
    )
    if region.low < low and high < region.high:
        return Judgement("REPRODUCED", difference, low, high, p)
    if high <= region.low or region.high <= low:
        return Judgement("NOT REPRODUCED", difference, low, high, p)
    return Judgement("WITHIN NOISE", difference, low, high, p)


def _standard_error(ours: Sample, reference: float | Sample) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom (Welch and Satterthwaite's for two)."""
    own = ours.sd**2 / ours.n
    if not isinstance(reference, Sample):
        return math.sqrt(own), ours.n - 1
    other = reference.sd**2 / reference.n
    if own + other == 0:
        return 0.0, math.nan
    freedom = (own + other) ** 2 / (own**2 / (ours.n - 1) + other**2 / (reference.n - 1))
    return math.sqrt(own + other), freedom


def seeds_to_settle(ours: Sample, reference: float | Sample, region: Region) -> int | None:
    """Return the least number of seeds that would give a verdict if means and spreads stayed as they are.

    There must be an interval now. None where there is no such number up to `MOST_SEEDS`: the mean lies on an edge, or
    the reference has a spread that seeds of ours cannot lower. A reference of as many seeds as ours is taken for a
    setup that grows with it.
    """
    centre = reference.mean if isinstance(reference, Sample) else reference
    edges = [edge for edge in (region.low, region.high) if math.isfinite(edge)]
    room = min(abs(ours.mean - centre - edge) for edge in edges)
    n = np.arange(ours.n + 1, MOST_SEEDS + 1)
    own = ours.sd**2 / n
    error, freedom = np.sqrt(own), (n - 1).astype(float)
    if isinstance(reference, Sample):
        other_n = n if reference.n == ours.n else np.full_like(n, reference.n)
        other = reference.sd**2 / other_n
        error = np.sqrt(own + other)
        freedom = (own + other) ** 2 / (own**2 / (n - 1) + other**2 / (other_n - 1))
    enough = np.flatnonzero(stats.t.ppf(1 - SIGNIFICANCE, freedom) * error < room)
    return int(n[enough[0]]) if len(enough) else None
