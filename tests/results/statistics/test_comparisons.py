"""Comparisons: p-values and corrections equal to the reference libraries', letters that mean what they say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from results.statistics.comparisons import (
    holm,
    letters,
    minimum_detectable_difference,
    paired_p_values,
    pairwise_p_values,
)
from results.statistics.intervals import generator

ROWS = st.lists(
    st.dictionaries(st.integers(0, 6), st.integers(-50, 50).map(lambda value: value / 64), min_size=1, max_size=7),
    min_size=2,
    max_size=5,
)


@given(ROWS)
def test_paired_tests_over_shared_seeds_are_those_of_scipy(rows):
    for one, other in itertools.combinations(rows, 2):
        shared = sorted(one.keys() & other.keys())
        a, b = [one[seed] for seed in shared], [other[seed] for seed in shared]
        differences = np.subtract(a, b)
        (t,), (wilcoxon,) = (paired_p_values([(one, other)], test) for test in ("t", "wilcoxon"))
        if len(shared) < 2:
            assert math.isnan(t)
            assert math.isnan(wilcoxon)
        elif not differences.any():
            assert t == wilcoxon == 1
        elif np.ptp(differences) == 0:
            assert t == 0
        else:
            assert t == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-6, abs=1e-12)
            assert wilcoxon == stats.wilcoxon(a, b).pvalue


@settings(max_examples=15)  # statsmodels takes a tenth of a second for each
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_that_of_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert holm(p_values) == pytest.approx(list(expected))


def test_a_test_that_could_not_be_made_does_not_count():
    assert holm([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)


def test_pairs_are_corrected_together():
    rows = [{seed: mean + 0.1 * ((seed * 7 + mean) % 3) for seed in range(5)} for mean in (0, 1, 3)]
    alone = {pair: paired_p_values([(rows[pair[0]], rows[pair[1]])])[0] for pair in ((0, 1), (0, 2), (1, 2))}
    assert pairwise_p_values(rows) == pytest.approx(dict(zip(alone, holm(list(alone.values())), strict=True)))


@given(st.integers(0, 7).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.sampled_from(
    list(itertools.combinations(range(max(n, 2)), 2)))))))  # fmt: skip
def test_two_rows_share_a_letter_exactly_when_they_are_not_told_apart(case):
    count, differing = case
    differing = {pair for pair in differing if max(pair) < count}
    marks = letters(count, sorted(differing))
    for pair in itertools.combinations(range(count), 2):
        shares = bool(set(marks[pair[0]]) & set(marks[pair[1]]))
        assert shares == (pair not in differing)
    assert all(marks)
    assert letters(count, sorted(differing, reverse=True)) == marks


def test_the_letters_of_a_chain_are_those_of_the_textbooks():
    assert letters(4, [(0, 2), (0, 3), (1, 3)]) == ["a", "ab", "bc", "c"]


# Cohen, 1988, Statistical Power Analysis, table 2.4.1, for one sample of differences (as G*Power 3.1 has it).
@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_detectable_difference_is_that_of_the_power_tables(effect, seeds):
    assert minimum_detectable_difference(1.0, seeds) <= effect < minimum_detectable_difference(1.0, seeds - 1)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_detectable_difference_is_found_in_four_of_five_cases(seeds):
    effect = minimum_detectable_difference(0.3, seeds)
    draws = effect + 0.3 * generator("power", seeds).normal(size=(20_000, seeds))
    found = stats.ttest_1samp(draws, 0, axis=1)
    assert ((found.pvalue < 0.05) & (found.statistic > 0)).mean() == pytest.approx(0.8, abs=0.01)


def test_one_seed_detects_nothing():
    assert math.isnan(minimum_detectable_difference(0.1, 1))
    assert math.isnan(minimum_detectable_difference(math.nan, 3))
