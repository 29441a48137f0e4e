import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from suite.relevance import chance, expected_hits, mass_accuracy, scores


def test_all_relevance_on_the_evidence_scores_one_and_none_of_it_zero() -> None:
    evidence = torch.tensor([[True, True, False, False]])
    right, wrong = torch.tensor([[0.7, 0.1, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.2, 0.9]])
    assert all(float(value) == 1 for value in scores(right, evidence).values())
    assert all(float(value) == 0 for value in scores(wrong, evidence).values())


def test_the_scores_differ_in_what_they_count() -> None:
    evidence = torch.tensor([[True, True, False, False, False]])
    found = scores(torch.tensor([[4.0, 1.0, 2.0, 0.5, 0.5]]), evidence)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"relevance-mass": 5 / 8, "relevance-rank": 1 / 2, "pointing-game": 1.0}
    )


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_relevance_that_is_the_same_everywhere_scores_chance(level: float) -> None:
    evidence = torch.tensor([[True, False, False, False, True], [False, True, False, False, False]])
    for name, values in scores(torch.full((2, 5), level), evidence).items():
        torch.testing.assert_close(values, chance(evidence), msg=name)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_ties_count_as_the_mean_over_all_orders(seed: int, size: int) -> None:
    """Breaking ties at random, many times, comes to the formula."""
    generator = np.random.default_rng(seed)
    relevance = generator.integers(0, 3, size).astype(float)
    evidence = np.zeros(size, dtype=bool)
    evidence[generator.permutation(size)[: generator.integers(1, size)]] = True
    count = int(evidence.sum())
    order = np.argsort(-(relevance + 1e-3 * generator.random((4000, size))), axis=1)[:, :count]
    wanted = evidence[order].mean()
    found = expected_hits(torch.tensor(relevance)[None], torch.tensor(evidence)[None], torch.tensor([count]))
    assert float(found) == pytest.approx(wanted, abs=0.05)


def test_mass_is_counted_without_regard_to_scale() -> None:
    relevance, evidence = torch.rand(6, 10), torch.rand(6, 10) < 0.5
    torch.testing.assert_close(mass_accuracy(relevance, evidence), mass_accuracy(1e-12 * relevance, evidence))
