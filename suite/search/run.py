"""Runs sweeps from their start, or from where they were cut off, to the re-runs of their winners."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from suite.errors import UserError
from suite.interrupts import GRACE_SECONDS, Interrupts
from suite.locks import Lock, LockHeldError
from suite.runs.folder import LOCK, Store
from suite.runs.mirror import Mirror
from suite.search.finals import Finals
from suite.search.sweep import Sweep, SweepTrials, reconcile_description
from suite.search.tracking import Tracking
from sweeps.controller import Controller, Source
from sweeps.executors.base import Event, Executor, ExecutorError, Finished, Job, Raised
from sweeps.index import OptunaIndex
from sweeps.jobs import JobList
from sweeps.records import StudyError, Trial
from sweeps.search import CannotGoOnError, Search
from sweeps.storage import StorageError, default_url, open_storage
from sweeps.study import Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """How sweeps are carried out on this machine; none of it changes a result, but for ``timeout``."""

    executor: Callable[[], Executor]
    attempts: int = 3
    timeout: float | None = None
    """Seconds after which no new trial is begun."""
    storage_url: str | None = None
    tracking_uri: str | None = None
    plots: bool = True
    """Whether Optuna's plots are drawn in the end."""


class Watcher:
    """Who looks on: told what happens, and asked for nothing."""

    def begin(self, sweeps: Sequence[Sweep], executor: Executor) -> None:
        """The workers are being started."""

    def trial_changed(self, sweep: Sweep, trial: Trial) -> None:
        """A trial has begun or ended."""

    def finals_begin(self, sweep: Sweep, finals: Finals) -> None:
        """A search is over, and its winner and default come to their runs."""

    def event(self, event: Event) -> None:
        """Anything of a worker."""

    def end(self) -> None:
        """No more will come."""


@dataclasses.dataclass
class _Stage(Source):
    """One sweep as a source: its trials, then the runs of winner and default."""

    sweep: Sweep
    search: Search
    watcher: Watcher
    on_finals: Callable[[Finals], None]
    finals: Finals | None = None
    runs: JobList | None = None

    @property
    def is_done(self) -> bool:
        """Whether trials and runs are over."""
        self._turn_to_finals()
        return self.runs is not None and self.runs.is_done

    def next_job(self) -> Job | None:
        """Return the next trial, or the next run after the last trial."""
        self._turn_to_finals()
        return self.search.next_job() if self.runs is None else self.runs.next_job()

    def started(self, key: str, *, attempt: int) -> None:
        """Pass it on."""
        self._of(key).started(key, attempt=attempt)

    def reported(self, key: str, step: int, value: float) -> bool:
        """Pass it on."""
        return self._of(key).reported(key, step, value)

    def finished(self, event: Finished | Raised) -> None:
        """Pass it on."""
        self._of(event.key).finished(event)

    def lost(self, key: str, reason: str, *, will_retry: bool) -> None:
        """Pass it on."""
        self._of(key).lost(key, reason, will_retry=will_retry)

    def _of(self, key: str) -> Search | JobList:
        if self.search.owns(key):
            return self.search
        assert self.runs is not None
        return self.runs

    def _turn_to_finals(self) -> None:
        if self.runs is None and self.search.is_done:
            self.finals = Finals(self.sweep, self.search.trials)
            self.watcher.finals_begin(self.sweep, self.finals)
            self.runs = JobList(self.finals.jobs(), self._run_ended)

    def _run_ended(self, key: str, status: str, message: str) -> None:
        assert self.finals is not None
        self.finals.on_end(key, status, message)


def finished_result(sweep: Sweep) -> dict[str, Any] | None:
    """Return the result of a sweep that is done as it is asked for, or None.

    Raises:
        UserError: The study on disk was made otherwise.
    """
    with _as_user_errors():
        description = reconcile_description(sweep)
        result = sweep.folder.result()
    if result is None or result["num_trials"] < description["num_trials"]:
        return None
    return result if result["final_seeds"] == description["final_seeds"] else None


def run_sweeps(
    sweeps: Sequence[Sweep], store: Store, how: How, *, watcher: Watcher, complain: Callable[[str], None]
) -> tuple[list[dict[str, Any] | None], int]:
    """Run the sweeps over one executor.

    Returns:
        The result of each sweep, None where it was stopped before its end, and the exit code of a signal or 0.

    Raises:
        UserError: A study was made otherwise, is held by another process, or a store cannot be used. Nothing has been
            changed then.
        CannotGoOnError: A worker can do no job any more; what is finished is safe, and a resume goes on.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_as_user_errors())
        descriptions = [reconcile_description(sweep) for sweep in sweeps]
        storage = open_storage(how.storage_url) if how.storage_url is not None else None
        indices = {}
        if storage is not None:
            indices = {d["study"]: OptunaIndex(storage, d) for d in descriptions}
            for index in indices.values():
                index.check()
        for sweep in sweeps:
            _hold(stack, sweep)
        descriptions = [reconcile_description(sweep) for sweep in sweeps]  # whoever held it may have changed it
        studies = store.root / "studies"
        if storage is None:
            storage = open_storage(default_url(studies))
        stack.callback(storage.engine.dispose)
        indices = {d["study"]: OptunaIndex(storage, d) for d in descriptions}
        for sweep, description in zip(sweeps, descriptions, strict=True):
            sweep.folder.describe(description)
            sweep.folder.withdraw_result()
        mirror = Mirror(store, how.tracking_uri)
        tracking = Tracking(sweeps, indices, mirror, complain, plots=how.plots)
        interrupts = stack.enter_context(Interrupts())
        stages = [_stage(sweep, tracking, watcher, how) for sweep in sweeps]
        tracking.start({stage.sweep.name: stage.search.trials for stage in stages})
        try:
            executor = stack.enter_context(how.executor())
            watcher.begin(sweeps, executor)
            limits = [sweep.settings.trial_seconds for sweep in sweeps]
            controller = Controller(
                executor,
                stages,
                attempts=how.attempts,
                should_stop=interrupts.should_stop,
                grace_seconds=GRACE_SECONDS,
                # The worker ends a trial itself at a block edge; one that never reaches an edge is ended from here.
                limit_seconds=None if None in limits else max(_hard_limit(limit) for limit in limits if limit),
                on_event=watcher.event,
            )
            is_done = controller.run()
        finally:
            watcher.end()
        results = [_end(stage, tracking) if is_done else None for stage in stages]
        if not is_done:
            for stage in stages:
                tracking.study_ended(stage.sweep.name)
        tracking.close(interrupts.wait_for)
    return results, 0 if is_done else interrupts.exit_code()


def _stage(sweep: Sweep, tracking: Tracking, watcher: Watcher, how: How) -> _Stage:
    settings = sweep.settings
    card = sweep.space.base.card()
    directions = [card.direction, *["minimize"] * (len(settings.objectives) - 1)]

    def on_change(trial: Trial) -> None:
        tracking.trial_changed(sweep.name, trial)
        watcher.trial_changed(sweep, trial)

    search = Search(
        sweep.folder,
        Study(sweep.name, settings.seed, directions, sweep.space.space, settings.sampler, settings.pruner),
        num_trials=settings.num_trials,
        trials=SweepTrials(sweep),
        batch_size=settings.batch_size,
        waits_for_answers=settings.pruner.name != "none",
        on_change=on_change,
    )
    if how.timeout is not None:
        search.deadline = time.monotonic() + how.timeout
    return _Stage(sweep, search, watcher, lambda _finals: None)


def _end(stage: _Stage, tracking: Tracking) -> dict[str, Any]:
    """Write what came of a sweep, its best settings last but one and its result last."""
    import yaml

    finals = stage.finals
    assert finals is not None
    result = finals.summary()
    if finals.winner is not None:
        best = stage.sweep.best_spec(finals.winner.params)
        stage.sweep.folder.write_text("best.yaml", yaml.safe_dump(best.to_mapping(), sort_keys=False))
    stage.sweep.folder.write_result(result)
    tracking.runs_ended(finals.folders())
    tracking.study_ended(stage.sweep.name)
    return result


def _hard_limit(seconds: float) -> float:
    return 1.5 * seconds + 30.0


def _hold(stack: contextlib.ExitStack, sweep: Sweep) -> None:
    try:
        stack.enter_context(Lock(sweep.folder.path / LOCK).hold())
    except LockHeldError as error:
        raise UserError(f"The study {sweep.name!r} is being searched by {error}. Wait for it, or stop it.") from error


@contextlib.contextmanager
def _as_user_errors() -> Iterator[None]:
    try:
        yield
    except (StudyError, StorageError, ExecutorError) as error:
        raise UserError(str(error)) from None


__all__ = ["CannotGoOnError", "How", "Watcher", "finished_result", "run_sweeps"]
