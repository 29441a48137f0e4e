"""The MLflow mirror: brings MLflow up to date with a run folder; doing it twice changes nothing.

MLflow is an index that can be rebuilt from folders. Only the parent process talks to it, and never from inside a
training step: a tracking server that is down delays nothing and loses nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.files import RECORD_FILES
from results.tracking import COMPLETE_TAG as DIGEST_TAG
from results.tracking import PREFIX, RUN_ID_TAG, make_client, tags_of_file
from suite.errors import UserError
from suite.runs.explained import log_explanation
from suite.runs.folder import ENVIRONMENT, METRICS, RESULT, SPEC, RunFolder, Store
from suite.runs.metrics_log import read_rows
from suite.runs.mlflow_tables import prepare_postgresql, prepare_sqlite
from suite.runs.study_mirror import StudyMirror, part_of_study

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Run
    from mlflow.tracking import MlflowClient

STATUSES = {"completed": "FINISHED", "pruned": "FINISHED", "interrupted": "KILLED"}
"""Our status -> MLflow's; every other one is FAILED."""
MAX_METRICS, MAX_PARAMS, MAX_TAGS = 1000, 100, 100
"""What one log_batch call takes."""
EXPERIMENT_KIND = "custom_model_development"
"""Without it MLflow's UI opens an experiment on its pages for language-model traces, which are empty here."""
PARENT_TAG = "mlflow.parentRunId"
"""MLflow shows a run under the one that this names."""


class MirrorError(UserError):
    """MLflow could not be reached or written; the run folders hold everything, and `boltbench resume` tries again."""


class Mirror:
    """Writes run folders to one MLflow store.

    Args:
        store: Whose runs to mirror.
        tracking_uri: The MLflow store; by default the environment's MLFLOW_TRACKING_URI, or SQLite in ``store``.
    """

    def __init__(self, store: Store, tracking_uri: str | None = None) -> None:
        self.store = store
        self.tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(store)
        self._client: MlflowClient | None = None
        self._experiments: dict[str, str] = {}
        self._known: dict[str, dict[str, list[Run]]] = {}
        self._written: set[str] = set()
        self._parents: dict[str, str | None] = {}

    def sync(self, folder: RunFolder) -> bool:
        """Bring MLflow's copy of the run up to date; return whether anything had to be written.

        Raises:
            MirrorError: MLflow could not be written.
        """
        try:
            return self._sync(folder)
        except UserError:
            raise
        except Exception as error:  # sqlalchemy, requests and MLflow errors have no common base
            # The URI may carry a password; the message of a database driver may too, so only its type is told.
            raise MirrorError(
                f"MLflow could not be written ({type(error).__name__}). The run is safe in {str(folder.path)!r}; "
                "`boltbench resume` mirrors it when MLflow is back."
            ) from error

    def _sync(self, folder: RunFolder) -> bool:
        result = folder.result()
        if result is None:
            return False
        part = part_of_study(folder)
        digest = hashlib.sha256((folder.path / RESULT).read_bytes() + part.digested).hexdigest()
        client = self.client()
        experiment = self.task_experiment(result)
        found = self._copies(client, experiment, folder.run_id)
        record = _record_tags(folder)
        original = self._original(client, experiment, result)
        if len(found) == 1 and found[0].data.tags.get(DIGEST_TAG) == digest:
            changed = _follow(client, found[0], original) | _update_record(client, found[0], record)
            return changed | log_explanation(client, found[0], folder)
        damaged = folder.damaged_files()
        if damaged:
            raise UserError(
                f"{folder.run_id} is not mirrored: {', '.join(damaged)} must match the sha256 in result.json. "
                f"{folder.how_to_make_anew()}"
            )
        for stale in found:
            # Cut short, made anew or gone on with since: a fresh copy, so that no curve holds points of both.
            client.delete_run(stale.info.run_id)
        # The experiment is the task: lists and legends have room for a name's first twenty letters, and would show
        # the task alone.
        name = folder.run_id.removeprefix(f"{result['task']}-") if part.name is None else part.name
        tags = _tags(result) | part.tags(self._parent(part.study))
        if original is not None:
            tags[PARENT_TAG] = original
        start = _milliseconds(result["started_at"])
        run = client.create_run(experiment, start_time=start, tags=tags, run_name=name).info.run_id
        self._log_params(client, run, _params(result["spec"]) if part.params is None else part.params)
        self._log_metrics(client, run, folder, result)
        if part.params is None:  # a sweep makes hundreds of trials: their files stay where they are
            client.log_inputs(run, [_dataset(result)])
            self._log_artifacts(client, run, folder)
        for chunk in _chunks(list(record.items()), MAX_TAGS):
            client.log_batch(run, tags=[_tag(key, value) for key, value in chunk])
        status = STATUSES.get(result["status"], "FAILED")
        client.set_terminated(run, status, end_time=_milliseconds(result["finished_at"]))
        log_explanation(client, client.get_run(run), folder)
        # Last, as result.json is: a copy that a kill cut short does not carry it, and is made anew.
        client.set_tag(run, DIGEST_TAG, digest)
        self._written.add(folder.run_id)
        return True

    def preload(self, about: Mapping[str, Any]) -> None:
        """Read once which runs of a task's experiment are there, so that `sync` need not ask for each.

        Raises:
            MirrorError: MLflow could not be read.
        """
        try:
            self._preload(about)
        except Exception as error:  # as in `sync`
            raise MirrorError(f"MLflow could not be read ({type(error).__name__}).") from error

    def _preload(self, about: Mapping[str, Any]) -> None:
        experiment = self.task_experiment(about)
        known: dict[str, list[Run]] = {}
        for run in _all_runs(self.client(), [experiment]):
            run_id = run.data.tags.get(RUN_ID_TAG)
            if run_id is not None:
                known.setdefault(run_id, []).append(run)
        self._known[experiment] = known

    def _copies(self, client: MlflowClient, experiment: str, run_id: str) -> list[Run]:
        """Return MLflow's copies of a run."""
        if experiment in self._known and run_id not in self._written:
            return self._known[experiment].get(run_id, [])
        return list(client.search_runs([experiment], f"tags.{RUN_ID_TAG} = '{run_id}'"))

    def sync_study(self, path: Path, *, is_running: bool = False) -> bool:
        """Bring MLflow's parent run of a study up to date; return whether anything had to be written.

        Raises:
            MirrorError: MLflow could not be written.
        """
        try:
            return StudyMirror(self).sync(path, is_running=is_running)
        except UserError:
            raise
        except Exception as error:  # as in `sync`
            raise MirrorError(
                f"MLflow could not be written ({type(error).__name__}). The study is safe in {str(path)!r}; "
                "`boltbench resume` mirrors it when MLflow is back."
            ) from error

    def _parent(self, study: str | None) -> str | None:
        """Return the MLflow run of a study, made where there is none yet; None without a study."""
        if study is None:
            return None
        if study not in self._parents:
            self._parents[study] = StudyMirror(self).find_or_make(self.store.root / "studies" / study)
        return self._parents[study]

    def _original(self, client: MlflowClient, experiment: str, result: dict[str, Any]) -> str | None:
        """Return MLflow's id of the run that this one was compressed from, mirrored first; None where there is none."""
        if not result.get("parent"):
            return None
        folder = RunFolder(self.store.runs / result["parent"])
        if (folder.path / SPEC).is_file():
            with contextlib.suppress(UserError):  # a damaged one is told when its own turn comes
                self._sync(folder)
        found = self._copies(client, experiment, folder.run_id)
        return found[0].info.run_id if found else None

    def counts(self) -> dict[str, int]:
        """Return how often each of our runs stands in MLflow, by run id."""
        client = self.client()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found: dict[str, int] = {}
        for run in _all_runs(client, experiments):
            run_id = run.data.tags.get(RUN_ID_TAG)
            if run_id is not None:
                found[run_id] = found.get(run_id, 0) + 1
        return found

    def client(self) -> MlflowClient:
        """Return the client, with the store prepared: one process at a time creates its tables."""
        if self._client is None:
            if self.tracking_uri == default_tracking_uri(self.store):
                prepare_sqlite(self.store.mlflow, self.tracking_uri)
            elif self.tracking_uri.startswith("postgresql"):
                prepare_postgresql(self.tracking_uri)
            self._client = make_client(self.tracking_uri)
        return self._client

    def task_experiment(self, about: Mapping[str, Any]) -> str:
        """Return the id of a task's experiment; ``about`` is a result or a study of that task."""
        return self.experiment(about["task"], _experiment_note(about))

    def experiment(self, name: str, note: str) -> str:
        """Return the id of an experiment, made or restored where need be; ``note`` heads the page of a new one."""
        client = self.client()
        if name not in self._experiments:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                self._experiments[name] = self._create_experiment(client, name, note)
            else:
                if experiment.lifecycle_stage == "deleted":
                    client.restore_experiment(experiment.experiment_id)
                self._experiments[name] = experiment.experiment_id
        return self._experiments[name]

    def _create_experiment(self, client: MlflowClient, name: str, note: str) -> str:
        from mlflow.exceptions import MlflowException

        local = self.tracking_uri == default_tracking_uri(self.store)
        location = (self.store.mlflow / "artifacts" / name).resolve().as_uri() if local else None
        tags = {"mlflow.experimentKind": EXPERIMENT_KIND, "mlflow.note.content": note}
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)  # another process was quicker

    def _log_params(self, client: MlflowClient, run: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        for chunk in _chunks([Param(key, value) for key, value in params.items()], MAX_PARAMS):
            client.log_batch(run, params=chunk)

    def _log_metrics(self, client: MlflowClient, run: str, folder: RunFolder, result: dict[str, Any]) -> None:
        for chunk in _chunks(list(_metrics(folder, result)), MAX_METRICS):
            client.log_batch(run, metrics=chunk)

    def _log_artifacts(self, client: MlflowClient, run: str, folder: RunFolder) -> None:
        from results.drawings.of_run import pictures_of_run

        for name in (SPEC, ENVIRONMENT, RESULT):
            client.log_artifact(run, str(folder.path / name))
        with tempfile.TemporaryDirectory() as directory:
            for name, content in pictures_of_run(folder.path):
                picture = Path(directory) / f"{name}.png"
                picture.write_bytes(content)
                client.log_artifact(run, str(picture))


def default_tracking_uri(store: Store) -> str:
    """Return the URI of the SQLite store under ``store``."""
    return f"sqlite:///{(store.mlflow / 'mlflow.db').resolve()}"


def _params(spec: dict[str, Any]) -> dict[str, str]:
    """Return the spec as flat parameters with short names; text longer than MLflow's limit never occurs."""
    flat: dict[str, str] = {}
    for group, settings in spec.items():
        if not isinstance(settings, dict):
            flat[group] = str(settings)
            continue
        for key, value in settings.items():
            flat[group if key == "name" else f"{group}.{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _tags(result: dict[str, Any]) -> dict[str, str]:
    names = ("run_id", "config_id", "task", "kind", "family", "status", "message", "determinism", "environment_id")
    tags = {name: str(result[name]) for name in names if result[name]}
    tags["seed"] = str(result["seed"])
    tags["mlflow.note.content"] = f"Replay: `boltbench replay {result['run_id']}`"
    tags |= {"mlflow.source.name": "boltbench", "mlflow.source.type": "LOCAL"}
    return tags


def _experiment_note(result: Mapping[str, Any]) -> str:
    """Return what an experiment is about, for the head of its page."""
    better = "higher" if result["direction"] == "maximize" else "lower"
    return (
        f"{result['kind']}: `test/{result['metric']}` counts, {better} is better, floor {result['floor']:g}. "
        "Group by the tag `config_id` to see the mean over seeds."
    )


def _dataset(result: dict[str, Any]) -> DatasetInput:
    """Return the task's data under the beginning of its sha256, so that runs can be searched by what they saw."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(result["task"], result["data_sha256"][:10], source_type="boltbench", source=result["task"])
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "train, val, test")])


def _record_tags(folder: RunFolder) -> dict[str, str]:
    """Return the files that make a record as tags: leaderboards from MLflow and from folders are equal."""
    tags: dict[str, str] = {}
    for name in RECORD_FILES:
        if (folder.path / name).is_file():
            tags |= tags_of_file(name, (folder.path / name).read_text())
    return tags


def _update_record(client: MlflowClient, run: Run, record: dict[str, str]) -> bool:
    """Bring the tags of a run's files up to date: a replay or a sweep may have added one since."""
    before = {key: value for key, value in run.data.tags.items() if key.startswith(PREFIX)}
    if before == record:
        return False
    for key in before.keys() - record.keys():
        client.delete_tag(run.info.run_id, key)
    changed = {key: value for key, value in record.items() if before.get(key) != value}
    client.log_batch(run.info.run_id, tags=[_tag(key, value) for key, value in changed.items()])
    return True


def _follow(client: MlflowClient, run: Run, original: str | None) -> bool:
    """Put a compressed run under the one that it comes from, whose copy may have been made anew."""
    if original is None or run.data.tags.get(PARENT_TAG) == original:
        return False
    client.set_tag(run.info.run_id, PARENT_TAG, original)
    return True


def _tag(key: str, value: str) -> Any:
    from mlflow.entities import RunTag

    return RunTag(key, value)


def _all_runs(client: MlflowClient, experiments: list[str]) -> Iterator[Any]:
    token: str | None = None
    while experiments:
        page = client.search_runs(experiments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            break


def _metrics(folder: RunFolder, result: dict[str, Any]) -> Iterator[Metric]:
    """Yield the final scores, the curves (block means of the per-step losses, val scores), and the cost.

    What has one value stands at step 0: MLflow draws a bar for each run then, and a lone point of a curve otherwise.
    """
    from mlflow.entities import Metric

    start, end = _milliseconds(result["started_at"]), _milliseconds(result["finished_at"])
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


def _milliseconds(timestamp: str) -> int:
    return round(datetime.datetime.fromisoformat(timestamp).timestamp() * 1000)


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
