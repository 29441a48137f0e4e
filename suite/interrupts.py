"""SIGINT and SIGTERM as a wish to stop at the next safe point, and the exit code that says so."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import types
from typing import Any, NoReturn, Self

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
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        # The kernel's timer: a thread that waits could not be started from within a handler.
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        return self

    def __exit__(self, *_exception: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # first, so that none of them sets the timer once more
            signal.signal(number, self._before[number])
        if self.received is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, self._before[signal.SIGALRM])

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
            _tell(b"Stopping at the next safe point, with the state saved ...\n")
            return
        if now - self._first < REPEAT_SECONDS:
            return  # make and timeout signal a process and then its group: that is one wish, not two
        _end(number)

    def _give_up(self, number: int, frame: types.FrameType | None) -> None:
        """End the process, as soon as its call into torch returns: no handler runs within one."""
        if self.received is not None:
            _tell(b"No safe point within 9 seconds: ended at once. `boltbench resume` goes on from what is saved.\n")
            _end(self.received)
        before = self._before[number]
        if callable(before):  # somebody else's alarm
            before(number, frame)


def _tell(text: bytes) -> None:
    with contextlib.suppress(OSError):  # whoever read it may be gone
        os.write(STDERR, text)


def _end(number: int) -> NoReturn:
    """End the process at once, with the code of a signal."""
    if sys.stdout.isatty():
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # a progress bar hides the cursor
    # Not an exception: Lightning catches KeyboardInterrupt, takes its time and ends with code 1.
    os._exit(128 + number)
