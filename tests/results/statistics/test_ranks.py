"""Ranks: Demsar's published example, and the reference library on generated tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats

from results.statistics.intervals import generator
from results.statistics.ranks import cliques, critical_difference_of, friedman, nemenyi_p_values, rank_blocks

# Demsar, 2006, JMLR 7, table 6: areas under the curve of C4.5 with m = 0 or tuned and cf = 0 or tuned, on 14 data
# sets. The ranks are as printed (voting has ranks 2 and 3 for what prints as 0.975 twice, hence one digit more here).
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_the_published_example_has_its_mean_ranks_and_critical_difference():
    ranks = rank_blocks(DEMSAR, "maximize")
    assert ranks.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert critical_difference_of(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference_of(4, 14, alpha=0.10) == pytest.approx(1.12, abs=5e-3)
    # The paper's statistic is not corrected for ties; the library's is, and that one is used.
    plain = 12 * 14 / (4 * 5) * ((ranks.mean(axis=0) ** 2).sum() - 4 * 5**2 / 4)
    assert plain == pytest.approx(9.28, abs=5e-3)
    assert friedman(ranks) == pytest.approx(tuple(stats.friedmanchisquare(*DEMSAR.T)))
    assert friedman(ranks).p_value < 0.05


# Demsar, 2006, table 5(a).
@pytest.mark.parametrize(
    ("num_methods", "quantile"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_the_quantiles_are_those_of_the_published_table(num_methods, quantile):
    found = critical_difference_of(num_methods, 10) / math.sqrt(num_methods * (num_methods + 1) / 60)
    assert found == pytest.approx(quantile, abs=1.1e-3)


@pytest.mark.parametrize("shape", [(14, 4), (3, 8), (6, 3)])
def test_pairs_have_the_p_values_of_the_reference_library(shape):
    scores = np.round(generator("blocks", *shape).normal(size=shape), 1)
    ranks = rank_blocks(scores, "maximize")
    expected = scikit_posthocs.posthoc_nemenyi_friedman(scores).to_numpy()
    assert nemenyi_p_values(ranks) == pytest.approx(expected, abs=1e-9)
    assert friedman(ranks) == pytest.approx(tuple(stats.friedmanchisquare(*scores.T)))


def test_two_ranks_apart_by_the_critical_difference_are_significant_in_the_reference_library():
    ranks = rank_blocks(DEMSAR, "maximize")
    means = ranks.mean(axis=0)
    apart = np.abs(means[:, None] - means[None, :]) >= critical_difference_of(4, 14)
    expected = scikit_posthocs.posthoc_nemenyi_friedman(DEMSAR).to_numpy() < 0.05
    assert (apart == expected).all()


def test_the_smaller_error_ranks_first():
    assert rank_blocks(np.array([[0.2, 0.1, 0.2]]), "minimize").tolist() == [[2.5, 1.0, 2.5]]


@pytest.mark.parametrize("scores", [np.ones((5, 4)), np.arange(4.0)[None], np.arange(8.0).reshape(4, 2)])
def test_the_test_says_nothing_of_two_methods_one_block_or_ties_throughout(scores):
    assert all(map(math.isnan, friedman(rank_blocks(scores, "maximize"))))


def test_bars_join_the_longest_runs_that_are_not_told_apart():
    assert cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == [(0, 1), (1, 2)]
    assert cliques(np.array([1.0, 1.2, 1.4]), 1.0) == [(0, 2)]
    assert cliques(np.array([1.0, 3.0]), 1.0) == []
