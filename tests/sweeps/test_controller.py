"""The loop of a sweep when it is stopped: what has begun is waited for, and nothing else is."""

import dataclasses
from collections.abc import Callable

import pytest

from sweeps.controller import Controller
from sweeps.executors.base import Event, Finished, Job, Raised, Started, WorkerInfo


@dataclasses.dataclass
class Scripted:
    """An executor whose polls return what is written down; one more than that is an error."""

    script: list[list[Event]]
    num_workers: int = 2
    workers: list[WorkerInfo] = dataclasses.field(default_factory=list)
    calls: list[str] = dataclasses.field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.calls.append(f"submit {job.key}")

    def poll(self, timeout: float) -> list[Event]:
        assert self.script, "nothing is left to wait for"
        return self.script.pop(0)

    def answer(self, key: str, *, prune: bool) -> None:
        raise AssertionError("no job waits for an answer")

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def kill(self, key: str, reason: str) -> None:
        raise AssertionError("no job has a limit")

    def wake(self) -> None:
        raise AssertionError("nobody wakes the loop")

    def close(self, *, kill: bool = False) -> None:
        self.calls.append(f"close kill={kill}")

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *exception: object) -> None:
        return None


class TwoJobs:
    """A source of two jobs."""

    def __init__(self) -> None:
        self.left = [Job("one", {}), Job("two", {})]
        self.ended: list[str] = []

    def next_job(self) -> Job | None:
        return self.left.pop(0) if self.left else None

    @property
    def is_done(self) -> bool:
        return len(self.ended) == 2

    def started(self, key: str, *, attempt: int) -> None:
        assert attempt == 1

    def reported(self, key: str, step: int, value: float) -> bool:
        raise AssertionError("no job reports")

    def finished(self, event: Finished | Raised) -> None:
        self.ended.append(event.key)

    def lost(self, key: str, reason: str, *, will_retry: bool) -> None:
        raise AssertionError("no job is lost")


def stop_after(polls: int) -> Callable[[], bool]:
    answers = [False] * polls + [True]
    return lambda: answers.pop(0)


@pytest.mark.parametrize(
    ("script", "ended", "is_cut"),
    [
        ([[]], [], True),  # both workers still import
        ([[Started("one", 0)], [], [Finished("one", {})]], ["one"], True),
        ([[Started("one", 0), Started("two", 1)], [Finished("two", {})], [Finished("one", {})]], ["two", "one"], False),
    ],
    ids=["none-begun", "one-begun", "both-begun"],
)
def test_a_stop_waits_for_the_jobs_that_have_begun_alone(
    script: list[list[Event]], ended: list[str], is_cut: bool
) -> None:
    executor, source = Scripted(list(script)), TwoJobs()
    controller = Controller(executor, [source], attempts=2, should_stop=stop_after(1), grace_seconds=1e6)
    assert controller.run() is False
    assert source.ended == ended
    assert executor.script == [], "what has begun is heard to its end"
    assert executor.calls == ["submit one", "submit two", "interrupt", *["close kill=True"] * is_cut]


def test_the_end_of_grace_cuts_off_what_has_begun() -> None:
    executor, source = Scripted([[Started("one", 0)], *([[]] * 3)]), TwoJobs()
    assert Controller(executor, [source], attempts=2, should_stop=stop_after(1), grace_seconds=0.0).run() is False
    assert executor.calls[-1] == "close kill=True"
    assert source.ended == []
