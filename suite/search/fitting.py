"""Which fields and choices make sense on the task and with the family of a search, and why the others do not."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch

from suite.engine.schedules import constant
from suite.errors import UserError
from suite.fields import Field, FloatDistribution, IntDistribution, fields_of
from suite.regularizer import Regularizer
from suite.spec import RunSpec
from suite.task import Card
from sweeps.space import Dimension, Scalar


def with_values(base: RunSpec, values: Mapping[str, Any]) -> RunSpec:
    """Return ``base`` with fields by dotted name."""
    for name, value in values.items():
        group, _, key = name.partition(".")
        changed = dataclasses.replace(getattr(base, group), **{key: value})
        base = dataclasses.replace(base, **{group: changed})
    return base


def misfit(base: RunSpec, name: str, field: Field, regularizer: type[Regularizer] | None) -> str | None:
    """Return why a field, perhaps the strength of a regulariser, cannot do anything here, or None."""
    card = base.card()
    for need in field.needs_on_card:
        if not need.holds(card):
            return f"it counts only on tasks {'with' if need.present else 'without'} a {need.attribute}."
    if name.startswith("family."):
        return _idle(base, field, card)
    if regularizer is None:
        return None
    distribution = field.distribution
    strength = getattr(distribution, "high", None) or getattr(distribution, "choices", (None,))[-1]
    if strength is None:
        return None
    try:
        with_values(base, {f"regularization.{field.name}": strength})
    except UserError as error:  # what is fixed rules it out
        return str(error)
    return _refusal(base, regularizer(**{field.name: strength}), card)


def _idle(base: RunSpec, field: Field, card: Card) -> str | None:
    """Return why a field of the family changes nothing on the task, or is refused there once it is on, or None."""
    clause = base.family.idle(card).get(field.name)
    if clause is not None:
        return f"it changes nothing on this task: {clause}."
    distribution = field.distribution
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high = distribution.low, distribution.high
        middle = math.sqrt(low * high) if distribution.log else (low + high) / 2
        values = [middle if isinstance(distribution, FloatDistribution) else round(middle), high]
        reasons = [_choice_misfit(base, field, value) for value in values]
        if all(reason is not None for reason in reasons):
            return f"with {field.name}={high} the family {reasons[-1]}."
    return None


def _refusal(base: RunSpec, regularizer: Regularizer, card: Card) -> str | None:
    """Return why a regulariser cannot act on the family's learner for this task, or None when it can."""
    base.family.check_packages()
    with torch.device("meta"):
        learner = base.family.build(card)
        try:
            regularizer.attach(learner)
            learner.configure(noise_seed=0, schedule=constant, build_optimizer=_no_optimizer)
        except UserError as error:
            return str(error)
    return None


def _no_optimizer(*_arguments: object) -> torch.optim.Optimizer:
    raise AssertionError("nothing is trained where a space is made")


def fitting_choices(
    base: RunSpec, field: Field, dimension: Dimension, *, is_given: bool
) -> tuple[Dimension, str | None]:
    """Leave out the choices of an architecture that cannot take the task on; return why, where too few are left."""
    if not dimension.name.startswith("family.") or not dimension.choices:
        return dimension, None
    reasons = {choice: _choice_misfit(base, field, choice) for choice in dimension.choices}
    refused = {choice: reason for choice, reason in reasons.items() if reason is not None}
    fitting = tuple(choice for choice in dimension.choices if choice not in refused)
    if not refused:
        return dimension, None
    if is_given or len(fitting) < 2:
        choice, reason = next(iter(refused.items()))
        return dimension, f"with {field.name}={choice} the family {reason}."
    return dataclasses.replace(dimension, choices=fitting), None


def _choice_misfit(base: RunSpec, field: Field, choice: Scalar) -> str | None:
    try:
        family = dataclasses.replace(base.family, **{field.name: choice})
    except UserError:
        return _misfit_of_dependents(base, field, choice)
    return family.misfit(base.card())


def _misfit_of_dependents(base: RunSpec, field: Field, choice: Scalar) -> str | None:
    """Return why no value of the fields that count under ``choice`` alone makes it fit, or None when one may.

    A choice that does not go with the other defaults may go with other points of the space.
    """
    for other in fields_of(type(base.family)):
        if not any(condition.name == field.name and condition.holds(choice) for condition in other.conditions):
            continue
        for value in getattr(other.distribution, "choices", ()):
            with contextlib.suppress(UserError):
                return dataclasses.replace(base.family, **{field.name: choice, other.name: value}).misfit(base.card())
        if other.distribution is not None:
            return f"can have no {other.name} of its range"
    return None
