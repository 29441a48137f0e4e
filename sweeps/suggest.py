"""A space in Optuna's terms: its distributions, and one trial's parameters drawn from them."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from sweeps.space import SWITCH, Dimension, Scalar, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the distribution of every parameter, those that count in some trials only included."""
    found: dict[str, BaseDistribution] = {}
    for dimension in space.dimensions:
        if dimension.has_off:
            found[dimension.name + SWITCH] = CategoricalDistribution((False, True))
        found[dimension.name] = _distribution(dimension)
    return found


def common_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the distributions of the parameters that every trial has."""
    names = {dimension.name for dimension in space.dimensions if not dimension.conditions and not dimension.has_off}
    names |= {d.name + SWITCH for d in space.dimensions if d.has_off and not d.conditions}
    return {name: distribution for name, distribution in distributions(space).items() if name in names}


def suggest(space: Space, trial: Trial) -> dict[str, Scalar]:
    """Draw the parameters that count in ``trial``, in the order of the space."""
    params: dict[str, Scalar] = {}
    settings: dict[str, Scalar] = {}
    for dimension in space.dimensions:
        if not space.counts(dimension, settings):
            continue
        settings[dimension.name] = dimension.off
        if dimension.has_off:
            params[dimension.name + SWITCH] = trial.suggest_categorical(dimension.name + SWITCH, (False, True))
            if not params[dimension.name + SWITCH]:
                continue
        params[dimension.name] = settings[dimension.name] = _suggest(dimension, trial)
    return params


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.is_integer:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _suggest(dimension: Dimension, trial: Trial) -> Any:
    if dimension.choices:
        return trial.suggest_categorical(dimension.name, dimension.choices)
    if dimension.is_integer:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return trial.suggest_int(dimension.name, low, high, log=dimension.log, step=step)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log, step=dimension.step)
