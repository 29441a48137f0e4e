"""The samplers by name. Each is built anew for each trial, from a seed that the trial's number decides."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from optuna import samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweeps.choice import ChoiceError, Named, at_least, pick
from sweeps.space import Scalar, Space, SpaceError
from sweeps.suggest import common_distributions, distributions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampler(Named, ABC):
    """How the parameters of the next trial are chosen."""

    learns: ClassVar[bool] = True
    """Whether a choice rests on the results of earlier trials."""

    def misfit(self, space: Space, *, num_objectives: int) -> str | None:
        """Return why this sampler cannot take the space or the objectives, or None when it can."""
        return None

    @abstractmethod
    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return Optuna's sampler for one trial.

        Args:
            space: What it draws from.
            study_seed: Seed of what all trials share, such as the order of a grid.
            seed: Seed of this trial's own draws.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Random(Sampler):
    """Independent draws from the ranges."""

    name: ClassVar[str] = "random"
    learns: ClassVar[bool] = False

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return Optuna's random sampler."""
        return samplers.RandomSampler(seed=seed)


class _Points(samplers.BaseSampler):
    """Takes each trial's parameters from a function of its number."""

    def __init__(self, space: Space, point: Callable[[int], dict[str, Scalar]]) -> None:
        self._distributions = distributions(space)
        self._point = point

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every parameter: those that do not count in the trial are not asked for."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the point of this trial's number."""
        return self._point(trial.number)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Never come to: `sample_relative` names every parameter that counts."""
        raise AssertionError(f"no point of trial {trial.number} for {param_name}")


@functools.lru_cache(maxsize=8)
def _shuffled_grid(space: Space, seed: int) -> list[dict[str, Scalar]]:
    points = space.grid()
    return [points[index] for index in np.random.default_rng(seed).permutation(len(points))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid(Sampler):
    """Every combination of a few values, in an order drawn from the study's seed."""

    name: ClassVar[str] = "grid"
    learns: ClassVar[bool] = False

    def misfit(self, space: Space, *, num_objectives: int) -> str | None:
        """Return which field is continuous, if one is."""
        try:
            space.grid()
        except SpaceError as error:
            return str(error)
        return None

    def num_points(self, space: Space) -> int:
        """Return the number of combinations."""
        return len(space.grid())

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return the sampler of the grid's points."""
        return _Points(space, lambda number: _shuffled_grid(space, study_seed)[number])


@dataclasses.dataclass(frozen=True, kw_only=True)
class QMC(Sampler):
    """A low-discrepancy sequence, which covers the space more evenly than random draws do.

    Trial i takes the i-th point. Optuna's own sampler fixes its space from the first finished trial, so that its points
    would depend on which worker is first, and leaves conditional parameters to chance.
    """

    name: ClassVar[str] = "qmc"
    learns: ClassVar[bool] = False

    sequence: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True

    def __post_init__(self) -> None:
        if self.sequence not in ("sobol", "halton"):
            raise ChoiceError(f"`sequence` of qmc must be sobol or halton, but got {self.sequence!r}.")

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return the sampler of the sequence's points."""
        return _Points(space, lambda number: space.at(self._shares(space, study_seed, number)))

    def _shares(self, space: Space, seed: int, number: int) -> list[float]:
        from scipy.stats import qmc

        kind = qmc.Sobol if self.sequence == "sobol" else qmc.Halton
        engine = kind(space.num_shares, scramble=self.scramble, rng=np.random.default_rng(seed))
        if number > 0:
            engine.fast_forward(number)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*balance properties.*")  # of one draw; ours make a sequence
            shares: list[float] = engine.random(1)[0].tolist()
        return shares


class _CommonTPE(samplers.TPESampler):
    """TPE that knows the parameters of all trials beforehand; Optuna's finds them by going through every trial."""

    space: Space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are drawn together."""
        found = super().infer_relative_search_space
        if len(study.directions) > 1:  # not drawn together there, by Optuna's default
            return found(study, trial)
        return {name: d for name, d in common_distributions(self.space).items() if not d.single()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TPE(Sampler):
    """The tree-structured Parzen estimator: draws where good trials are dense against bad ones.

    Parameters that every trial has are drawn together, conditional ones each for itself.

    Reference: Bergstra et al., 2011, NeurIPS; Falkner et al., 2018, arXiv:1807.01774 (drawn together).
    """

    name: ClassVar[str] = "tpe"

    n_startup_trials: int = 10
    n_ei_candidates: int = 24
    constant_liar: bool = True

    def __post_init__(self) -> None:
        at_least(self, "n_startup_trials", 0)
        at_least(self, "n_ei_candidates", 1)

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return Optuna's TPE sampler."""
        sampler = _CommonTPE(
            seed=seed,
            n_startup_trials=self.n_startup_trials,
            n_ei_candidates=self.n_ei_candidates,
            constant_liar=self.constant_liar,
        )
        sampler.space = space
        return sampler


@dataclasses.dataclass(frozen=True, kw_only=True)
class GP(Sampler):
    """Gaussian-process optimisation with expected improvement, for spaces without conditions."""

    name: ClassVar[str] = "gp"

    n_startup_trials: int = 10

    def __post_init__(self) -> None:
        at_least(self, "n_startup_trials", 0)

    def misfit(self, space: Space, *, num_objectives: int) -> str | None:
        """Return which fields are conditional, if any: they would be drawn at random, and never learned."""
        if not space.conditional:
            return None
        shown = ", ".join(space.conditional[:3]) + (", ..." if len(space.conditional) > 3 else "")
        return (
            f"gp needs a space whose every field counts in every trial, but {shown} can be off or depend on others. "
            "Take tpe, or fix these fields or give them ranges without `off` (--space.GROUP.NAME LOW..HIGH)"
        )

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return Optuna's GP sampler."""
        return samplers.GPSampler(seed=seed, n_startup_trials=self.n_startup_trials, warn_independent_sampling=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA2(Sampler):
    """An evolutionary search for several objectives at once.

    Reference: Deb et al., 2002, IEEE Transactions on Evolutionary Computation 6.
    """

    name: ClassVar[str] = "nsga2"

    population_size: int = 50
    mutation_prob: float | None = None
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5

    def __post_init__(self) -> None:
        at_least(self, "population_size", 2)
        for setting in ("mutation_prob", "crossover_prob", "swapping_prob"):
            value = getattr(self, setting)
            if value is not None and not 0 <= value <= 1:
                raise ChoiceError(f"`0 <= {setting} <= 1` must hold for nsga2, but got {setting}={value}.")

    def build(self, space: Space, *, study_seed: int, seed: int) -> samplers.BaseSampler:
        """Return Optuna's NSGA-II sampler."""
        return samplers.NSGAIISampler(
            seed=seed,
            population_size=self.population_size,
            mutation_prob=self.mutation_prob,
            crossover_prob=self.crossover_prob,
            swapping_prob=self.swapping_prob,
        )


SAMPLERS: dict[str, type[Sampler]] = {cls.name: cls for cls in (Grid, Random, QMC, TPE, GP, NSGA2)}
LEFT_OUT = {
    "cmaes": "keeps its state as a pickle inside the trials, which a shared store could turn into code",
    "cma-es": "keeps its state as a pickle inside the trials, which a shared store could turn into code",
}


def sampler_class(name: str) -> type[Sampler]:
    """Return the sampler called ``name``; raise `ChoiceError` otherwise."""
    if name in LEFT_OUT:
        raise ChoiceError(f"The sampler {name!r} {LEFT_OUT[name]}, and is left out. Known: {', '.join(SAMPLERS)}.")
    found: type[Sampler] = pick("sampler", name, SAMPLERS)
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Optuna says of features that are not final: a study records the version that it was made with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
