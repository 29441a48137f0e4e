"""Jobs in a thread of this very process, one after the other: for debugging, where a worker's start is too long."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from typing import Self

from sweeps.executors.base import Event, Finished, Job, Raised, Reported, Started, WorkerInfo
from sweeps.executors.worker import find_work


class InlineExecutor:
    """One worker that is a thread of this process (see `sweeps.executors.base.Executor`).

    A job cannot be lost without this process, nor killed: `kill` asks it to stop.

    Args:
        work: The work function as ``package.module:function``.
    """

    num_workers = 1

    def __init__(self, work: str) -> None:
        self._work = find_work(work)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._channel = _Channel(self._events, "", waits=False)
        self._thread = threading.Thread(target=self._serve, name="inline-worker", daemon=True)
        self._is_busy = False

    @property
    def workers(self) -> list[WorkerInfo]:
        """This process."""
        return [WorkerInfo(0, "this process", os.getpid())]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def submit(self, job: Job) -> None:
        """Hand the one job over."""
        assert not self._is_busy, "at most num_workers jobs are at work"
        self._is_busy = True
        self._channel = _Channel(self._events, job.key, waits=job.waits_for_answers)
        self._jobs.put(job)

    def poll(self, timeout: float) -> list[Event]:
        """Return what has happened, waiting for the first event."""
        found: list[Event] = []
        deadline = time.monotonic() + timeout
        while True:
            try:
                left = 0.0 if found else max(0.0, deadline - time.monotonic())
                event = self._events.get(timeout=left) if left > 0 else self._events.get_nowait()
            except queue.Empty:
                return found
            self._is_busy &= not isinstance(event, Finished | Raised)
            found.append(event)

    def answer(self, key: str, *, prune: bool) -> None:
        """Answer the latest report."""
        if key == self._channel.key:
            self._channel.answers.put(prune)

    def interrupt(self) -> None:
        """Ask the job to stop."""
        self._channel.stop.set()
        self._channel.answers.put(False)

    def kill(self, key: str, reason: str) -> None:
        """Ask the job to stop: there is no process to end."""
        if key == self._channel.key:
            self.interrupt()

    def close(self, *, kill: bool = False) -> None:
        """End the thread after its job has stopped, or leave it behind with ``kill``."""
        self.interrupt()
        self._jobs.put(None)
        if not kill and self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._events.put(Started(job.key, 0))
            try:
                result = self._work(job.payload, self._channel)
            except Exception as error:  # whatever the work raises is an event, as it is of a worker process
                message = f"{type(error).__name__}: {error}"
                self._events.put(Raised(job.key, message, traceback.format_exc()))
            else:
                self._events.put(Finished(job.key, result))


class _Channel:
    """What the work has of the executor, for one job."""

    device = "cpu"
    threads = 1

    def __init__(self, events: queue.SimpleQueue[Event], key: str, *, waits: bool) -> None:
        self.key = key
        self.stop = threading.Event()
        self.answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._events, self._waits = events, waits

    def report(self, step: int, value: float) -> bool:
        """Tell an intermediate value; return whether to end as pruned."""
        self._events.put(Reported(self.key, step, value))
        return self._waits and not self.stop.is_set() and self.answers.get()

    def should_stop(self) -> bool:
        """Return whether to stop."""
        return self.stop.is_set()
