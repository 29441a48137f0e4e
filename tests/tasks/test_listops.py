"""ListOps: grown and evaluated level by level, checked by reading the tokens."""

import statistics
from collections.abc import Callable

import pytest
import torch

from suite.errors import UserError
from tasks.listops import Listops
from tasks.sources.expressions import CLOSE, FIRST_OPERATOR, OPERATORS, PAD

EVALUATE: dict[str, Callable[[list[int]], int]] = {
    "MIN": min,
    "MAX": max,
    "MED": lambda values: int(statistics.median(values)),
    "SM": lambda values: sum(values) % 10,
}


def read(tokens: list[int], max_args: int) -> tuple[int, int]:
    """Return value and depth of an expression, read token by token with a stack."""
    stack: list[tuple[str, list[int], list[int]]] = [("", [], [])]
    for token in tokens:
        if token == CLOSE:
            operator, values, depths = stack.pop()
            assert 2 <= len(values) <= max_args
            value, depth = EVALUATE[operator](values), 1 + max(depths)
        elif token >= FIRST_OPERATOR:
            stack.append((OPERATORS[token - FIRST_OPERATOR], [], []))
            continue
        else:
            value, depth = token - 1, 1
        stack[-1][1].append(value)
        stack[-1][2].append(depth)
    ((_, (value,), (depth,)),) = stack
    return value, depth


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"min_length": 4, "max_length": 12, "max_depth": 3},
        {"min_length": 100, "max_length": 200, "max_depth": 20, "max_args": 6},
        {"min_length": 4, "max_length": 30, "max_args": 2},
    ],
    ids=str,
)
def test_reading_the_tokens_gives_every_answer_and_keeps_every_limit(settings: dict[str, int]) -> None:
    task = Listops(**settings, num_train=500)
    for split in task.load(("train", "test")).by_name.values():
        for row, target in zip(split.inputs.tolist(), split.targets.tolist(), strict=True):
            expression = [token for token in row if token != PAD]
            assert task.min_length <= len(expression) <= task.max_length == len(row)
            assert row == [PAD] * (len(row) - len(expression)) + expression
            value, depth = read(expression, task.max_args)
            assert value == target
            assert 2 <= depth <= task.max_depth


def test_every_operator_opens_expressions_and_every_number_of_arguments_occurs() -> None:
    inputs = Listops(min_length=4).load(("train",))["train"].inputs
    first = inputs[torch.arange(len(inputs)), (inputs == PAD).sum(dim=1)].long()
    assert (torch.bincount(first - FIRST_OPERATOR) / len(first) - 0.25).abs().max() < 0.02
    plain = (inputs != PAD).sum(dim=1)
    assert {int(length) for length in plain[(inputs >= FIRST_OPERATOR).sum(dim=1) == 2]} == {4, 5, 6, 7}


def test_the_floor_is_the_share_of_the_most_frequent_class_on_test_whatever_there_is_to_train_on() -> None:
    for task in (Listops(), Listops(max_length=40), Listops(num_train=3)):
        targets = task.load(("test",))["test"].targets
        assert task.card().floor == float(torch.bincount(targets).max()) / len(targets)
    assert Listops(num_train=3).card().floor == Listops().card().floor


def test_lengths_that_are_hardly_ever_met_are_refused_for_every_split_alike() -> None:
    task = Listops(min_length=53, max_length=53, max_depth=4, max_args=6, num_train=10)
    for split in ("train", "val", "test"):
        with pytest.raises(UserError, match="At least one expression in a thousand"):
            task.load((split,))  # type: ignore[arg-type]  # a tuple of literals is one of names
    with pytest.raises(UserError, match="At least one expression in a thousand"):
        task.card()


def test_the_default_card_generates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listops, "generate", lambda *_: pytest.fail("generated"))
    assert Listops().card().floor > 0.1


def test_hopeless_lengths_are_an_error_with_the_settings_and_no_endless_search() -> None:
    with pytest.raises(UserError, match=r"length in \[60, 60\].*task\.max_depth=2"):
        Listops(min_length=60, max_length=60, max_depth=2).load(("val",))
    with pytest.raises(UserError, match=r"min_length <= task\.max_length.*min_length=16, max_length=8"):
        Listops(max_length=8)
