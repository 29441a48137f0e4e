"""Trials as rows of Optuna's tables, many in one transaction.

`RDBStorage.create_new_trial` reads every parameter's earlier distribution and the trial itself anew before it writes
one: some forty statements and 50 ms for a trial with eighteen parameters, which of short trials is a tenth of a sweep.
We write trials that are over, in order, into a study that nobody else writes, so that there is nothing to read. The
tables are Optuna's own, and a test holds what stands in them against what `create_new_trial` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import insert
from sqlalchemy.orm import Session


def write_trials(storage: RDBStorage, study_id: int, first: int, trials: Sequence[FrozenTrial]) -> None:
    """Write trials that are over, all or none of them.

    Args:
        storage: The database.
        study_id: The study; this process is the only one that writes it.
        first: Number of the first of the trials.
        trials: The trials in the order of their numbers.
    """
    with Session(storage.engine) as session, session.begin():
        rows = [_trial_row(study_id, number, trial) for number, trial in enumerate(trials, first)]
        session.add_all(rows)
        session.flush()  # the trials have their ids now
        parts: dict[type[models.BaseModel], list[dict[str, Any]]] = {}
        for row, trial in zip(rows, trials, strict=True):
            for table, part in _parts_of(trial):
                parts.setdefault(table, []).append({"trial_id": row.trial_id, **part})
        for table, content in parts.items():
            session.execute(insert(table), content)


def _trial_row(study_id: int, number: int, trial: FrozenTrial) -> models.TrialModel:
    return models.TrialModel(
        study_id=study_id,
        number=number,
        state=trial.state,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
    )


def _parts_of(trial: FrozenTrial) -> Iterator[tuple[type[models.BaseModel], dict[str, Any]]]:
    """Yield what belongs to a trial: a table, and a row without the trial's id."""
    for objective, value in enumerate(trial.values or ()):
        stored, value_kind = models.TrialValueModel.value_to_stored_repr(value)
        yield models.TrialValueModel, {"objective": objective, "value": stored, "value_type": value_kind}
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield (
            models.TrialParamModel,
            {
                "param_name": name,
                "param_value": distribution.to_internal_repr(value),
                "distribution_json": distribution_to_json(distribution),
            },
        )
    for key, value in trial.user_attrs.items():
        yield models.TrialUserAttributeModel, {"key": key, "value_json": json.dumps(value)}
    for step, value in trial.intermediate_values.items():
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        yield (
            models.TrialIntermediateValueModel,
            {"step": step, "intermediate_value": stored, "intermediate_value_type": kind},
        )
