"""Jobs on this machine: which worker has which job, and what became of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sweeps.executors.base import Event, ExecutorError, Finished, Job, Lost, Raised, Reported, Started, WorkerInfo
from sweeps.executors.crew import Crew, Died
from sweeps.executors.places import Place

GRACE_SECONDS = 10.0
"""What a job at work has to reach a safe point when the executor is closed."""


@dataclass
class _Desk:
    """What a worker is at, whichever process that is."""

    job: Job | None = None
    has_started: bool = False
    """Whether the worker has begun with the job."""
    serial: int = 0
    """Of the job's latest report."""
    last_sign: float = 0.0
    kill_reason: str | None = None


class LocalExecutor:
    """Workers on this machine, each pinned to its place (see `sweeps.executors.base.Executor`).

    Args:
        work: The work function as ``package.module:function``.
        places: One per worker.
        log_directory: Where the workers' output goes, a file for each; None throws it away.
        silence_seconds: A job that has neither reported nor asked `Channel.should_stop` for so long is taken to hang,
            and its worker is killed; None waits for ever.
    """

    def __init__(
        self,
        work: str,
        places: Sequence[Place],
        *,
        log_directory: Path | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        if not places:
            raise ExecutorError("`workers >= 1` must hold, but there is no place for a worker.")
        self._places = list(places)
        self._silence_seconds = silence_seconds
        self._crew = Crew(work, self._places, log_directory)
        self._desks = [_Desk() for _ in self._places]
        self._events: deque[Event] = deque()
        self._is_woken = False

    @property
    def num_workers(self) -> int:
        """How many jobs can be at work at once."""
        return len(self._places)

    @property
    def workers(self) -> list[WorkerInfo]:
        """The workers as they are now."""
        return [WorkerInfo(member.index, self._places[member.index].label, member.pid) for member in self._crew.members]

    def __enter__(self) -> Self:
        try:
            self._crew.start()
        except BaseException:
            self._crew.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close(kill=any(part is not None for part in exception))

    def submit(self, job: Job) -> None:
        """Hand a job to an idle worker."""
        assert self._index_of(job.key) is None, "a key is at work once"
        index = next((index for index, desk in enumerate(self._desks) if desk.job is None), None)
        assert index is not None, "at most num_workers jobs are at work"
        self._hand(index, job)

    def poll(self, timeout: float) -> list[Event]:
        """Return what has happened, waiting for the first event."""
        deadline = time.monotonic() + timeout
        while not (self._events or self._is_woken):
            left = deadline - time.monotonic()
            self._turn(max(0.0, left))
            if left <= 0:
                break
        self._is_woken = False  # here and not above: a wake between two polls means the next one
        found = list(self._events)
        self._events.clear()
        return found

    def answer(self, key: str, *, prune: bool) -> None:
        """Answer the latest report of a job."""
        index = self._index_of(key)
        if index is not None:
            self._send(index, {"key": key, "answer": self._desks[index].serial, "prune": prune})

    def interrupt(self) -> None:
        """Ask every job at work to stop."""
        for index, desk in enumerate(self._desks):
            if desk.job is not None:
                self._send(index, {"key": desk.job.key, "stop": True})

    def kill(self, key: str, reason: str) -> None:
        """End the worker of a job."""
        index = self._index_of(key)
        if index is not None:
            self._kill(index, reason)

    def wake(self) -> None:
        """Let a `poll` that waits return with what there is; the one method that another thread may call."""
        self._is_woken = True
        self._crew.wake()

    def close(self, *, kill: bool = False) -> None:
        """End the workers; doing it again does nothing."""
        if not kill and not self._crew.is_closing:
            self._crew.is_closing = True
            self._wait_for_jobs()
        self._crew.close()

    def _hand(self, index: int, job: Job) -> None:
        self._desks[index] = _Desk(job, last_sign=time.monotonic())
        order = {"key": job.key, "payload": job.payload, "waits": job.waits_for_answers}
        self._send(index, {"job": order})

    def _send(self, index: int, message: Mapping[str, Any]) -> None:
        if not self._crew.send(index, message):
            self._kill(index, "Its worker took no message any more.")

    def _kill(self, index: int, reason: str) -> None:
        if self._crew.kill(index):
            self._desks[index].kill_reason = self._desks[index].kill_reason or reason

    def _turn(self, timeout: float) -> None:
        """Take in what has happened, waiting for the first of it."""
        if self._silence_seconds is not None:
            timeout = min(timeout, 1.0, self._silence_seconds)
            self._look_for_silence(self._silence_seconds)
        for happening in self._crew.turn(timeout):
            if isinstance(happening, Died):
                self._mourn(happening)
            else:
                self._take(happening.index, happening.message)

    def _take(self, index: int, message: Mapping[str, Any]) -> None:
        desk = self._desks[index]
        desk.last_sign = time.monotonic()
        if desk.job is None:
            return
        key = desk.job.key
        if "started" in message:
            desk.has_started = True
            self._events.append(Started(key, index))
        elif "reported" in message:
            desk.serial = message["reported"]
            self._events.append(Reported(key, message["step"], message["value"]))
        elif "finished" in message:
            self._desks[index] = _Desk()
            self._events.append(Finished(key, message["finished"]))
        elif "raised" in message:
            self._desks[index] = _Desk()
            self._events.append(Raised(key, message["raised"], message["traceback"]))

    def _mourn(self, death: Died) -> None:
        """Give the job of a dead worker up, unless it never began: then the next one has it, and no attempt is lost."""
        desk, self._desks[death.index] = self._desks[death.index], _Desk()
        if not self._crew.is_closing:
            self._crew.replace(death.index)
        if desk.job is None:
            return
        if desk.has_started or desk.kill_reason is not None or self._crew.is_closing:
            self._events.append(Lost(desk.job.key, desk.kill_reason or f"Its worker {death.how}."))
        else:
            self._hand(death.index, desk.job)

    def _look_for_silence(self, limit: float) -> None:
        for index, desk in enumerate(self._desks):
            if desk.has_started and time.monotonic() - desk.last_sign > limit:
                self._kill(index, f"No sign of life for {limit:g} s.")

    def _wait_for_jobs(self) -> None:
        """Give the jobs at work the time to stop by themselves."""
        self.interrupt()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(desk.has_started for desk in self._desks):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._turn(left)

    def _index_of(self, key: str) -> int | None:
        found = (index for index, desk in enumerate(self._desks) if desk.job is not None and desk.job.key == key)
        return next(found, None)
