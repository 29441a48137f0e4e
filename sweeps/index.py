"""Optuna's database as an index of the trials' files: written when a trial is over, made anew wherever it differs.

It is for readers such as optuna-dashboard. A sweep never reads it, so that it may be lost, or be down for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweeps.records import Trial
from sweeps.samplers import quiet
from sweeps.space import Space
from sweeps.storage import StorageError
from sweeps.study import frozen, time_of
from sweeps.suggest import distributions
from sweeps.trial_rows import write_trials

CHUNK = 100
"""How many trials one transaction writes at most."""
OWNER = "boltbench"
"""User attribute of our studies: it says which one a study in the database stands for."""


class OptunaIndex:
    """One study in Optuna's database.

    Args:
        storage: The database.
        description: What the study is, as `sweeps.records.StudyFolder.description` has it.
    """

    def __init__(self, storage: RDBStorage, description: Mapping[str, Any]) -> None:
        self._storage = storage
        self._name: str = description["study"]
        self._owner: str = description["id"]
        self._objectives: Sequence[Mapping[str, str]] = description["objectives"]
        self._distributions = distributions(Space.from_list(description["space"]))
        self._study_id: int | None = None
        self._num_written = 0

    def check(self) -> None:
        """Raise `StorageError` when another study has the name."""
        study_id = self._find()
        if study_id is not None and not self._is_ours(study_id):
            raise StorageError(
                f"The database holds another study of the name {self._name!r}, made by someone else. "
                "Give this one another name with --study."
            )

    def sync(self, trials: Sequence[Trial]) -> int:
        """Bring the database up to date with the trials; return how many had to be written.

        A trial stands there once it and all before it are over, because the database numbers them as they come.

        Raises:
            StorageError: Another study has the name.
        """
        self.check()
        over = _leading(trials)
        study_id = self._find()
        if study_id is not None and not self._agrees(study_id, over):
            self._storage.delete_study(study_id)
            study_id = None
        self._study_id = self._create() if study_id is None else study_id
        self._num_written = self._storage.get_n_trials(self._study_id)
        return self.append(trials)

    def append(self, trials: Sequence[Trial]) -> int:
        """Write the trials that are not there yet; after one `sync` only."""
        assert self._study_id is not None, "sync comes first"
        missing = _leading(trials)[self._num_written :]
        for start in range(0, len(missing), CHUNK):  # a database that goes away keeps what was written before
            chunk = [self._frozen(trial) for trial in missing[start : start + CHUNK]]
            write_trials(self._storage, self._study_id, self._num_written, chunk)
            self._num_written += len(chunk)
        return len(missing)

    def _find(self) -> int | None:
        try:
            return self._storage.get_study_id_from_name(self._name)
        except KeyError:
            return None

    def _is_ours(self, study_id: int) -> bool:
        return self._storage.get_study_user_attrs(study_id).get(OWNER) == self._owner

    def _create(self) -> int:
        directions = [StudyDirection[objective["direction"].upper()] for objective in self._objectives]
        study_id = self._storage.create_new_study(directions, self._name)
        self._storage.set_study_user_attr(study_id, OWNER, self._owner)
        with quiet():
            study = optuna.load_study(study_name=self._name, storage=self._storage)
            study.set_metric_names([objective["name"] for objective in self._objectives])
        return study_id

    def _agrees(self, study_id: int, over: Sequence[Trial]) -> bool:
        """Return whether what is there is the beginning of what there should be."""
        there = self._storage.get_all_trials(study_id, deepcopy=False)
        wanted = [self._frozen(trial) for trial in over[: len(there)]]
        return len(there) == len(wanted) and all(_content(a) == _content(b) for a, b in zip(there, wanted, strict=True))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        found = frozen(trial, self._distributions)
        found.datetime_start = time_of(trial.started_at)
        found.datetime_complete = time_of(trial.finished_at)
        attributes = {"status": trial.status, "attempts": trial.attempts, "run_ids": trial.run_ids}
        found.user_attrs = {**attributes, **({"message": trial.message[:500]} if trial.message else {})}
        return found


def _leading(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials before the first that is not over."""
    found = []
    for trial in trials:
        if not trial.is_over:
            break
        found.append(trial)
    return found


def _content(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return what two copies of one trial agree in."""
    return (
        trial.state,
        trial.values,
        trial.params,
        trial.intermediate_values,
        trial.user_attrs,
        trial.datetime_start,
        trial.datetime_complete,
    )
