"""A run folder in the words of MLflow: parameters, tags, metrics and data set."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from results.files import RECORD_FILES
from results.tracking import tags_of_file
from suite.runs.folder import METRICS, RunFolder
from suite.runs.metrics_log import read_rows
from suite.runs.mlflow_rows import EndedRun
from suite.runs.study_mirror import Part

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

STATUSES = {"completed": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}
"""Our status -> MLflow's; every other one is FAILED."""


def params_of(spec: dict[str, Any]) -> dict[str, str]:
    """Return the spec as flat parameters with short names; text longer than MLflow's limit never occurs."""
    flat: dict[str, str] = {}
    for group, settings in spec.items():
        if not isinstance(settings, dict):
            flat[group] = str(settings)
            continue
        for key, value in settings.items():
            flat[group if key == "name" else f"{group}.{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def tags_of(result: dict[str, Any]) -> dict[str, str]:
    """Return what a run is found by, and what its page says."""
    names = ("run_id", "config_id", "task", "kind", "family", "status", "message", "determinism", "environment_id")
    tags = {name: str(result[name]) for name in names if result[name]}
    tags["seed"] = str(result["seed"])
    tags["mlflow.note.content"] = f"Replay: `boltbench replay {result['run_id']}`"
    tags |= {"mlflow.source.name": "boltbench", "mlflow.source.type": "LOCAL"}
    return tags


def ended_run(
    folder: RunFolder,
    result: dict[str, Any],
    experiment: str,
    part: Part,
    tags: Mapping[str, str],
    proof: Mapping[str, str],
) -> EndedRun:
    """Return a run as MLflow is to have it.

    Args:
        folder: The run.
        result: Its result.
        experiment: MLflow's id of its task's experiment.
        part: Its part in a study.
        tags: What it has besides that by which it is found.
        proof: What says that the copy is whole.
    """
    # The experiment is the task: lists and legends have room for a name's first twenty letters, and would show the
    # task alone.
    return EndedRun(
        experiment=experiment,
        name=folder.run_id.removeprefix(f"{result['task']}-") if part.name is None else part.name,
        status=STATUSES.get(result["status"], "FAILED"),
        start=milliseconds(result["started_at"]),
        end=milliseconds(result["finished_at"]),
        params=params_of(result["spec"]) if part.params is None else part.params,
        metrics=list(metrics_of(folder, result)),
        tags={**tags_of(result), **tags},
        proof={**record_tags(folder), **proof},
    )


def experiment_note(result: Mapping[str, Any]) -> str:
    """Return what an experiment is about, for the head of its page."""
    better = "higher" if result["direction"] == "maximize" else "lower"
    return (
        f"{result['kind']}: `test/{result['metric']}` counts, {better} is better, floor {result['floor']:g}. "
        "Group by the tag `config_id` to see the mean over seeds."
    )


def dataset_of(result: dict[str, Any]) -> DatasetInput:
    """Return the task's data under the beginning of its sha256, so that runs can be searched by what they saw."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(result["task"], result["data_sha256"][:10], source_type="boltbench", source=result["task"])
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "train, val, test")])


def record_tags(folder: RunFolder) -> dict[str, str]:
    """Return the files that make a record as tags: leaderboards from MLflow and from folders are equal."""
    tags: dict[str, str] = {}
    for name in RECORD_FILES:
        if (folder.path / name).is_file():
            tags |= tags_of_file(name, (folder.path / name).read_text())
    return tags


def metrics_of(folder: RunFolder, result: dict[str, Any]) -> Iterator[Metric]:
    """Yield the final scores, the curves (block means of the per-step losses, val scores), and the cost.

    What has one value stands at step 0: MLflow draws a bar for each run then, and a lone point of a curve otherwise.
    """
    from mlflow.entities import Metric

    start, end = milliseconds(result["started_at"]), milliseconds(result["finished_at"])
    # MLflow's comparison of runs begins with the first metric that was written.
    for name in sorted(result["scores"], key=lambda name: (name != f"test/{result['metric']}", name)):
        value = result["scores"][name]
        if value is not None:
            # The val curve ends on its last step; the selected weights may be older, and this is their score.
            yield Metric(name.replace("val/", "val/selected_"), value, end, 0)
    for row in read_rows(folder.path / METRICS) if (folder.path / METRICS).is_file() else ():
        time = start + round(row["seconds"] * 1000)
        for name, value in row.items():
            if isinstance(value, list):
                known = [item for item in value if item is not None]
                if known:
                    yield Metric(name, sum(known) / len(known), time, row["step"])
            elif "/" in name and value is not None:
                yield Metric(name, value, time, row["step"])
    for name, value in (result["cost"] or {}).items():
        if isinstance(value, int | float):
            # Charts stand in the order of their names: the cost of training beside its loss, and test above both.
            yield Metric(f"train/{name}", float(value), end, 0)
    for name, value in (result.get("compression") or {}).items():
        if isinstance(value, int | float):
            yield Metric(f"compression/{name}", float(value), end, 0)


def milliseconds(timestamp: str) -> int:
    """Return a time of a record as MLflow has times."""
    return round(datetime.datetime.fromisoformat(timestamp).timestamp() * 1000)
