"""SIGINT and SIGTERM as a wish to stop at the next safe point, and the exit code that says so."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from typing import NoReturn, Self

STDERR = 2
"""The process's own, whatever sys.stderr stands for at the moment; a handler may write to nothing that has a buffer."""
STOP_SECONDS = 9.0
"""A clean end comes within this time of the first signal, however many parts share it."""
GRACE_SECONDS = 7.0
"""Of that, what workers have to reach a block edge; what they leave is for MLflow and Optuna's database."""
LAST_SECONDS = 9.5
"""What is still at work then is ended as a kill would end it: no safe point came within the time."""
POLL_SECONDS = 0.1
"""How soon a signal is noticed by who waits for a thread."""
REPEAT_SECONDS = 1.0
"""A second signal within this time is an echo of the first."""


class Interrupts:
    """While entered, the first signal asks for a clean end, and a second one, or too long a wait, ends the process.

    Ending at once loses nothing that was finished: files are whole or not there, and `boltbench resume` goes on.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._first = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        # The kernel's timer: a thread that waits could not be started from within a handler.
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        return self

    def __exit__(self, *_exception: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def should_stop(self) -> bool:
        """Return whether a signal has come."""
        return self.received is not None

    def seconds_left(self) -> float | None:
        """Return how long a clean end may still take, from 0 on; None without a signal: as long as it needs."""
        if self.received is None:
            return None
        return max(0.0, self._first + STOP_SECONDS - time.monotonic())

    def wait_for(self, thread: threading.Thread) -> bool:
        """Wait until a thread ends, or, from a signal on, until no time is left; return whether it has ended.

        A signal may come at any time while this waits.
        """
        while thread.is_alive() and self.seconds_left() != 0.0:
            thread.join(min(POLL_SECONDS, self.seconds_left() or POLL_SECONDS))
        return not thread.is_alive()

    def exit_code(self) -> int:
        """Return 130 after SIGINT, 143 after SIGTERM, 0 without either."""
        return 128 + self.received if self.received is not None else 0

    def _handle(self, number: int, _frame: types.FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._first = number, now
            signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
            os.write(STDERR, b"Stopping at the next safe point, with the state saved ...\n")
            return
        if now - self._first < REPEAT_SECONDS:
            return  # make and timeout signal a process and then its group: that is one wish, not two
        _end(number)

    def _give_up(self, _number: int, _frame: types.FrameType | None) -> None:
        assert self.received is not None, "the timer is set by the first signal"
        os.write(
            STDERR, b"No safe point within 9 seconds: ended at once. `boltbench resume` goes on from what is saved.\n"
        )
        _end(self.received)


def _end(number: int) -> NoReturn:
    """End the process at once, with the code of a signal."""
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # a progress bar hides the cursor
    # Not an exception: Lightning catches KeyboardInterrupt, takes its time and ends with code 1.
    os._exit(128 + number)
