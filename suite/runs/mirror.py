"""The MLflow mirror: brings MLflow up to date with a run folder; doing it twice changes nothing.

MLflow is an index that can be rebuilt from folders. Only the parent process talks to it, and never from inside a
training step: a tracking server that is down delays nothing and loses nothing.

Several roots may mirror to one server, and may hold the same run. Each copy carries the identity of the root that
wrote it, and a root replaces and deletes its own copies alone.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.tracking import COMPLETE_TAG as DIGEST_TAG
from results.tracking import PREFIX, RUN_ID_TAG
from suite.errors import UserError
from suite.runs.explained import log_explanation
from suite.runs.folder import ENVIRONMENT, EXPLANATION, RESULT, SPEC, RunFolder, Store
from suite.runs.mlflow_rows import EndedRun, write_runs
from suite.runs.mlflow_store import MlflowStore, default_tracking_uri
from suite.runs.mlflow_words import dataset_of, ended_run, experiment_note, record_tags
from suite.runs.study_mirror import PARENT_TAG, StudyMirror, part_of_study

if TYPE_CHECKING:
    from mlflow.entities import Run

__all__ = ["DIGEST_TAG", "OWNER_TAG", "Mirror", "MirrorError", "default_tracking_uri"]

CHUNK, CHUNK_POINTS = 100, 50_000
"""How many runs one transaction writes at most, and with about how many points of metrics: others wait for its end.

A database that goes away keeps what was written before.
"""
OWNER_TAG = "root_id"
"""Which root wrote a copy."""


class MirrorError(UserError):
    """MLflow could not be reached or written; the run folders hold everything, and `boltbench resume` tries again."""


class Mirror(MlflowStore):
    """Writes run folders to one MLflow store.

    Args:
        store: Whose runs to mirror.
        tracking_uri: The MLflow store; by default the environment's MLFLOW_TRACKING_URI, or SQLite in ``store``.
    """

    def __init__(self, store: Store, tracking_uri: str | None = None) -> None:
        super().__init__(store, tracking_uri)
        self._known: dict[str, dict[str, list[Run]]] = {}
        self._written: set[str] = set()
        self._parents: dict[str, str | None] = {}

    def sync(self, folder: RunFolder) -> bool:
        """Bring MLflow's copy of the run up to date; return whether anything had to be written.

        Raises:
            MirrorError: MLflow could not be written.
            UserError: The folder is damaged.
        """

        def refuse(error: UserError) -> None:
            raise error

        return self.sync_all([folder], refuse) == 1

    def sync_all(self, folders: Iterable[RunFolder], complain: Callable[[UserError], None]) -> int:
        """Bring MLflow's copies of runs up to date, new trials many at once; return how many had to be written.

        Args:
            folders: The runs.
            complain: Told of each folder that is damaged; the others go on.

        Raises:
            MirrorError: MLflow could not be written.
        """
        try:
            return self._sync_all(folders, complain)
        except UserError:
            raise
        except Exception as error:  # sqlalchemy, requests and MLflow errors have no common base
            # The URI may carry a password; the message of a database driver may too, so only its type is told.
            raise MirrorError(
                f"MLflow could not be written ({type(error).__name__}). The runs are safe in "
                f"{str(self.store.runs)!r}; `boltbench resume` mirrors them when MLflow is back."
            ) from error

    def _sync_all(self, folders: Iterable[RunFolder], complain: Callable[[UserError], None]) -> int:
        num_changed = 0
        new: list[tuple[RunFolder, EndedRun]] = []
        for folder in {folder.run_id: folder for folder in folders}.values():
            try:
                num_changed += self._sync(folder, new)
            except MirrorError:
                raise
            except UserError as error:
                complain(error)
            if len(new) == CHUNK or sum(len(run.metrics) for _, run in new) > CHUNK_POINTS:
                self._write(new)
        self._write(new)
        return num_changed

    def _write(self, new: list[tuple[RunFolder, EndedRun]]) -> None:
        """Write the runs at once; where the database does not take them so, one by one through the client."""
        from sqlalchemy.exc import OperationalError

        if not new:
            return
        try:
            write_runs(self.engine(), [run for _, run in new])
        except OperationalError:  # it is away, or held by somebody for long: the client would fare no better
            raise
        except Exception:  # a value that it refuses, or tables of another release, which the client knows
            for folder, run in new:
                self._create(run, folder)
        self._written |= {folder.run_id for folder, _ in new}
        new.clear()

    def _sync(self, folder: RunFolder, later: list[tuple[RunFolder, EndedRun]]) -> bool:
        """Bring one copy up to date, or put it among those that are written ``later``."""
        result = folder.result()
        if result is None:
            return False
        part = part_of_study(folder)
        digest = hashlib.sha256((folder.path / RESULT).read_bytes() + part.digested).hexdigest()
        client = self.client()
        experiment = self.task_experiment(result)
        copies = self._copies(experiment, folder.run_id)
        own = [run for run in copies if self._is_own(run, digest)]
        if not own and any(run.data.tags.get(DIGEST_TAG) == digest for run in copies):
            return False  # another root has the very same record, and keeps its copy up to date
        original = self._original(experiment, result, later)
        if len(own) == 1 and own[0].data.tags.get(DIGEST_TAG) == digest:
            changes = [self._follow(own[0], original), self._update_record(own[0], record_tags(folder))]
            changes.append(self._adopt(own[0]))
            return any([*changes, log_explanation(client, own[0].info.run_id, own[0].data.tags, folder)])
        damaged = folder.damaged_files()
        if damaged:
            raise UserError(
                f"{folder.run_id} is not mirrored: {', '.join(damaged)} must match the sha256 in result.json. "
                f"{folder.how_to_make_anew()}"
            )
        for stale in own:
            # Cut short, made anew or gone on with since: a fresh copy, so that no curve holds points of both.
            client.delete_run(stale.info.run_id)
        tags = part.tags(self._parent(part.study)) | self._owner()
        if original is not None:
            tags[PARENT_TAG] = original
        run = ended_run(folder, result, experiment, part, tags, {DIGEST_TAG: digest})
        # A sweep makes hundreds of trials: their files stay where they are.
        is_trial = part.params is not None
        if is_trial and self.is_database and not (folder.path / EXPLANATION).is_file():
            later.append((folder, run))
        else:
            self._create(run, folder, None if is_trial else result)
        return True

    def _create(self, run: EndedRun, folder: RunFolder, result: dict[str, Any] | None = None) -> None:
        """Write one run through the client; with its files and data set where there is a ``result``."""
        client = self.client()
        info = client.create_run(run.experiment, start_time=run.start, tags=dict(run.tags), run_name=run.name).info
        if result is not None:
            client.log_inputs(info.run_id, [dataset_of(result)])
            self._log_artifacts(info.run_id, folder)
        log_explanation(client, info.run_id, {}, folder)
        client.set_terminated(info.run_id, run.status, end_time=run.end)
        # The digest is the last that is written, as result.json is: a copy that a kill cut short does not carry it,
        # and is made anew.
        self.log(info.run_id, params=run.params, metrics=run.metrics, tags=run.proof)
        self._written.add(folder.run_id)

    def preload(self, about: Mapping[str, Any]) -> None:
        """Read once which runs of a task's experiment are there, so that `sync` need not ask for each.

        Raises:
            MirrorError: MLflow could not be read.
        """
        try:
            self._preload(about)
        except Exception as error:  # as in `sync_all`
            raise MirrorError(f"MLflow could not be read ({type(error).__name__}).") from error

    def _preload(self, about: Mapping[str, Any]) -> None:
        experiment = self.task_experiment(about)
        known: dict[str, list[Run]] = {}
        for run in self.runs([experiment]):
            run_id = run.data.tags.get(RUN_ID_TAG)
            if run_id is not None:
                known.setdefault(run_id, []).append(run)
        self._known[experiment] = known

    def _copies(self, experiment: str, run_id: str) -> list[Run]:
        """Return MLflow's copies of a run, whoever wrote them."""
        if experiment in self._known and run_id not in self._written:
            return self._known[experiment].get(run_id, [])
        return list(self.client().search_runs([experiment], f"tags.{RUN_ID_TAG} = '{run_id}'"))

    def _owner(self) -> dict[str, str]:
        """Return the tag that says whose a copy is; a store beside the runs holds those of no other root."""
        return {} if self.is_local else {OWNER_TAG: self.store.identity()}

    def _is_own(self, run: Run, digest: str | None = None) -> bool:
        """Return whether this root wrote a copy; of one that names no root, whether it is of this very record."""
        if self.is_local:
            return True
        owner = run.data.tags.get(OWNER_TAG)
        if owner is None:
            return digest is not None and run.data.tags.get(DIGEST_TAG) == digest
        return bool(owner == self.store.identity())

    def sync_study(self, path: Path, *, is_running: bool = False) -> bool:
        """Bring MLflow's parent run of a study up to date; return whether anything had to be written.

        Raises:
            MirrorError: MLflow could not be written.
        """
        try:
            return StudyMirror(self).sync(path, is_running=is_running)
        except UserError:
            raise
        except Exception as error:  # as in `sync_all`
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

    def _original(self, experiment: str, result: dict[str, Any], later: list[tuple[RunFolder, EndedRun]]) -> str | None:
        """Return MLflow's id of the run that this one was compressed from, mirrored first; None where there is none."""
        if not result.get("parent"):
            return None
        folder = RunFolder(self.store.runs / result["parent"])
        self._write(later)  # it may be among them
        if (folder.path / SPEC).is_file():
            self.sync_all([folder], lambda _error: None)  # a damaged one is told when its own turn comes
        found = sorted(self._copies(experiment, folder.run_id), key=lambda run: not self._is_own(run))
        return found[0].info.run_id if found else None

    def counts(self) -> dict[str, int]:
        """Return how many copies of each run this root has in MLflow, by run id."""
        experiments = [experiment.experiment_id for experiment in self.client().search_experiments()]
        found: dict[str, int] = {}
        for run in self.runs(experiments):
            run_id = run.data.tags.get(RUN_ID_TAG)
            if run_id is not None and self._is_own(run):
                found[run_id] = found.get(run_id, 0) + 1
        return found

    def task_experiment(self, about: Mapping[str, Any]) -> str:
        """Return the id of a task's experiment; ``about`` is a result or a study of that task."""
        return self.experiment(about["task"], experiment_note(about))

    def _log_artifacts(self, run: str, folder: RunFolder) -> None:
        from results.drawings.of_run import pictures_of_run

        for name in (SPEC, ENVIRONMENT, RESULT):
            self.client().log_artifact(run, str(folder.path / name))
        with tempfile.TemporaryDirectory() as directory:
            for name, content in pictures_of_run(folder.path):
                picture = Path(directory) / f"{name}.png"
                picture.write_bytes(content)
                self.client().log_artifact(run, str(picture))

    def _update_record(self, run: Run, record: dict[str, str]) -> bool:
        """Bring the tags of a run's files up to date: a replay or a sweep may have added one since."""
        before = {key: value for key, value in run.data.tags.items() if key.startswith(PREFIX)}
        if before == record:
            return False
        for key in before.keys() - record.keys():
            self.client().delete_tag(run.info.run_id, key)
        self.set_tags(run.info.run_id, {key: value for key, value in record.items() if before.get(key) != value})
        return True

    def _follow(self, run: Run, original: str | None) -> bool:
        """Put a compressed run under the one that it comes from, whose copy may have been made anew."""
        if original is None or run.data.tags.get(PARENT_TAG) == original:
            return False
        self.client().set_tag(run.info.run_id, PARENT_TAG, original)
        return True

    def _adopt(self, run: Run) -> bool:
        """Have a copy name its root."""
        owner = self._owner()
        if owner.items() <= run.data.tags.items():
            return False
        self.set_tags(run.info.run_id, owner)
        return True
