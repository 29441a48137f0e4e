"""Every registered explanation method on every family and toy task that has one answer."""

import importlib.util
import inspect

import pytest
import torch

from suite import questions
from suite.explainer import EXPLAINERS
from suite.fields import fields_of
from suite.seeds import seed_torch
from suite.task import Task
from tests.small import small


def test_method_explains_every_setting_and_cites(explainer_name: str) -> None:
    cls = EXPLAINERS.get(explainer_name)
    assert "Reference:" in inspect.cleandoc(cls.__dict__["__doc__"])
    assert [field.name for field in fields_of(cls) if not field.help.endswith(".")] == []


@pytest.mark.dear
def test_method_says_something_of_every_position_and_the_same_twice(
    explainer_name: str, pair: tuple[str, str], toys: dict[str, type[Task]]
) -> None:
    method, toy = EXPLAINERS.get(explainer_name)(), toys[pair[1]]()
    if not all(importlib.util.find_spec(package) for package in method.packages):
        pytest.skip("an extra that `make install` leaves out")
    if questions.misfit(toy.card()) is not None:
        pytest.skip("the task has more than one answer")
    seed_torch(0)
    family, splits = small(pair[0]), toy.load(["test"])
    if family.has_encoding():
        pytest.skip("a family that reads inputs in a form of its own is not explained")
    learner, inputs = family.build(toy.card()).eval(), splits["test"].inputs[:3]
    asked = questions.ask(learner, inputs if splits.mean is None else (inputs - splits.mean) / splits.std)
    reason = method.misfit(asked)
    if reason is not None:
        pytest.skip(reason)
    found = method.attribute(asked)
    assert found.shape == (3, *asked.positions)
    assert bool(torch.isfinite(found).all())
    assert bool((found.abs().flatten(1).sum(dim=1) > 0).all())
    assert torch.equal(found, method.attribute(asked))
    assert all(parameter.grad is None for parameter in learner.parameters())
