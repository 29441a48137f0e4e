"""The loop of a sweep: hands jobs to workers, takes in what becomes of them, and tries lost ones again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from sweeps.executors.base import Event, Executor, Finished, Job, Lost, Raised, Reported, Started

TIMED_OUT = "It took longer than the search allows."
"""Why a worker is killed that does not end by itself in time."""
POLL_SECONDS = 0.5
"""A signal or a time limit is noticed within this time."""


class Source(Protocol):
    """Where jobs come from and their events go: a search, or the runs after it."""

    def next_job(self) -> Job | None:
        """Return a job to do now; None when there is none at the moment, or none any more."""

    @property
    def is_done(self) -> bool:
        """Whether everything has been done."""

    def started(self, key: str, *, attempt: int) -> None:
        """A worker has begun with a job of this source."""

    def reported(self, key: str, step: int, value: float) -> bool:
        """A job has an intermediate value; return whether to prune it."""

    def finished(self, event: Finished | Raised) -> None:
        """A job is over."""

    def lost(self, key: str, reason: str, *, will_retry: bool) -> None:
        """The worker of a job died."""


class Controller:
    """Runs the jobs of several sources over one executor.

    Args:
        executor: Who does the work.
        sources: In the order in which a free worker asks them.
        attempts: How often a job is begun before a lost worker is taken to be its fault.
        should_stop: Asked all the time; True stops every job at its next safe point.
        grace_seconds: How long stopping jobs have before their workers are ended.
        limit_seconds: How long a job may keep a worker before that is ended; None is for ever.
        on_event: Told of every event, for who watches.
    """

    def __init__(
        self,
        executor: Executor,
        sources: Sequence[Source],
        *,
        attempts: int,
        should_stop: Callable[[], bool] = lambda: False,
        grace_seconds: float = 8.0,
        limit_seconds: float | None = None,
        on_event: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._executor = executor
        self._sources = list(sources)
        self._attempts = attempts
        self._should_stop = should_stop
        self._grace_seconds, self._limit_seconds = grace_seconds, limit_seconds
        self._on_event = on_event
        self._at_work: dict[str, tuple[Job, Source]] = {}
        self._retries: deque[tuple[Job, Source]] = deque()
        self._begun: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def run(self) -> bool:
        """Work until every source is done; return whether it came to that, or was stopped before."""
        while not self._should_stop():
            self._hand_out()
            if not self._at_work:
                assert all(source.is_done for source in self._sources), "a source with nothing at work has a next job"
                return True
            for event in self._executor.poll(POLL_SECONDS):
                self._take(event, is_stopping=False)
            self._end_overdue()
        self._stop()
        return False

    def _hand_out(self) -> None:
        while len(self._at_work) < self._executor.num_workers:
            found = self._retries.popleft() if self._retries else self._next()
            if found is None:
                return
            job, _ = found
            self._begun[job.key] = self._begun.get(job.key, 0) + 1
            self._at_work[job.key] = found
            self._executor.submit(job)

    def _next(self) -> tuple[Job, Source] | None:
        for source in self._sources:
            job = source.next_job()
            if job is not None:
                return job, source
        return None

    def _take(self, event: Event, *, is_stopping: bool) -> None:
        if event.key not in self._at_work:
            return
        job, source = self._at_work[event.key]
        match event:
            case Started(key):
                self._since[key] = time.monotonic()
                source.started(key, attempt=self._begun[key])
            case Reported(key, step, value):
                prune = source.reported(key, step, value)
                if job.waits_for_answers:
                    self._executor.answer(key, prune=prune)
            case Finished(key) | Raised(key):
                self._leave(key)
                source.finished(event)
            case Lost(key, reason):
                self._leave(key)
                will_retry = reason != TIMED_OUT and (is_stopping or self._begun[key] < self._attempts)
                source.lost(key, reason, will_retry=will_retry)
                if will_retry:
                    self._retries.append((job, source))
        self._on_event(event)

    def _leave(self, key: str) -> None:
        del self._at_work[key]
        self._since.pop(key, None)

    def _end_overdue(self) -> None:
        if self._limit_seconds is None:
            return
        for key, since in self._since.items():
            if time.monotonic() - since > self._limit_seconds:
                self._executor.kill(key, TIMED_OUT)

    def _stop(self) -> None:
        """Ask every job to stop, and wait for them for a while; what is still at work then is cut off.

        A job that no worker has begun has nothing to save: a worker that is still importing is not waited for.
        """
        self._executor.interrupt()
        deadline = time.monotonic() + self._grace_seconds
        while self._since and time.monotonic() < deadline:
            for event in self._executor.poll(min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
                self._take(event, is_stopping=True)
        if self._at_work:
            self._executor.close(kill=True)
