"""Runs that have ended as rows of MLflow's tables, many in one transaction.

MLflow's client takes three calls and some forty statements for a run, which of short trials is a tenth of a sweep. A
trial that is over and has no copy yet leaves nothing to ask: its rows can be written as they are to be. The tables are
MLflow's own, and a test holds what stands in them against what the client writes.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from sqlalchemy import Engine

ARTIFACTS = "artifacts"
"""Folder of a run below its experiment's, as MLflow names it."""
NAME_TAG = "mlflow.runName"
POINT = ("key", "timestamp", "step", "value", "is_nan")
"""Columns of one point of a metric."""


@dataclasses.dataclass(frozen=True)
class EndedRun:
    """A run as MLflow is to have it, with what MLflow's client would ask for call by call."""

    experiment: str
    name: str
    status: str
    start: int
    """Milliseconds, as is ``end``."""
    end: int
    params: Mapping[str, str]
    metrics: Sequence[Metric]
    tags: Mapping[str, str]
    proof: Mapping[str, str]
    """Tags that are written last: a copy that has them is whole."""


def write_runs(engine: Engine, runs: Sequence[EndedRun]) -> list[str]:
    """Write runs that are over and not there yet, all or none of them; return MLflow's ids of them.

    Args:
        engine: The database, with MLflow's tables in it.
        runs: The runs; their experiments are there.
    """
    from mlflow.store.tracking.dbmodels import models
    from mlflow.utils.uri import append_to_uri_path
    from sqlalchemy import insert, select

    experiments = models.SqlExperiment
    ids = [uuid.uuid4().hex for _ in runs]
    rows: dict[Any, list[dict[str, Any]]] = {
        table: [] for table in (models.SqlRun, models.SqlTag, models.SqlParam, models.SqlMetric, models.SqlLatestMetric)
    }
    with engine.begin() as connection:
        wanted = {int(run.experiment) for run in runs}
        columns = (experiments.experiment_id, experiments.artifact_location)
        locations: dict[int, str] = dict(
            connection.execute(select(*columns).where(experiments.experiment_id.in_(wanted))).all()
        )
        for run_id, run in zip(ids, runs, strict=True):
            artifacts = append_to_uri_path(locations[int(run.experiment)], run_id, ARTIFACTS)
            rows[models.SqlRun].append(_run_row(run_id, run, artifacts))
            pairs = {models.SqlTag: {NAME_TAG: run.name, **run.tags, **run.proof}, models.SqlParam: run.params}
            for table, values in pairs.items():
                rows[table] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in values.items()]
            points = list(_points(run_id, run.metrics))
            rows[models.SqlMetric] += points
            rows[models.SqlLatestMetric] += _latest(points)
        for table, content in rows.items():  # in this order: the others point to the run
            if content:
                connection.execute(insert(table.__table__), content)
    return ids


def _run_row(run_id: str, run: EndedRun, artifacts: str) -> dict[str, Any]:
    return {
        "run_uuid": run_id,
        "name": run.name,
        "artifact_uri": artifacts,
        "experiment_id": int(run.experiment),
        "source_type": "UNKNOWN",
        "source_name": "",
        "source_version": "",
        "entry_point_name": "",
        "user_id": "unknown",
        "status": run.status,
        "start_time": run.start,
        "end_time": run.end,
        "lifecycle_stage": "active",
    }


def _points(run_id: str, metrics: Sequence[Metric]) -> Iterator[dict[str, Any]]:
    """Yield the rows of metrics, each once: what is equal in everything is one point."""
    seen = set()
    for metric in metrics:
        value, is_nan = _stored(metric.value)
        point = (metric.key, metric.timestamp, metric.step, value, is_nan)
        if point not in seen:
            seen.add(point)
            yield {"run_uuid": run_id, **dict(zip(POINT, point, strict=True))}


def _stored(value: float) -> tuple[float, bool]:
    """Return a value as the tables take it, which hold no infinity, and whether it is NaN."""
    if math.isnan(value):
        return 0.0, True
    return max(-sys.float_info.max, min(sys.float_info.max, value)), False


def _latest(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last point of each metric, by step, then time, then value."""
    latest: dict[str, dict[str, Any]] = {}
    for point in points:
        before = latest.get(point["key"])
        if before is None or _order(point) > _order(before):
            latest[point["key"]] = point
    return list(latest.values())


def _order(point: Mapping[str, Any]) -> tuple[int, int, float]:
    return point["step"], point["timestamp"], point["value"]
