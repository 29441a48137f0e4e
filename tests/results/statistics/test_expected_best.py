"""The expected best of k trials: the mean over all sets of k, in closed form."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.statistics.expected_best import expected_best
from results.statistics.intervals import generator


@given(
    values=st.lists(st.integers(-20, 20).map(lambda value: value / 8), min_size=1, max_size=8),
    k=st.integers(1, 8),
    direction=st.sampled_from(["maximize", "minimize"]),
)
def test_it_is_the_mean_of_the_best_over_all_sets_of_k(values, k, direction):
    best = max if direction == "maximize" else min
    found = expected_best(values, k, direction)
    if k > len(values):
        assert math.isnan(found)
    else:
        expected = statistics.mean(best(chosen) for chosen in itertools.combinations(values, k))
        assert found == pytest.approx(expected, abs=1e-12)


def test_over_many_searches_it_is_the_expected_best_of_k_draws():
    draws = generator("searches").uniform(size=(4000, 8))
    found = statistics.mean(expected_best(values.tolist(), 3, "maximize") for values in draws)
    assert found == pytest.approx(3 / 4, abs=0.005)  # the largest of three uniform numbers


def test_many_trials_are_no_trouble():
    values = [value / 1000 for value in range(1000)]
    assert expected_best(values, 20, "maximize") == pytest.approx(20 / 21, abs=1e-3)
