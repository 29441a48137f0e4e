"""What the tests of compression share: a small finished model and its data, without a run around it."""

from typing import Any

import pytest
import torch

from suite.engine.data import ResidentSplit
from suite.family import FAMILIES
from suite.learner import Learner
from suite.seeds import seed_torch
from suite.task import Card, Task


class Models:
    """Fresh models of a family on a toy task, and the toy's training split."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.card: Card = task.card()

    def __call__(self, family: str, seed: int = 0, **settings: Any) -> Learner:
        seed_torch(seed)
        return FAMILIES.get(family)(**settings).build(self.card)

    def train(self) -> ResidentSplit:
        splits = self.task.load(("train",))
        return ResidentSplit.place(splits["train"], splits, torch.device("cpu"))


@pytest.fixture
def vectors(toys: dict[str, type[Task]]) -> Models:
    return Models(toys["toy-vector"]())


@pytest.fixture
def images(toys: dict[str, type[Task]]) -> Models:
    return Models(toys["toy-image"]())


@pytest.fixture
def texts(toys: dict[str, type[Task]]) -> Models:
    return Models(toys["toy-text"]())
