"""Every registered regulariser: off without a trace, on with an effect, and penalties true to their formula."""

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.family import FAMILIES
from suite.fields import CategoricalDistribution, FloatDistribution, IntDistribution, fields_of
from suite.learner import Learner
from suite.regularizer import REGULARIZERS, Regularizer
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec
from suite.task import TASKS

pytestmark = pytest.mark.usefixtures("registered_toys")

PENALTIES: dict[str, Callable[[float, list[Tensor]], Tensor]] = {
    "l1": lambda strength, weights: strength * sum((w.abs().sum() for w in weights), torch.zeros(())),
    "l2": lambda strength, weights: strength / 2 * sum(((w * w).sum() for w in weights), torch.zeros(())),
}
"""Name -> formula over (strength, parameters), written down apart from the code that it checks."""

GRADIENTS: dict[str, Callable[[float, Tensor], Tensor]] = {
    "l1": lambda strength, weight: strength * weight.sign(),
    "l2": lambda strength, weight: strength * weight,
}
"""Name -> derivative of the formula by one parameter."""


def strength_of(name: str) -> Any:
    return fields_of(REGULARIZERS.get(name))[0]


def switch_on(name: str) -> dict[str, Any]:
    """Return the strength that leaves its mark within a few steps."""
    field = strength_of(name)
    match field.distribution:
        case CategoricalDistribution(choices=choices):
            return {field.name: next(choice for choice in choices if choice != field.default)}
        case FloatDistribution(low=low, high=high) | IntDistribution(low=low, high=high):
            # Where none is off, the strength is a threshold, and the low end of its range bites hardest.
            return {field.name: low if field.default is None else high}
    pytest.fail(f"the strength {field.name} must carry a search range")


def prepare_with(where: dict[str, str], regularization: dict[str, Any]) -> Prepared:
    spec = RunSpec.from_mapping({**where, "regularization": regularization, "budget": {"steps": 4}})
    return prepare(spec, Execution(device="cpu", threads=1))


@functools.cache
def place_for(name: str) -> tuple[str, str]:
    """Return a (family, toy task) on which the regulariser can act: the MLP on vectors where it can."""
    families, toys = FAMILIES.names(), [name for name in TASKS.names() if name.startswith("toy-")]
    for family, toy in [("mlp", "toy-vector"), *itertools.product(families, toys)]:
        with contextlib.suppress(UserError):
            prepare_with({"family": family, "task": toy}, switch_on(name))
            return family, toy
    pytest.fail(f"no family and toy task let {name!r} act; add a toy task with what it needs")


def where_to_run(name: str) -> dict[str, str]:
    family, toy = place_for(name)
    return {"family": family, "task": toy}


def test_first_field_bears_the_regularisers_name_and_the_others_begin_with_it(regularizer_name: str) -> None:
    first, *others = (field.name for field in fields_of(REGULARIZERS.get(regularizer_name)))
    flat = regularizer_name.replace("-", "_")
    assert first == flat
    assert [name for name in others if not name.startswith(f"{flat}_")] == []


def test_regulariser_cites_and_explains_every_setting(regularizer_name: str) -> None:
    cls = REGULARIZERS.get(regularizer_name)
    assert "Reference:" in inspect.cleandoc(cls.__dict__["__doc__"])
    assert [field.name for field in fields_of(cls) if not field.help.endswith(".")] == []
    assert strength_of(regularizer_name).help.endswith("off.")


def test_regulariser_is_off_by_default_and_on_at_any_strength_of_its_range(regularizer_name: str) -> None:
    cls = REGULARIZERS.get(regularizer_name)
    assert not cls().is_on
    assert cls(**switch_on(regularizer_name)).is_on


def test_off_leaves_no_trace_in_the_learner_or_the_run_id(regularizer_name: str) -> None:
    off = {strength_of(regularizer_name).name: strength_of(regularizer_name).default}
    plain, given = (prepare_with(where_to_run(regularizer_name), given) for given in ({}, off))
    assert given.run_id == plain.run_id
    learner = given.build_learner()
    assert learner.penalties == learner.transforms == learner.after_backward == learner.after_step == []
    assert learner.averages == {}
    assert (learner.weight_decay, learner.patience) == (0.0, None)
    assert given.spec.regularization.regularizers() == []


def test_off_changes_no_bit_of_the_result(regularizer_name: str, run_quickly: Callable[..., Any]) -> None:
    field = strength_of(regularizer_name)
    others = {item.name: item.default for item in fields_of(REGULARIZERS.get(regularizer_name))[1:]}
    spelled_out = {"regularization": {field.name: field.default, **others}}
    runs = [run_quickly({**where_to_run(regularizer_name), **changes}, steps=4)[0] for changes in ({}, spelled_out)]
    assert runs[0]["digests"] == runs[1]["digests"]


def test_on_changes_the_training_and_the_run_id(regularizer_name: str, run_quickly: Callable[..., Any]) -> None:
    """Forty steps at a high rate, val scored at each: long enough for whatever watches val to act too."""
    mapping = {
        **where_to_run(regularizer_name),
        "optimization": {"lr": 0.03},
        "evaluation": {"every_steps": 1, "selection": "last"},
    }
    plain, on = (
        run_quickly({**mapping, "regularization": regularization}, steps=40)[0]
        for regularization in ({}, switch_on(regularizer_name))
    )
    assert plain["status"] == on["status"] == "completed"
    assert plain["run_id"] != on["run_id"]
    assert plain["digests"]["weights"] != on["digests"]["weights"]


def test_every_penalty_has_a_formula_here() -> None:
    penalties = {name for name in REGULARIZERS.names() if _penalised(name).penalties}
    missing = sorted(penalties - set(PENALTIES))
    assert not missing, f"write the formula and the derivative of {missing} into {__name__}.PENALTIES and GRADIENTS"
    assert penalties == set(PENALTIES) == set(GRADIENTS)


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_penalty_equals_its_formula_and_its_gradient(name: str) -> None:
    learner = _penalised(name)
    strength = switch_on(name)[strength_of(name).name]
    (penalty,) = learner.penalties
    parameters = list(learner.parameters())
    torch.testing.assert_close(penalty(), PENALTIES[name](strength, parameters))
    gradients = torch.autograd.grad(penalty(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(gradient, GRADIENTS[name](strength, parameter.detach()))


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_penalty_is_finite_with_a_finite_gradient_where_all_weights_are_zero(name: str) -> None:
    learner = _penalised(name)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.zero_()
    penalty = learner.penalties[0]()
    penalty.backward()
    assert penalty.item() == 0
    assert all(parameter.grad is not None and bool((parameter.grad == 0).all()) for parameter in learner.parameters())


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_penalty_is_added_to_the_total_and_to_no_other_loss(name: str) -> None:
    prepared = prepare_with(where_to_run(name), switch_on(name))
    learner = prepared.build_learner()
    train = prepared.resident("train")
    assert train is not None
    batch = train.gather(slice(0, 16))
    plain, regularized = learner.losses(batch), learner.regularized_losses(batch)
    torch.testing.assert_close(regularized["total"] - plain["total"], learner.penalties[0]())
    assert {key: value for key, value in regularized.items() if key != "total"} == {
        key: value for key, value in plain.items() if key != "total"
    }


def _penalised(name: str) -> Learner:
    regularizer: Regularizer = REGULARIZERS.get(name)(**switch_on(name))
    learner = prepare_with(where_to_run(name), {}).build_learner()
    regularizer.attach(learner)
    return learner
