"""Splits as runs load them: held against their task's card."""

import dataclasses
from typing import Any

import pytest
import torch

from suite.errors import UserError
from suite.runs.splits import load_splits
from suite.spec import RunSpec
from suite.task import Card, Splits, Task


def loaded(toy: type[Task], **changes: Any) -> Any:
    """Load the training split of a toy task some of which is changed."""

    class Changed(toy):  # type: ignore[misc, valid-type]  # the toy at hand
        def card(self) -> Card:
            return dataclasses.replace(super().card(), **changes.get("card", {}))

        def load(self, splits: Any = ("train",)) -> Splits:
            found = super().load(splits)
            split = found["train"]
            split = dataclasses.replace(split, **{name: make(split) for name, make in changes.get("split", {}).items()})
            return dataclasses.replace(found, by_name={"train": split}, **changes.get("splits", {}))

    spec = dataclasses.replace(RunSpec.from_mapping({"task": "digits", "family": "mlp"}), task=Changed())
    return load_splits(spec, "train")


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"card": {"split_sizes": {"train": 90, "val": 32, "test": 32}}}, r"split_sizes\['train'\] = 90, but .* 96"),
        ({"card": {"input_shape": (21,)}}, r"input_shape = \(21,\), but train has \(20,\)"),
        ({"split": {"targets": lambda split: split.targets + 1}}, "whole numbers below 4 as targets.*from 1 to 4"),
        ({"split": {"targets": lambda split: split.targets.float()}}, "as targets, but train has float32"),
        ({"splits": {"std": torch.zeros(1)}}, "a std above 0"),
    ],
)
def test_a_split_that_is_not_what_the_card_says_is_refused(
    changes: dict[str, Any], law: str, toys: dict[str, type[Task]]
) -> None:
    loaded(toys["toy-vector"])
    with pytest.raises(UserError, match=law):
        loaded(toys["toy-vector"], **changes)
