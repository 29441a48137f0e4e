"""The pruners by name: when a trial is given up before its end. None is the default, and is always said."""

from __future__ import annotations

import dataclasses
import warnings
from abc import ABC, abstractmethod
from typing import ClassVar

from optuna import pruners
from optuna.exceptions import ExperimentalWarning

from sweeps.choice import ChoiceError, Named, at_least, pick


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pruner(Named, ABC):
    """When to give a trial up. A step is one validation, from 1; with several seeds per trial, one seed, from 0."""

    looks_at_running: ClassVar[bool] = False
    """Whether a decision rests on trials that are not over yet."""
    over_seeds: ClassVar[bool] = False
    """Whether it compares seeds, and not validations."""

    @abstractmethod
    def build(self) -> pruners.BasePruner:
        """Return Optuna's pruner."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoPruner(Pruner):
    """Every trial has its whole budget."""

    name: ClassVar[str] = "none"

    def build(self) -> pruners.BasePruner:
        """Return Optuna's pruner that never prunes; without one Optuna takes its median pruner."""
        return pruners.NopPruner()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Percentile(Pruner):
    """Give up what is not among the best ``percentile`` percent of the finished trials at the same validation."""

    name: ClassVar[str] = "percentile"

    percentile: float = 25.0
    n_startup_trials: int = 5
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise ChoiceError(f"`0 <= percentile <= 100` must hold, but got percentile={self.percentile}.")
        for setting, least in (("n_startup_trials", 0), ("n_warmup_steps", 0), ("interval_steps", 1)):
            at_least(self, setting, least)
        at_least(self, "n_min_trials", 1)

    def build(self) -> pruners.BasePruner:
        """Return Optuna's percentile pruner."""
        return pruners.PercentilePruner(
            self.percentile,
            n_startup_trials=self.n_startup_trials,
            n_warmup_steps=self.n_warmup_steps,
            interval_steps=self.interval_steps,
            n_min_trials=self.n_min_trials,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Median(Percentile):
    """Give up what is below the median of the finished trials at the same validation."""

    name: ClassVar[str] = "median"

    percentile: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.percentile != 50.0:
            raise ChoiceError("The median is the percentile 50; take the pruner percentile for another.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halving(Pruner):
    """Asynchronous successive halving: at each rung only the best of those that came so far go on.

    Reference: Li et al., 2020, arXiv:1810.05934.
    """

    name: ClassVar[str] = "halving"
    looks_at_running: ClassVar[bool] = True

    min_resource: int = 1
    reduction_factor: int = 4
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0

    def __post_init__(self) -> None:
        at_least(self, "min_resource", 1)
        at_least(self, "reduction_factor", 2)
        at_least(self, "min_early_stopping_rate", 0)
        at_least(self, "bootstrap_count", 0)

    def build(self) -> pruners.BasePruner:
        """Return Optuna's successive-halving pruner."""
        return pruners.SuccessiveHalvingPruner(
            min_resource=self.min_resource,
            reduction_factor=self.reduction_factor,
            min_early_stopping_rate=self.min_early_stopping_rate,
            bootstrap_count=self.bootstrap_count,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hyperband(Pruner):
    """Several successive halvings side by side, which differ in how early they begin.

    Reference: Li et al., 2018, arXiv:1603.06560.
    """

    name: ClassVar[str] = "hyperband"
    looks_at_running: ClassVar[bool] = True

    min_resource: int = 1
    max_resource: int | None = None
    """Validations of a whole trial; None waits for the first one that is finished."""
    reduction_factor: int = 3
    bootstrap_count: int = 0

    def __post_init__(self) -> None:
        at_least(self, "min_resource", 1)
        at_least(self, "max_resource", self.min_resource)
        at_least(self, "reduction_factor", 2)
        at_least(self, "bootstrap_count", 0)

    def build(self) -> pruners.BasePruner:
        """Return Optuna's Hyperband pruner."""
        return pruners.HyperbandPruner(
            min_resource=self.min_resource,
            max_resource="auto" if self.max_resource is None else self.max_resource,
            reduction_factor=self.reduction_factor,
            bootstrap_count=self.bootstrap_count,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wilcoxon(Pruner):
    """Give a trial up after some of its seeds, when they are worse than the best trial's by a signed-rank test."""

    name: ClassVar[str] = "wilcoxon"
    over_seeds: ClassVar[bool] = True

    p_threshold: float = 0.1
    n_startup_steps: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.p_threshold <= 1:
            raise ChoiceError(f"`0 <= p_threshold <= 1` must hold, but got p_threshold={self.p_threshold}.")
        at_least(self, "n_startup_steps", 0)

    def build(self) -> pruners.BasePruner:
        """Return Optuna's Wilcoxon pruner, without its warning in each process that it is experimental."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return pruners.WilcoxonPruner(p_threshold=self.p_threshold, n_startup_steps=self.n_startup_steps)


PRUNERS: dict[str, type[Pruner]] = {
    cls.name: cls for cls in (NoPruner, Median, Percentile, Halving, Hyperband, Wilcoxon)
}


def pruner_class(name: str) -> type[Pruner]:
    """Return the pruner called ``name``; raise `ChoiceError` otherwise."""
    found: type[Pruner] = pick("pruner", name, PRUNERS)
    return found
