"""A fixed list of jobs as a source for the controller: the runs that follow a search."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from sweeps.executors.base import Finished, Job, Raised
from sweeps.search import CANNOT_GO_ON, CannotGoOnError


class JobList:
    """Jobs that are each done once.

    Args:
        jobs: What to do, in this order.
        on_end: (key, status, message) of each that is over.
    """

    def __init__(self, jobs: Sequence[Job], on_end: Callable[[str, str, str], None]) -> None:
        self._waiting = deque(jobs)
        self._at_work = 0
        self._on_end = on_end

    @property
    def is_done(self) -> bool:
        """Whether every job is over."""
        return not self._waiting and not self._at_work

    def next_job(self) -> Job | None:
        """Return the next job."""
        if not self._waiting:
            return None
        self._at_work += 1
        return self._waiting.popleft()

    def started(self, key: str, *, attempt: int) -> None:
        """Nothing depends on it."""

    def reported(self, key: str, step: int, value: float) -> bool:
        """Never prune."""
        return False

    def finished(self, event: Finished | Raised) -> None:
        """Pass on how the job ended.

        Raises:
            CannotGoOnError: The worker can do no job any more.
        """
        self._at_work -= 1
        if isinstance(event, Raised):
            self._on_end(event.key, "failed", event.message)
            return
        if event.result["status"] == CANNOT_GO_ON:
            raise CannotGoOnError(event.result["message"])
        self._on_end(event.key, event.result["status"], event.result["message"])

    def lost(self, key: str, reason: str, *, will_retry: bool) -> None:
        """Pass on that the job was lost for good."""
        if not will_retry:
            self._at_work -= 1
            self._on_end(key, "lost", reason)
