"""Associative recall."""

import pytest
import torch

from tasks.associative_recall import AssociativeRecall


@pytest.mark.parametrize(("vocabulary", "num_pairs"), [(10, 10), (6, 1), (31, 40)])
def test_looking_the_key_up_gives_every_answer(vocabulary: int, num_pairs: int) -> None:
    task = AssociativeRecall(vocabulary=vocabulary, num_pairs=num_pairs, num_train=500)
    for split in task.load().by_name.values():
        for row, target in zip(split.inputs.tolist(), split.targets.tolist(), strict=True):
            *shown, prompt, key = row
            pairs = list(zip(shown[::2], shown[1::2], strict=True))
            assert len(pairs) == num_pairs
            assert prompt == vocabulary - 2
            assert dict(pairs)[key] == target
            assert len(set(pairs)) == len(dict(pairs)), "a key has one value in a sequence"
            assert max(dict(pairs)) < task.num_keys <= min(dict(pairs).values()) < prompt


def test_answers_are_even_over_the_values_which_is_the_floor() -> None:
    task = AssociativeRecall(num_train=20000)
    shares = torch.bincount(task.load(("train",))["train"].targets, minlength=10) / 20000
    assert task.card().floor == 0.25
    assert float(shares[:4].sum()) == float(shares[8:].sum()) == 0
    assert (shares[4:8] - 0.25).abs().max() < 0.015


def test_the_key_asked_for_is_even_over_the_keys_that_were_shown() -> None:
    inputs = AssociativeRecall(num_pairs=2, num_train=20000).load(("train",))["train"].inputs.long()
    first, second, query = inputs[:, 0], inputs[:, 2], inputs[:, -1]
    differ = first != second
    assert abs((query == first)[differ].double().mean() - 0.5) < 0.015
    # With the same key twice and another once, either is asked for as often.
    inputs = AssociativeRecall(num_pairs=3, num_train=20000).load(("train",))["train"].inputs.long()
    first, second, third, query = inputs[:, 0], inputs[:, 2], inputs[:, 4], inputs[:, -1]
    twice = (first == second) & (second != third)
    assert abs((query == third)[twice].double().mean() - 0.5) < 0.04


def test_values_are_drawn_anew_in_every_sequence() -> None:
    inputs = AssociativeRecall(num_train=20000).load(("train",))["train"].inputs
    value_of_first_key = inputs[:, 1][inputs[:, 0] == 0]
    shares = torch.bincount(value_of_first_key.long(), minlength=8)[4:] / len(value_of_first_key)
    assert (shares - 0.25).abs().max() < 0.03


def test_the_evidence_is_the_key_wherever_it_stands_and_its_value() -> None:
    task = AssociativeRecall()
    split, evidence = task.load(("test",))["test"], task.evidence("test")
    for row, told, target in zip(split.inputs.tolist(), evidence.tolist(), split.targets.tolist(), strict=True):
        assert {value for value, is_told in zip(row, told, strict=True) if is_told} == {row[-1], target}
        assert sum(told) == 2 * (row.count(row[-1]) - 1) + 1
