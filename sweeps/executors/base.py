"""The contract between who decides on jobs (a sweep's controller) and who has them done (an executor)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self


class ExecutorError(ValueError):
    """What a user can mend about workers: how many there are, where they run, what they cannot import."""


@dataclass(frozen=True)
class Job:
    """Something to do, in a form that may travel to another process or machine."""

    key: str
    """Unique among the jobs of an executor, and the same for every attempt."""
    payload: Mapping[str, Any]
    """Plain JSON values for the work function; ``payload["root"]`` is the only path among them."""
    waits_for_answers: bool = False
    """Whether each report waits for `Executor.answer` (a pruner decides), or returns at once."""


@dataclass(frozen=True)
class Started:
    """A worker has begun with a job."""

    key: str
    worker: int


@dataclass(frozen=True)
class Reported:
    """A job has an intermediate value."""

    key: str
    step: int
    value: float


@dataclass(frozen=True)
class Finished:
    """A job is done."""

    key: str
    result: Mapping[str, Any]
    """What the work function returned."""


@dataclass(frozen=True)
class Raised:
    """The work function raised; its worker lives on."""

    key: str
    message: str
    traceback: str


@dataclass(frozen=True)
class Lost:
    """The worker died, and the job with it. The executor replaces the worker; others decide on the job."""

    key: str
    reason: str


Event = Started | Reported | Finished | Raised | Lost


@dataclass(frozen=True)
class WorkerInfo:
    """A worker as a person sees it."""

    index: int
    device: str
    """Such as ``cpu core 0`` or ``cuda 1``."""
    pid: int | None
    """Its process, once that is there."""
    node: str | None = None
    """Its machine, where that is not this one."""


class Channel(Protocol):
    """What a work function has of the executor that it works for."""

    @property
    def device(self) -> str:
        """The kind of device to work on: ``cpu`` or ``cuda`` (the worker sees no GPU but its own)."""

    @property
    def threads(self) -> int | None:
        """CPU threads that this worker has cores for; None leaves the choice to the work."""

    def report(self, step: int, value: float) -> bool:
        """Tell an intermediate value; return whether to end as pruned."""

    def should_stop(self) -> bool:
        """Return whether to end at the next safe point with the state saved; asking is cheap."""


class Work(Protocol):
    """What a worker does with a payload. It is named as ``package.module:function`` and imported in the worker."""

    def __call__(self, payload: Mapping[str, Any], channel: Channel) -> Mapping[str, Any]:
        """Do the work and return plain JSON values; NaN and infinities are allowed among them."""


class Executor(Protocol):
    """Long-lived workers, each with a device of its own.

    A context manager: entering starts the workers, leaving ends them, however it is left; they die with this process
    too. It decides no status, tries nothing again and writes no store.
    """

    @property
    def num_workers(self) -> int:
        """How many jobs can be at work at once."""

    @property
    def workers(self) -> Sequence[WorkerInfo]:
        """The workers as they are now; a dead one's place is taken by its replacement."""

    def __enter__(self) -> Self:
        """Start the workers; this does not wait for them to be ready."""

    def __exit__(self, *exception: object) -> None:
        """End the workers."""

    def submit(self, job: Job) -> None:
        """Hand a job over; at most `num_workers` may be at work, and a key may be at work once."""

    def poll(self, timeout: float) -> list[Event]:
        """Return what has happened, in order, waiting at most ``timeout`` seconds for the first event.

        Raises:
            ExecutorError: No worker can be had: the work function cannot be imported, or workers die as they start.
        """

    def answer(self, key: str, *, prune: bool) -> None:
        """Answer the latest `Reported` of a job that waits; a job that is gone by now is passed over."""

    def interrupt(self) -> None:
        """Ask every job at work to stop at its next safe point, with its state saved."""

    def kill(self, key: str, reason: str) -> None:
        """End the worker of a job that hangs or has had its time; `Lost` with ``reason`` follows."""

    def close(self, *, kill: bool = False) -> None:
        """End the workers, after a last chance for jobs at work to stop, or at once with ``kill``."""
