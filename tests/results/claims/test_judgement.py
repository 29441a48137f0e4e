"""Verdicts against worked examples, scipy's own tests and simulated claims whose truth is known."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.claims.judgement import Region, Sample, Verdict, judge, seeds_to_settle

TEN = [0.1, 0.4, -0.3, 0.2, 0.5, -0.1, 0.0, 0.3, 0.6, -0.2]
"""Mean 0.15; sum of squares around it 0.825, so that sd = sqrt(0.825 / 9) = 0.302765 and its error is 0.095743."""


def verdict_of(scores: Sequence[float], reference: float, low: float, high: float) -> Verdict:
    return judge(Sample.of(scores), reference, Region(low, high)).verdict


def test_interval_and_p_are_those_computed_by_hand() -> None:
    """t(0.95, 9) = 1.833113: 0.15 -+ 1.833113 * 0.095743 = -0.025508, 0.325508."""
    found = judge(Sample.of(TEN), 0.0, Region(-0.5, 0.5))
    assert (found.low, found.high) == pytest.approx((-0.025508, 0.325508), abs=2e-6)
    # The nearer edge decides: t = (0.15 - 0.5) / 0.095743 = -3.655617 with 9 degrees of freedom.
    assert found.p == pytest.approx(stats.t.cdf(-3.655617, 9), rel=1e-4)
    assert found.verdict == "REPRODUCED"


def test_p_is_the_larger_of_scipys_two_one_sided_tests() -> None:
    for low, high in ((-0.5, 0.5), (-0.1, 0.2), (-0.9, 0.16)):
        above = stats.ttest_1samp(TEN, low, alternative="greater").pvalue
        below = stats.ttest_1samp(TEN, high, alternative="less").pvalue
        assert judge(Sample.of(TEN), 0.0, Region(low, high)).p == pytest.approx(max(above, below))


def test_against_a_published_spread_the_test_is_welchs() -> None:
    published = Sample(0.3, 0.25, 6)
    found = judge(Sample.of(TEN), published, Region(-0.6, 0.6))
    sd = float(np.std(TEN, ddof=1))
    tests = [
        stats.ttest_ind_from_stats(0.15 - shift, sd, 10, 0.3, 0.25, 6, equal_var=False, alternative=side).pvalue
        for shift, side in ((-0.6, "greater"), (0.6, "less"))
    ]
    assert found.p == pytest.approx(max(tests))
    assert found.difference == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.03, 0.33, "REPRODUCED"),
        (-0.02, 0.33, "WITHIN NOISE"),  # the interval's lower end, -0.0255, sticks out
        (-0.03, 0.32, "WITHIN NOISE"),
        (0.2, 0.25, "WITHIN NOISE"),  # the mean is outside, but the interval is not wholly so
        (0.33, 0.5, "NOT REPRODUCED"),
        (-0.5, -0.03, "NOT REPRODUCED"),
        (-math.inf, 0.33, "REPRODUCED"),
        (-math.inf, 0.32, "WITHIN NOISE"),
        (-math.inf, -0.03, "NOT REPRODUCED"),
        (-0.03, math.inf, "REPRODUCED"),
        (0.33, math.inf, "NOT REPRODUCED"),
    ],
)
def test_verdict_is_where_the_interval_lies(low: float, high: float, verdict: Verdict) -> None:
    assert verdict_of(TEN, 0.0, low, high) == verdict


@given(
    scores=st.lists(st.floats(-10, 10), min_size=2, max_size=8),
    low=st.floats(-5, 0),
    width=st.floats(0.01, 5),
)
def test_reproduced_is_the_same_as_both_tests_rejecting(scores: list[float], low: float, width: float) -> None:
    found = judge(Sample.of(scores), 0.0, Region(low, low + width))
    if found.low < found.high and abs(found.p - 0.05) > 1e-9:
        assert (found.verdict == "REPRODUCED") == (found.p < 0.05)


def test_one_seed_settles_nothing() -> None:
    found = judge(Sample.of([0.5]), 0.5, Region(-9, 9))
    assert found.verdict == "WITHIN NOISE"
    assert math.isnan(found.low)
    assert math.isnan(found.p)


@pytest.mark.parametrize(("reference", "verdict"), [(1.0, "REPRODUCED"), (0.9, "NOT REPRODUCED")])
def test_equal_scores_are_a_point_and_no_division_by_zero(reference: float, verdict: Verdict) -> None:
    found = judge(Sample.of([1.0, 1.0, 1.0]), reference, Region(-0.05, 0.05))
    assert found.verdict == verdict
    assert found.low == found.high == found.difference


def test_equal_scores_have_no_spread_whatever_rounding_makes_of_their_mean() -> None:
    assert Sample.of([0.1, 0.1, 0.1]) == Sample(0.1, 0.0, 3)


@pytest.mark.parametrize(
    ("reference", "region", "verdict"),
    [
        (0.0, Region(-0.5, 0.5), "REPRODUCED"),
        (0.5, Region(-0.2, 0.2), "NOT REPRODUCED"),
        (Sample(0.0, 0.2, 30), Region(-0.4, 0.4), "REPRODUCED"),
    ],
)
def test_seeds_to_settle_would_settle_it_and_one_less_would_not(
    reference: float | Sample, region: Region, verdict: Verdict
) -> None:
    ours = Sample(0.15, 0.3, 4)
    assert judge(ours, reference, region).verdict == "WITHIN NOISE"
    needed = seeds_to_settle(ours, reference, region)
    assert needed is not None
    assert judge(Sample(0.15, 0.3, needed), reference, region).verdict == verdict
    assert judge(Sample(0.15, 0.3, needed - 1), reference, region).verdict == "WITHIN NOISE"


def test_two_setups_of_ours_grow_together() -> None:
    ours, theirs, region = Sample(0.2, 0.5, 4), Sample(0.0, 0.4, 4), Region(low=0.0)
    needed = seeds_to_settle(ours, theirs, region)
    assert needed is not None
    assert judge(Sample(0.2, 0.5, needed), Sample(0.0, 0.4, needed), region).verdict == "REPRODUCED"
    assert judge(Sample(0.2, 0.5, needed - 1), Sample(0.0, 0.4, needed - 1), region).verdict == "WITHIN NOISE"


def test_a_mean_on_the_edge_and_a_vague_source_are_settled_by_no_number_of_seeds() -> None:
    assert seeds_to_settle(Sample(0.5, 0.3, 4), 0.0, Region(-0.5, 0.5)) is None
    assert seeds_to_settle(Sample(0.0, 0.3, 4), Sample(0.0, 1.0, 50), Region(-0.02, 0.02)) is None


@pytest.mark.parametrize(
    ("truth", "verdict", "least", "most"),
    [
        (0.02, "REPRODUCED", 0.03, 0.07),  # the truth lies on the edge: 5 % are taken for equal
        (0.02, "NOT REPRODUCED", 0.03, 0.07),
        (0.0, "REPRODUCED", 0.9, 1.0),
        (0.06, "NOT REPRODUCED", 0.95, 1.0),
        (0.06, "REPRODUCED", 0.0, 0.003),
    ],
)
def test_verdicts_err_as_seldom_as_their_level_says(truth: float, verdict: Verdict, least: float, most: float) -> None:
    draws = np.random.default_rng(0).normal(truth, 0.01, size=(1000, 5))
    found = [verdict_of([float(score) for score in row], 0.0, -0.02, 0.02) for row in draws]
    assert least <= found.count(verdict) / len(found) <= most


def test_two_setups_alike_are_seldom_ordered() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = generator.normal(0.0, 1.0, size=(2, 1000, 5))
    found = [
        judge(Sample.of(list(map(float, one))), Sample.of(list(map(float, other))), Region(low=0.0)).verdict
        for one, other in zip(ours, theirs, strict=True)
    ]
    # Welch's test keeps a little below its level for five draws each.
    assert 0.025 < found.count("REPRODUCED") / len(found) < 0.065
    assert 0.025 < found.count("NOT REPRODUCED") / len(found) < 0.065
