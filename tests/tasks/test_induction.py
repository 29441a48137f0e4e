"""Induction heads."""

import pytest
import torch

from tasks.induction import Induction


@pytest.mark.parametrize(("vocabulary", "length"), [(20, 30), (4, 3), (256, 100)])
def test_looking_up_what_followed_the_trigger_gives_every_answer(vocabulary: int, length: int) -> None:
    task = Induction(vocabulary=vocabulary, length=length, num_train=500)
    trigger = vocabulary - 2
    for split in task.load().by_name.values():
        for row, target in zip(split.inputs.tolist(), split.targets.tolist(), strict=True):
            assert row[-1] == trigger
            assert row.count(trigger) == 2
            assert row[row.index(trigger) + 1] == target < trigger


def test_the_trigger_is_anywhere_but_in_the_last_two_places() -> None:
    inputs = Induction(num_train=20000).load(("train",))["train"].inputs
    shares = (inputs[:, :-1] == 18).float().mean(dim=0)
    assert shares[-2:].tolist() == [0, 0]
    assert (shares[:-2] * 28 - 1).abs().max() < 0.2


def test_answers_are_even_over_the_ordinary_tokens_which_is_the_floor() -> None:
    targets = Induction(num_train=20000).load(("train",))["train"].targets
    shares = torch.bincount(targets, minlength=20) / len(targets)
    assert shares[18:].tolist() == [0, 0]
    assert (shares[:18] - Induction().card().floor).abs().max() < 0.008


def test_the_evidence_is_the_first_trigger_and_the_answer_after_it() -> None:
    task = Induction()
    split, evidence = task.load(("test",))["test"], task.evidence("test")
    assert evidence.sum(dim=1).unique().tolist() == [2]
    assert torch.equal(split.inputs[evidence].reshape(-1, 2)[:, 0].unique(), torch.tensor([18], dtype=torch.uint8))
    assert torch.equal(split.inputs[evidence].reshape(-1, 2)[:, 1].long(), split.targets)
