"""Studies in MLflow: one parent run each, and what says of a run that it is part of one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from suite.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TRIAL, TUNING = "trial.json", "tuning.json"
"""Files of a run folder that say which trial of a study, or which run after it, the run is."""
STUDY, RESULT, BEST, PLOTS = "study.yaml", "result.json", "best.yaml", "plots"
STUDY_TAG, KIND_TAG, DIGEST_TAG = "study", "kind_of_run", "study_sha256"
PARENT_TAG = "mlflow.parentRunId"


@dataclasses.dataclass(frozen=True)
class Part:
    """A run's part in a study: none, a trial, or a run of the winner or the default."""

    study: str | None = None
    name: str | None = None
    """What the run is called in MLflow, where it is not its own id."""
    digested: bytes = b""
    own_tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    params: Mapping[str, str] | None = None
    """What a trial logs in place of its whole spec: the searched fields under short names."""

    def tags(self, parent: str | None) -> dict[str, str]:
        """Return the tags that tie the run to its study."""
        return {**self.own_tags, **({PARENT_TAG: parent} if parent is not None else {})}


def part_of_study(folder: RunFolder) -> Part:
    """Return what a run folder says of its part in a study."""
    note = folder.read_json(TRIAL)
    if note is not None:
        tags = {STUDY_TAG: note["study"], KIND_TAG: "trial", "trial": str(note["number"])}
        return Part(note["study"], f"trial-{note['number']:05d}", _bytes(note), tags, short_params(note["params"]))
    note = folder.read_json(TUNING)
    if note is not None:
        tags = {STUDY_TAG: note["study"], KIND_TAG: note["role"], "num_trials": str(note["num_trials"])}
        return Part(note["study"], None, _bytes(note), tags)
    return Part()


def short_params(values: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters under their last names where those differ; numbers as numbers, and nothing for none."""
    lasts = [name.rpartition(".")[2] for name in values]
    return {
        (last if lasts.count(last) == 1 else name): value if isinstance(value, str) else json.dumps(value)
        for last, (name, value) in zip(lasts, values.items(), strict=True)
        if value is not None
    }


class _Mirror(Protocol):
    """What this needs of `suite.runs.mirror.Mirror`."""

    def client(self) -> MlflowClient:
        """Return the client."""

    def task_experiment(self, about: Mapping[str, Any]) -> str:
        """Return the id of a task's experiment."""


class StudyMirror:
    """Writes the parent runs of studies, each updated in place: its trials point to it."""

    def __init__(self, mirror: _Mirror) -> None:
        self._mirror = mirror

    def sync(self, path: Path, *, is_running: bool) -> bool:
        """Bring the parent run up to date with the study's folder; return whether anything had to be written."""
        content = b"".join((path / name).read_bytes() for name in (STUDY, RESULT) if (path / name).is_file())
        is_over = (path / RESULT).is_file()
        status = "FINISHED" if is_over else "RUNNING" if is_running else "KILLED"
        digest = hashlib.sha256(content + status.encode()).hexdigest()
        run_id = self.find_or_make(path)
        if run_id is None:
            return False
        client = self._mirror.client()
        if client.get_run(run_id).data.tags.get(DIGEST_TAG) == digest:
            return False
        self._log(client, run_id, path, is_over=is_over)
        if status == "RUNNING":
            client.update_run(run_id, status)
        else:
            client.set_terminated(run_id, status)
        client.set_tag(run_id, DIGEST_TAG, digest)
        return True

    def find_or_make(self, path: Path) -> str | None:
        """Return the parent run of the study at ``path``, made where there is none; None without such a study."""
        import yaml

        try:
            description = yaml.safe_load((path / STUDY).read_text())
        except FileNotFoundError:
            return None
        client, experiment = self._mirror.client(), self._mirror.task_experiment(description)
        owner = description["id"]
        found = client.search_runs([experiment], f"tags.study_id = '{owner}' and tags.{KIND_TAG} = 'study'")
        if found:
            return str(found[0].info.run_id)
        tags = {STUDY_TAG: description["study"], KIND_TAG: "study", "study_id": owner, "family": description["family"]}
        run = client.create_run(experiment, tags=tags, run_name=description["study"])
        return str(run.info.run_id)

    def _log(self, client: MlflowClient, run_id: str, path: Path, *, is_over: bool) -> None:
        import yaml
        from mlflow.entities import Metric, Param, RunTag

        description = yaml.safe_load((path / STUDY).read_text())
        params = {
            "task": description["task"],
            "family": description["family"],
            "preset": description["preset"],
            "sampler": description["sampler"]["name"],
            "pruner": description["pruner"]["name"],
            "study_seed": str(description["seed"]),
            "fields": str(len(description["space"])),
        }
        client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
        if is_over:
            result = json.loads((path / RESULT).read_bytes())
            numbers = {f"trials/{status}": count for status, count in result["counts"].items()}
            numbers |= {f"bill/{key}": value for key, value in result["bill"].items()}
            if result["winner"] is not None:
                numbers["best"] = result["winner"]["values"][0]
            numbers |= {f"final/{role}": group["mean"] for role, group in result["finals"].items()}
            metrics = [Metric(key, float(value), 0, 0) for key, value in numbers.items() if value is not None]
            client.log_batch(run_id, metrics=metrics, tags=[RunTag("verdict", result["comparison"]["text"])])
        for name in (STUDY, RESULT, BEST):
            if (path / name).is_file():
                client.log_artifact(run_id, str(path / name))
        if is_over and (path / PLOTS).is_dir():
            client.log_artifacts(run_id, str(path / PLOTS), PLOTS)


def _bytes(note: Mapping[str, Any]) -> bytes:
    return json.dumps(note, sort_keys=True).encode()
