"""What the tests of executors wait for."""

import time
from collections.abc import Callable
from pathlib import Path

from sweeps.executors.base import Event, Executor, Finished, Job, Lost, Raised

WAIT_SECONDS = 120.0
"""Far more than anything takes; the tests measure nothing."""


def until(executor: Executor, is_last: Callable[[Event], bool], count: int = 1) -> list[Event]:
    """Return all events until ``count`` of them are of the kind that is waited for."""
    deadline = time.monotonic() + WAIT_SECONDS
    found: list[Event] = []
    while time.monotonic() < deadline:
        found += executor.poll(1.0)
        if sum(map(is_last, found)) >= count:
            return found
    raise AssertionError(f"no such event, but {found}")


def is_end(event: Event) -> bool:
    return isinstance(event, Finished | Raised | Lost)


def do(executor: Executor, key: str, name: str, **payload: object) -> list[Event]:
    executor.submit(Job(key, {"do": name, **payload}))
    return until(executor, is_end)


def is_running(pid: int) -> bool:
    """Return whether the process is there; one that is dead and not yet reaped is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""
