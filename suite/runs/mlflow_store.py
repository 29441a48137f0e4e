"""One MLflow store as the mirror uses it: its client, its experiments, and what one call takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from results.tracking import database_engine, make_client
from suite.runs.folder import Store
from suite.runs.mlflow_tables import prepare_postgresql, prepare_sqlite

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient
    from sqlalchemy import Engine

T = TypeVar("T")

MAX_METRICS, MAX_PARAMS, MAX_TAGS = 800, 100, 100
"""What one log_batch call takes: a thousand things, at most a hundred of them parameters or tags each."""
DATABASES = ("sqlite", "postgresql")
"""Databases whose tables are written directly (see `suite.runs.mlflow_rows`); the tests have both."""
EXPERIMENT_KIND = "custom_model_development"
"""Without it MLflow's UI opens an experiment on its pages for language-model traces, which are empty here."""


class MlflowStore:
    """One MLflow store.

    Args:
        store: Beside whose runs it lies, where it is the one that is made here.
        tracking_uri: Which; by default the environment's MLFLOW_TRACKING_URI, or SQLite in ``store``.
    """

    def __init__(self, store: Store, tracking_uri: str | None = None) -> None:
        self.store = store
        self.tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(store)
        self._client: MlflowClient | None = None
        self._engine: Engine | None = None
        self._experiments: dict[str, str] = {}

    @property
    def is_local(self) -> bool:
        """Whether it is the one beside the runs, which no other root writes to."""
        return self.tracking_uri == default_tracking_uri(self.store)

    @property
    def is_database(self) -> bool:
        """Whether it is a database that is at hand, and no server in front of one."""
        return self.tracking_uri.partition("://")[0].partition("+")[0] in DATABASES

    def engine(self) -> Engine:
        """Return the database; its tables are there once the client is."""
        if self._engine is None:
            self._engine = database_engine(self.tracking_uri)
        return self._engine

    def client(self) -> MlflowClient:
        """Return the client, with the store prepared: one process at a time creates its tables."""
        if self._client is None:
            if self.is_local:
                prepare_sqlite(self.store.mlflow, self.tracking_uri)
            elif self.tracking_uri.startswith("postgresql"):
                prepare_postgresql(self.tracking_uri)
            self._client = make_client(self.tracking_uri)
        return self._client

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

        location = (self.store.mlflow / "artifacts" / name).resolve().as_uri() if self.is_local else None
        tags = {"mlflow.experimentKind": EXPERIMENT_KIND, "mlflow.note.content": note}
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)  # another process was quicker

    def runs(self, experiments: Sequence[str]) -> Iterator[Run]:
        """Yield every run of some experiments."""
        token: str | None = None
        while experiments:
            page = self.client().search_runs(list(experiments), max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                break

    def log(self, run: str, *, params: Mapping[str, str], metrics: Iterable[Metric], tags: Mapping[str, str]) -> None:
        """Write parameters, metrics and tags of a run in as few calls as it takes; the last of ``tags`` comes last.

        A call costs some ten milliseconds, whatever is in it, and a sweep makes hundreds of runs.
        """
        from mlflow.entities import Param, RunTag

        groups: list[list[list[Any]]] = [
            _chunks([Param(key, value) for key, value in params.items()], MAX_PARAMS),
            _chunks(list(metrics), MAX_METRICS),
            _chunks([RunTag(key, value) for key, value in tags.items()], MAX_TAGS),
        ]
        num_calls = max(len(chunks) for chunks in groups)
        padded = [[[]] * (num_calls - len(chunks)) + chunks for chunks in groups]
        for some_params, some_metrics, some_tags in zip(*padded, strict=True):
            self.client().log_batch(run, params=some_params, metrics=some_metrics, tags=some_tags)

    def set_tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Write tags of a run."""
        self.log(run, params={}, metrics=(), tags=tags)


def default_tracking_uri(store: Store) -> str:
    """Return the URI of the SQLite store under ``store``."""
    return f"sqlite:///{(store.mlflow / 'mlflow.db').resolve()}"


def _chunks(items: list[T], size: int) -> list[list[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
