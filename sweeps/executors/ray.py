"""Jobs on the machines of a Ray cluster: one actor per device, no shared disk, and a lost machine is a lost attempt."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sweeps.executors.agent import Agent
from sweeps.executors.base import Event, ExecutorError, Job, Lost, Reported, Started, WorkerInfo
from sweeps.executors.folders import Folders, pack, unpack, within
from sweeps.executors.local import GRACE_SECONDS

if TYPE_CHECKING:
    import ray
    from ray.actor import ActorHandle

CONNECT_SECONDS = 10.0
"""What a cluster has to take a connection."""
START_SECONDS = 300.0
"""What a cluster has to give the first worker, or another one when it has none left."""
POLL_SECONDS = 60.0
"""How long an actor waits for something to tell before it is asked again."""
MOST_EARLY_DEATHS = 5
"""Actors that may die in a row with none getting ready in between."""


@dataclass
class _Seat:
    """One actor as the parent sees it, from the moment that it is asked for."""

    index: int
    actor: ActorHandle[Any]
    telling: ray.ObjectRef[Any]
    """What comes next from it: its hello, then its events."""
    handing: ray.ObjectRef[Any] | None = None
    """The job on its way to it."""
    node: str | None = None
    """Its machine, once it is there."""
    pid: int | None = None
    job: Job | None = None

    def references(self) -> list[ray.ObjectRef[Any]]:
        """Return what to wait for."""
        return [self.telling] if self.handing is None else [self.telling, self.handing]


class RayExecutor:
    """Workers in a Ray cluster (see `sweeps.executors.base.Executor`).

    Jobs wait here until an actor is there for them, so that a cluster may shrink and grow. Every machine needs this
    package in the version that the parent has, and the data. A job's payload may name ``folders`` under the root:
    what is there already goes with it. What its result names as ``folders`` comes back and is on disk before
    `Finished` is told; of a lost job nothing comes back.

    Args:
        work: The work function as ``package.module:function``.
        address: Of the cluster: ``HOST:PORT``, or ``auto`` for the one that this machine is part of.
        workers: How many; None is one per GPU of the cluster, or on CPUs as many as they allow.
        device: ``cpu``, ``cuda``, or ``auto`` for GPUs where there are any.
        threads: CPU threads and so CPUs per worker; None is one on the CPU, and the work's own choice beside a GPU.
        silence_seconds: As of the local executor.
    """

    def __init__(
        self,
        work: str,
        *,
        address: str = "auto",
        workers: int | None = None,
        device: str = "auto",
        threads: int | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ExecutorError(
                f"`workers >= 1` must hold, but got workers={workers}. Leave it out for one per device."
            )
        self._work = work
        self._silence_seconds = silence_seconds
        self._ray = _connect(address)
        try:
            resources = self._ray.cluster_resources()
            self._device = device if device != "auto" else "cuda" if resources.get("GPU", 0) >= 1 else "cpu"
            self._threads = threads if threads is not None or self._device == "cuda" else 1
            kind, share = ("GPU", 1) if self._device == "cuda" else ("CPU", self._threads or 1)
            self.num_workers = workers or int(resources.get(kind, 0) // share)
            if resources.get(kind, 0) < share:
                raise ExecutorError(
                    f"A worker needs {share} {kind}, but the cluster has {resources.get(kind, 0):g} in all."
                )
        except BaseException:
            self._ray.shutdown()
            raise
        self._seats: list[_Seat] = []
        self._queue: deque[Job] = deque()
        self._events: deque[Event] = deque()
        self._early_deaths = 0
        self._without_since = time.monotonic()

    @property
    def workers(self) -> list[WorkerInfo]:
        """The workers as they are now; one that the cluster has no room for has no process."""
        return [WorkerInfo(seat.index, self._device, seat.pid, seat.node) for seat in self._seats]

    def __enter__(self) -> Self:
        self._seats = [self._hire(index) for index in range(self.num_workers)]
        return self

    def __exit__(self, *exception: object) -> None:
        self.close(kill=exception[0] is not None)

    def submit(self, job: Job) -> None:
        """Hand a job over; it waits while no actor is free."""
        assert job.key not in self._keys(), "a key is at work once"
        assert len(self._keys()) < self.num_workers, "at most num_workers jobs are at work"
        self._queue.append(job)
        self._assign()

    def poll(self, timeout: float) -> list[Event]:
        """Return what has happened, waiting for the first event."""
        deadline = time.monotonic() + timeout
        while not self._events:
            left = deadline - time.monotonic()
            self._turn(max(0.0, left))
            if left <= 0:
                break
        found = list(self._events)
        self._events.clear()
        return found

    def answer(self, key: str, *, prune: bool) -> None:
        """Answer the latest report of a job."""
        for seat in self._seats_of(key):
            seat.actor.answer.remote(key, prune)

    def interrupt(self) -> None:
        """Ask every job at work to stop; those that still wait for an actor are lost."""
        for seat in self._seats:
            if seat.job is not None:
                seat.actor.interrupt.remote()
        while self._queue:
            self._events.append(Lost(self._queue.popleft().key, "It was interrupted before the cluster had a worker."))

    def kill(self, key: str, reason: str) -> None:
        """End the worker of a job."""
        for seat in self._seats_of(key):
            seat.actor.kill.remote(key, reason)

    def close(self, *, kill: bool = False) -> None:
        """End the actors and leave the cluster; doing it again does nothing."""
        if not kill and any(seat.job is not None for seat in self._seats):
            self.interrupt()
            deadline = time.monotonic() + GRACE_SECONDS
            while any(seat.job is not None for seat in self._seats) and time.monotonic() < deadline:
                self._turn(deadline - time.monotonic())
        seats, self._seats = self._seats, []
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.wait([seat.actor.close.remote() for seat in seats if seat.node], timeout=CONNECT_SECONDS)
        for seat in seats:
            self._ray.kill(seat.actor)
        if self._ray.is_initialized():
            self._ray.shutdown()

    # -- actors

    def _hire(self, index: int) -> _Seat:
        """Ask for an actor; Ray starts it where and when there is room."""
        actor_class: Any = self._ray.remote(
            num_gpus=1 if self._device == "cuda" else 0,
            num_cpus=self._threads or 1,
            max_concurrency=2,
            max_restarts=0,  # a restarted one would know nothing of its job: this executor asks for another
        )(Agent)
        actor = actor_class.remote(self._work, self._device, self._threads, self._silence_seconds)
        return _Seat(index, actor, actor.hello.remote())

    def _assign(self) -> None:
        """Give jobs that wait to actors that are free."""
        for seat in self._seats:
            if self._queue and seat.node is not None and seat.job is None:
                seat.job = self._queue.popleft()
                seat.handing = seat.actor.submit.remote(seat.job, _folders_of(seat.job))

    def _turn(self, timeout: float) -> None:
        """Take in what has happened, waiting for the first of it."""
        seats = {reference: seat for seat in self._seats for reference in seat.references()}
        ready, _ = self._ray.wait(list(seats), num_returns=1, timeout=timeout)
        if ready:
            ready, _ = self._ray.wait(list(seats), num_returns=len(seats), timeout=0)
        for reference in ready:
            if seats[reference] in self._seats:  # else replaced a moment ago
                self._take(seats[reference], reference)
        self._assign()
        if any(seat.node is not None for seat in self._seats):
            self._without_since = time.monotonic()
        elif time.monotonic() - self._without_since > START_SECONDS:
            raise ExecutorError(
                f"The cluster gave no worker within {START_SECONDS:g} s. It has {self._ray.cluster_resources()}."
            )

    def _take(self, seat: _Seat, reference: ray.ObjectRef[Any]) -> None:
        """Take what an actor has told, and have it tell more."""
        try:
            told = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            cause = error.cause if isinstance(error, self._ray.exceptions.RayTaskError) else error
            if isinstance(cause, ExecutorError):
                raise ExecutorError(f"On {seat.node}: {cause}") from error
            self._replace(seat, cause)
            return
        if reference is seat.handing:
            seat.handing = None
            return
        if seat.node is None:
            seat.node, seat.pid = told
            self._early_deaths = 0
        else:
            for event, folders in told:
                self._tell(seat, event, folders)
        seat.telling = seat.actor.poll.remote(POLL_SECONDS)

    def _tell(self, seat: _Seat, event: Event, folders: Folders | None) -> None:
        assert seat.job is not None
        for name, content in (folders or {}).items():
            unpack(within(Path(seat.job.payload["root"]), name), content)
        if isinstance(event, Started):
            event = Started(event.key, seat.index)
        if not isinstance(event, Started | Reported):
            seat.job = None
        self._events.append(event)

    def _replace(self, seat: _Seat, error: Exception) -> None:
        """Give up an actor that has died or cannot go on, its machine maybe with it, and the job that it had."""
        if seat.job is not None:
            self._events.append(Lost(seat.job.key, f"Its worker on {seat.node} was lost: {_first_line(error)}"))
        if seat.node is None:
            self._early_deaths += 1
            if self._early_deaths > MOST_EARLY_DEATHS:
                raise ExecutorError(f"Workers die before they are ready: {_first_line(error)}")
        self._ray.kill(seat.actor)
        self._seats[seat.index] = self._hire(seat.index)

    def _seats_of(self, key: str) -> list[_Seat]:
        return [seat for seat in self._seats if seat.job is not None and seat.job.key == key]

    def _keys(self) -> set[str]:
        return {job.key for job in (*self._queue, *(seat.job for seat in self._seats)) if job is not None}


def _connect(address: str) -> Any:
    """Return the ray module, connected to the cluster at ``address``."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing of ours calls home
    try:
        import ray
    except ImportError as error:
        raise ExecutorError("A cluster needs the package ray: pip install 'boltbench[cluster]'.") from error
    if "://" in address:
        raise ExecutorError(f"A cluster's address must be 'auto' or HOST:PORT, but got {address!r}.")
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            # Ray itself tries for a minute, and then says nothing of the address.
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        ray.init(address=address, configure_logging=False, log_to_driver=False, include_dashboard=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ExecutorError(
            f"No Ray cluster can be reached at {address!r}: {_first_line(error)}. `ray start --head` starts one."
        ) from error
    return ray


def _folders_of(job: Job) -> Folders:
    """Return what there is of the folders that a job goes on with."""
    return {name: pack(within(Path(job.payload["root"]), name)) for name in job.payload.get("folders", ())}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
