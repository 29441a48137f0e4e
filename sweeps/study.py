"""A study in memory: Optuna's ask and tell over a space, rebuilt from the trials' files whenever a sweep starts.

Nothing is read from a database, so that a resume rests on the files alone, a dead database holds nothing up, and no
state of another process can be mistaken for ours.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweeps.pruners import Pruner
from sweeps.records import Trial
from sweeps.samplers import Sampler, quiet
from sweeps.seeds import derive
from sweeps.space import Scalar, Space
from sweeps.suggest import distributions, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)

STATES = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "running": TrialState.RUNNING,
    "interrupted": TrialState.RUNNING,
}
"""Our status -> Optuna's; every other one is FAIL."""
_BAD = frozenset({"diverged", "failed", "out-of-memory", "timed-out"})
"""Ends that say something about the parameters. A lost trial says nothing: its worker was killed."""


class Study:
    """Proposes parameters and learns from results.

    Args:
        name: The study's name; seeds are derived from it.
        seed: The study's seed.
        directions: ``maximize`` or ``minimize`` for each objective.
        space: What to draw from.
        sampler: How.
        pruner: When to give a trial up.
    """

    def __init__(
        self, name: str, seed: int, directions: Sequence[str], space: Space, sampler: Sampler, pruner: Pruner
    ) -> None:
        self._name, self._seed = name, seed
        self._space, self._sampler = space, sampler
        self._distributions = distributions(space)
        self._storage = InMemoryStorage()
        with quiet():
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                directions=[StudyDirection[direction.upper()] for direction in directions],
                sampler=self._build_sampler(0),
                pruner=pruner.build(),
            )
        self._study_id = self._storage.get_study_id_from_name(name)

    def ask(self, number: int) -> tuple[dict[str, Scalar], dict[str, Any]]:
        """Return the parameters of the next trial, and what the sampler noted meanwhile.

        The sampler begins anew from a seed that study and number decide: neither the number of workers nor a resume
        changes what it draws.
        """
        before = dict(self._storage.get_study_system_attrs(self._study_id))
        with quiet():
            self._study.sampler = self._build_sampler(number)
            trial = self._study.ask()
            assert trial.number == number, "trials are asked for in order"
            params = suggest(self._space, trial)
        after = self._storage.get_study_system_attrs(self._study_id)
        noted = {key: value for key, value in after.items() if before.get(key) != value}
        return params, {"study": noted, "trial": self.notes(number)["trial"]}

    def add(self, trial: Trial) -> None:
        """Take up a trial of an earlier session as it stands, in the order of the numbers."""
        for key, value in trial.sampler_state.get("study", {}).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        self._study.add_trial(frozen(trial, self._distributions, for_sampler=True))
        assert len(self._study.get_trials(deepcopy=False)) == trial.number + 1, "trials are added in order"

    def should_prune(self, number: int, step: int, value: float) -> bool:
        """Note an intermediate value, and return whether the pruner gives the trial up."""
        self._storage.set_trial_intermediate_value(self._id(number), step, value)
        with quiet():
            return self._study.pruner.prune(self._study, self._study.get_trials(deepcopy=False)[number])

    def tell(self, trial: Trial) -> None:
        """Learn how a trial ended.

        To a sampler, a trial that diverged, failed, or ran out of memory or time counts as pruned: worse than any that
        completed. Optuna's samplers learn nothing from a failed one, and would come back to where it failed.
        """
        for step, value in trial.intermediate:
            self._storage.set_trial_intermediate_value(self._id(trial.number), int(step), value)
        state = _state_for_sampler(trial.status)
        with quiet():
            self._study.tell(trial.number, trial.values if state is TrialState.COMPLETE else None, state=state)

    def notes(self, number: int) -> dict[str, Any]:
        """Return what sampler and pruner have noted beside a trial."""
        noted = self._study.get_trials(deepcopy=False)[number].system_attrs
        return {"trial": dict(noted)}

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _build_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        shared = derive(self._seed, self._name, "points")
        return self._sampler.build(
            self._space, study_seed=shared, seed=derive(self._seed, self._name, "sampler", number)
        )


def frozen(trial: Trial, known: dict[str, Any], *, for_sampler: bool = False) -> FrozenTrial:
    """Return a trial as Optuna holds it.

    Args:
        trial: Our record.
        known: Distribution of every parameter.
        for_sampler: Whether a sampler is to learn from it, rather than a reader.
    """
    state = _state_for_sampler(trial.status) if for_sampler else STATES.get(trial.status, TrialState.FAIL)
    intermediate = {int(step): value for step, value in trial.intermediate}
    values = trial.values if state is TrialState.COMPLETE else None
    if state is TrialState.PRUNED and intermediate:  # Optuna's own rule for a pruned trial's value
        values = [intermediate[max(intermediate)]]
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=dict(trial.params),
        distributions={name: known[name] for name in trial.params},
        intermediate_values=intermediate,
        system_attrs=dict(trial.sampler_state.get("trial", {})) if for_sampler else None,
    )


def time_of(text: str | None) -> datetime.datetime | None:
    """Return a record's time as Optuna holds times: local, without a zone."""
    if text is None:
        return None
    return datetime.datetime.fromisoformat(text).astimezone().replace(tzinfo=None)


def _state_for_sampler(status: str) -> TrialState:
    return TrialState.PRUNED if status in _BAD else STATES.get(status, TrialState.FAIL)
