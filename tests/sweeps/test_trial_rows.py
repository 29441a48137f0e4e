"""Trials written at once stand in Optuna's tables as those that Optuna writes one by one."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import MetaData, create_engine, select

from sweeps.records import Trial
from sweeps.space import Condition, Dimension, Space
from sweeps.storage import default_url, open_storage
from sweeps.study import frozen
from sweeps.suggest import distributions
from sweeps.trial_rows import write_trials

SPACE = Space(
    (
        Dimension("lr", low=1e-4, high=1e-1, log=True),
        Dimension("kind", choices=("sgd", "adam")),
        Dimension("momentum", low=0.0, high=0.9, conditions=(Condition("kind", ("sgd",)),)),
        Dimension("width", low=4, high=64, is_integer=True, log=True),
    )
)
SGD = {"lr": 0.01, "kind": "sgd", "momentum": 0.5, "width": 8}
ADAM = {"lr": 0.001, "kind": "adam", "width": 64}
TRIALS = [
    Trial("toy", 0, "completed", SGD, values=[0.25], intermediate=[[10, 0.1], [20, 0.25]]),
    Trial("toy", 1, "pruned", ADAM, intermediate=[[10, float("nan")], [20, float("inf")]]),
    Trial("toy", 2, "failed", ADAM, message="it fell over"),
    Trial("toy", 3, "completed", ADAM, values=[float("-inf")]),
]


def frozen_trials(trials: list[Trial]) -> list[FrozenTrial]:
    found = []
    for trial in trials:
        one = frozen(trial, distributions(SPACE))
        one.datetime_start = datetime.datetime(2024, 3, 31, 1, 30, trial.number)
        one.datetime_complete = one.datetime_start + datetime.timedelta(hours=3)
        one.user_attrs = {"status": trial.status, "run_ids": ["a", "b"], "attempts": 1}
        found.append(one)
    return found


def study_in(path: Path, num_objectives: int = 1) -> tuple[RDBStorage, int]:
    path.mkdir()
    storage = open_storage(default_url(path))
    return storage, storage.create_new_study([StudyDirection.MAXIMIZE] * num_objectives, "toy")


def tables(storage: RDBStorage) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table but its own number."""
    metadata = MetaData()
    metadata.reflect(engine := create_engine(storage.url))
    own = {"trial_value_id", "param_id", "trial_user_attribute_id", "trial_intermediate_value_id"}
    with engine.connect() as database:
        return {
            name: sorted(
                (tuple(database.execute(select(*(column for column in table.columns if column.name not in own))))),
                key=repr,
            )
            for name, table in metadata.tables.items()
        }


@pytest.mark.parametrize("num_objectives", [1, 2])
def test_the_tables_are_those_that_optuna_writes(num_objectives: int, tmp_path: Path) -> None:
    trials = [
        dataclasses.replace(trial, values=None if trial.values is None else trial.values * num_objectives)
        for trial in (TRIALS if num_objectives == 1 else [trial for trial in TRIALS if trial.status != "pruned"])
    ]
    theirs, theirs_id = study_in(tmp_path / "theirs", num_objectives)
    for trial in frozen_trials(trials):
        theirs.create_new_trial(theirs_id, template_trial=trial)
    ours, ours_id = study_in(tmp_path / "ours", num_objectives)
    write_trials(ours, ours_id, 0, frozen_trials(trials[:2]))
    write_trials(ours, ours_id, 2, frozen_trials(trials[2:]))
    assert len(ours.get_all_trials(ours_id)) == len(trials)
    assert tables(ours) == tables(theirs)


def test_all_trials_are_written_or_none(tmp_path: Path) -> None:
    storage, study_id = study_in(tmp_path / "one")
    broken = frozen_trials(TRIALS[:2])
    broken[1].user_attrs = {"status": float, "run_ids": []}  # no JSON
    with pytest.raises(TypeError):
        write_trials(storage, study_id, 0, broken)
    assert storage.get_n_trials(study_id) == 0
    write_trials(storage, study_id, 0, frozen_trials(TRIALS[:2]))
    assert storage.get_n_trials(study_id, state=TrialState.PRUNED) == 1


def test_optuna_goes_on_counting_where_the_rows_end(tmp_path: Path) -> None:
    storage, study_id = study_in(tmp_path / "one")
    write_trials(storage, study_id, 0, frozen_trials(TRIALS))
    trial_id = storage.create_new_trial(study_id)
    assert storage.get_trial(trial_id).number == len(TRIALS)
