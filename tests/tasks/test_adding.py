"""The adding problem."""

from typing import Literal

import pytest
import torch

from tasks.adding import Adding


@pytest.mark.parametrize("markers", ["halves", "anywhere"])
@pytest.mark.parametrize("length", [2, 3, 200])
def test_the_sum_of_the_marked_values_is_the_target(length: int, markers: Literal["halves", "anywhere"]) -> None:
    task = Adding(length=length, markers=markers, num_train=2000)
    for split in task.load().by_name.values():
        values, marks = split.inputs.unbind(1)
        assert set(marks.unique().tolist()) <= {0.0, 1.0}
        assert bool((marks.sum(dim=1) == 2).all())
        assert torch.equal((values * marks).sum(dim=1, keepdim=True), split.targets)
        assert values.min() >= 0
        assert values.max() < 1


def test_one_marker_lies_in_each_half_and_every_place_occurs() -> None:
    marks = Adding(length=11).load(("train",))["train"].inputs[:, 1]
    assert bool((marks[:, :5].sum(dim=1) == 1).all())
    assert bool((marks[:, 5:].sum(dim=1) == 1).all())
    shares = marks.mean(dim=0) * torch.tensor([5.0] * 5 + [6.0] * 6)
    assert (shares - 1).abs().max() < 0.06


def test_markers_anywhere_lie_at_two_different_places_evenly() -> None:
    marks = Adding(length=11, markers="anywhere").load(("train",))["train"].inputs[:, 1]
    assert (marks.mean(dim=0) * 11 / 2 - 1).abs().max() < 0.06
    both_in_first = (marks[:, :5].sum(dim=1) == 2).float().mean()
    assert abs(both_in_first - 5 * 4 / (11 * 10)) < 0.01


@pytest.mark.parametrize("markers", ["halves", "anywhere"])
def test_the_floor_is_the_error_of_always_answering_one(markers: Literal["halves", "anywhere"]) -> None:
    targets = Adding(markers=markers, length=20).load(("train",))["train"].targets.double()
    # The squared deviation has variance 1/15 - 1/36: four standard errors of 50,000 examples are 0.0035.
    assert abs(float(((targets - 1) ** 2).mean()) - Adding().card().floor) < 0.0035
    assert Adding().card().floor == pytest.approx(0.16667, abs=1e-5)


def test_inputs_are_taken_as_they_are() -> None:
    splits = Adding(num_train=10).load(("train",))
    inputs = splits["train"].inputs
    assert torch.equal((inputs - splits.mean) / splits.std, inputs)


def test_the_evidence_is_where_the_sum_comes_from() -> None:
    task = Adding(length=30)
    split, evidence = task.load(("test",))["test"], task.evidence("test")
    assert evidence.sum(dim=1).unique().tolist() == [2]
    torch.testing.assert_close((split.inputs[:, 0] * evidence).sum(dim=1, keepdim=True), split.targets)
