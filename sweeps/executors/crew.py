"""The processes behind the local executor: started, listened to, replaced within 0.1 s when they die, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.executors.base import ExecutorError
from sweeps.executors.messages import Line
from sweeps.executors.nursery import BOOT, kill_group
from sweeps.executors.places import Place

END_SECONDS = 2.0
"""What the nursery has to end by itself."""
MOST_EARLY_DEATHS = 5
"""Processes that may die in a row with no worker getting ready in between."""


@dataclass(frozen=True)
class Said:
    """A worker has sent a message."""

    index: int
    message: Mapping[str, Any]


@dataclass(frozen=True)
class Died:
    """A worker has ended, and what it had said before has been told. `Crew.replace` orders the next one."""

    index: int
    how: str


@dataclass
class Member:
    """One process of the crew."""

    index: int
    line: Line
    pid: int | None = None
    is_ready: bool = False


class Crew:
    """One process per place, all forked by a nursery that imports the work once (see `sweeps.executors.nursery`).

    Args:
        work: The work function as ``package.module:function``.
        places: One per process.
        log_directory: Where their output goes, a file for each; None throws it away.
    """

    def __init__(self, work: str, places: Sequence[Place], log_directory: Path | None) -> None:
        self.members: list[Member] = []
        self.is_closing = False
        """Nobody is replaced any more."""
        self._work = work
        self._places = places
        self._log_directory = log_directory
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._alarm)
        self._nursery: subprocess.Popen[bytes] | None = None
        self._line: Line | None = None
        self._can_fork = False
        self._early_deaths = 0

    def start(self) -> None:
        """Order every worker: they come as soon as the nursery has imported the work."""
        for index in range(len(self._places)):
            self.replace(index)

    def replace(self, index: int) -> None:
        """Order a worker; what is sent to it before it is there waits on its line."""
        if self._line is None:
            self._line = self._start_nursery()
        place = self._places[index]
        line, theirs = Line.pair()
        member = Member(index, line)
        self.members[index : index + 1] = [member]
        self._selector.register(line, selectors.EVENT_READ, member)
        order = {
            "index": index,
            "device": place.device,
            "threads": place.threads,
            "cores": place.cores,
            "gpu": place.gpu,
            "log": str(self._log(str(index))),
        }
        with theirs:
            self._line.send({"fork": order}, handle=theirs.fileno())

    def send(self, index: int, message: Mapping[str, Any]) -> bool:
        """Send to a worker, which need not be there yet; return False when it has stopped to take messages."""
        return self.members[index].line.send(message)

    def kill(self, index: int) -> bool:
        """Kill a worker and what it has started; return whether it was there."""
        pid = self.members[index].pid
        if pid is None or self._line is None:
            return False
        return self._line.send({"kill": pid})

    def turn(self, timeout: float) -> list[Said | Died]:
        """Return what has happened, waiting for the first of it.

        Raises:
            ExecutorError: The work cannot be imported, or processes die before they are ready.
        """
        happened: list[Said | Died] = []
        for key, _ in self._selector.select(timeout):
            if key.data is self._alarm:
                with contextlib.suppress(BlockingIOError):
                    self._alarm.recv(2**16)
            elif key.data is None:
                self._listen_to_nursery(happened)
            elif key.data.line.fileno() >= 0:  # else it was replaced a moment ago
                self._listen(key.data, happened)
        return happened

    def wake(self) -> None:
        """Let a `turn` that waits return, or the next one; the one method that another thread may call."""
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def close(self) -> None:
        """End every process; doing it again does nothing."""
        self.is_closing = True
        if self._line is not None:
            self._line.close()  # the nursery ends its workers and itself
            self._line = None
        if self._nursery is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                # While it still imports it does not look at the line, and has no workers yet.
                self._nursery.wait(END_SECONDS if self._can_fork else 0.0)
            self._nursery.kill()
            self._nursery.wait()
            self._nursery = None
        for member in self.members:
            member.line.close()
        self.members.clear()
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def see_log(self) -> str:
        """Return the sentence that leads a person to the output."""
        return f"See {str(self._log('*'))!r}." if self._log_directory is not None else "Its output was not kept."

    def _log(self, name: str) -> Path:
        return self._log_directory / f"worker-{name}.log" if self._log_directory is not None else Path(os.devnull)

    def _start_nursery(self) -> Line:
        """Start the process that imports the work and forks; return the line to it."""
        line, theirs = Line.pair()
        order = {
            "line": theirs.fileno(),
            "path": [str(entry) for entry in sys.path],
            "work": self._work,
            "parent": os.getpid(),
            # The kernel means the thread that started it, so that another one's end would look like ours.
            "dies_with_parent": threading.current_thread() is threading.main_thread(),
        }
        if self._log_directory is not None:
            self._log_directory.mkdir(parents=True, exist_ok=True)
        with theirs, self._log("main").open("ab") as log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-c", BOOT, json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # Asking whether there is a GPU must not initialise CUDA, which a fork cannot take over.
                env={**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"},
            )
        self._can_fork = False
        self._selector.register(line, selectors.EVENT_READ, None)
        return line

    def _listen(self, member: Member, happened: list[Said | Died]) -> None:
        for message in member.line.receive():
            if "ready" in message:
                member.is_ready, self._early_deaths = True, 0
            else:
                happened.append(Said(member.index, message))
        if not member.line.is_open:  # the nursery will tell how it ended
            with contextlib.suppress(KeyError):
                self._selector.unregister(member.line)

    def _listen_to_nursery(self, happened: list[Said | Died]) -> None:
        assert self._line is not None
        for message in self._line.receive():
            if "broken" in message:
                raise ExecutorError(f"{message['broken']} {self.see_log()}")
            if "ready" in message:
                self._can_fork = True
            elif "forked" in message:
                self.members[message["forked"]].pid = message["pid"]
            elif "ended" in message:
                member = self.members[message["ended"]]
                assert member.pid == message["pid"]
                self._bury(member, _how(message["code"]), happened)
        if not self._line.is_open:
            self._bury_nursery(happened)

    def _bury(self, member: Member, how: str, happened: list[Said | Died]) -> None:
        self._listen(member, happened)  # it may have done its job before
        with contextlib.suppress(KeyError):
            self._selector.unregister(member.line)
        member.line.close()
        happened.append(Died(member.index, f"(process {member.pid}) {how}"))
        if not member.is_ready:
            self._count_early_death(how)

    def _bury_nursery(self, happened: list[Said | Died]) -> None:
        """Take that somebody has killed the nursery, and the kernel its workers with it; `replace` starts another."""
        assert self._line is not None and self._nursery is not None
        for member in self.members:
            if member.pid is not None:
                kill_group(member.pid)  # the kernel spares what the workers have started
        self._selector.unregister(self._line)
        self._line.close()
        self._line = None
        self._nursery.kill()
        how = f"ended with the process that had started it, which {_how(self._nursery.wait())}"
        for member in self.members:
            if member.line.fileno() >= 0:  # else it had died before
                self._bury(member, how, happened)
        self._count_early_death(how)

    def _count_early_death(self, how: str) -> None:
        self._early_deaths += 1
        if self._early_deaths > MOST_EARLY_DEATHS and not self.is_closing:
            raise ExecutorError(f"Workers die before they are ready: the last one {how}. {self.see_log()}")


def _how(code: int) -> str:
    """Return how a process ended, for a person."""
    if code >= 0:
        return f"ended by itself with code {code}"
    hint = " (by hand, or by the system when memory ran out)" if -code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{hint}"
