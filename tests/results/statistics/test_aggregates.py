"""Aggregates: the values of scipy and of the published definitions, and the standard errors that they really have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from results.statistics import aggregates
from results.statistics.intervals import generator

SCORES = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=st.floats(-1, 2, width=32)
)


@given(SCORES)
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(scores):
    value, _ = aggregates.interquartile_mean([scores])
    assert float(value) == pytest.approx(stats.trim_mean(scores.flatten(), 0.25), abs=1e-12)


@given(SCORES)
def test_the_optimality_gap_is_what_lacks_to_the_ceiling(scores):
    value, _ = aggregates.optimality_gap([scores])
    assert float(value) == pytest.approx(1 - np.minimum(scores, 1).mean(), abs=1e-12)


@given(SCORES, st.integers(2, 5))
def test_the_probability_of_improvement_is_the_mann_whitney_statistic_of_scipy(scores, num_seeds):
    other = np.round(generator("other", num_seeds).normal(size=(len(scores), num_seeds)), 1)
    expected = [
        stats.mannwhitneyu(ours, theirs).statistic / (len(ours) * len(theirs))
        for ours, theirs in zip(scores, other, strict=True)
    ]
    value, _ = aggregates.probability_of_improvement([scores, other])
    assert float(value) == pytest.approx(np.mean(expected), abs=1e-12)


def test_the_probability_against_several_is_the_mean_of_that_against_each():
    ours, *others = (generator("sample", name).normal(size=(2, 4)) for name in range(3))
    each = [float(aggregates.probability_of_improvement([ours, other])[0]) for other in others]
    assert float(aggregates.probability_of_improvement([ours, *others])[0]) == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("statistic", "num_samples"),
    [
        (aggregates.mean, 1),
        (aggregates.interquartile_mean, 1),
        (aggregates.optimality_gap, 1),
        (aggregates.probability_of_improvement, 3),
    ],
)
def test_standard_errors_are_those_that_repeated_draws_show(statistic, num_samples):
    levels = np.array([[0.4], [0.8], [0.95]])
    random = generator("repeated")
    samples = [levels + 0.1 * random.normal(size=(4000, 3, 20)) for _ in range(num_samples)]
    values, errors = statistic(samples)
    assert float(np.sqrt((errors**2).mean())) == pytest.approx(float(values.std()), rel=0.06)


@pytest.mark.parametrize(("floor", "ceiling"), [(0.1, 1.0), (2.5, 0.0)])
def test_the_floor_becomes_zero_and_the_ceiling_one(floor, ceiling):
    assert aggregates.normalized(np.array([floor, ceiling, (floor + ceiling) / 2]), floor, ceiling) == pytest.approx(
        [0, 1, 0.5]
    )
