"""A process that imports the work once and forks every worker: a replacement costs 0.1 s, and not seconds of imports.

It runs in a session of its own, so that Ctrl-C in the terminal reaches the parent alone, which decides. It ends when
its line to the parent does, and every worker with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Mapping
from typing import Any, NoReturn

from sweeps.executors.base import Work
from sweeps.executors.messages import Inbox, encode
from sweeps.executors.worker import Connection, find_work, serve

BOOT = (
    "import json, sys; order = json.loads(sys.argv.pop()); sys.path[:] = order['path']; "
    "from sweeps.executors.nursery import main; main(order)"
)
"""What Python runs; the order follows as JSON. Not by the line: its pieces may hold connections."""
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


class Nursery:
    """The process that forks.

    Args:
        line: The connection to the parent. Orders come with the connections of the workers to be, one for each fork.
        work: What the workers do.
    """

    def __init__(self, line: socket.socket, work: Work) -> None:
        self._line = line
        self._work = work
        self._inbox = Inbox()
        self._connections: deque[int] = deque()
        self._children: dict[int, int] = {}
        """Index of each worker by its process."""

    def run(self) -> None:
        """Fork and reap until the parent is gone."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, _ignored)  # without a handler the wake-up is not written
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._send({"ready": os.getpid()})
        try:
            while True:
                readable, _, _ = select.select([self._line, wake], [], [])
                if wake in readable:
                    with contextlib.suppress(BlockingIOError):
                        wake.recv(2**16)
                    self._reap()
                if self._line in readable and not self._obey():
                    return
        finally:
            signal.set_wakeup_fd(-1)

    def end_workers(self) -> None:
        """End every worker, and what it has started."""
        for pid in self._children:
            kill_group(pid)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _obey(self) -> bool:
        """Take what has arrived; return whether the parent is still there."""
        try:
            content, handles, _, _ = socket.recv_fds(self._line, 2**16, 64)
        except OSError:
            return False
        self._connections.extend(handles)
        for order in self._inbox.feed(content):
            if "fork" in order:
                self._fork(order["fork"], self._connections.popleft())
            elif order["kill"] in self._children:
                kill_group(order["kill"])
        return bool(content)

    def _fork(self, order: Mapping[str, Any], handle: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(handle)
            self._send({"broken": f"A worker cannot be started: {error.strerror}."})
            return
        if pid == 0:
            try:
                _become_worker(order, parent)
                # What the nursery listens to is none of a worker's business.
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self._line.close()
                for other in self._connections:
                    os.close(other)
                os.set_inheritable(handle, False)
                connection = Connection(socket.socket(fileno=handle))
                serve(connection, self._work, device=order["device"], threads=order["threads"])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)  # a worker must never go on as a second nursery
        with contextlib.suppress(OSError):  # the child does the same; whoever comes first
            os.setpgid(pid, pid)
        os.close(handle)
        self._children[pid] = order["index"]
        self._send({"forked": order["index"], "pid": pid})

    def _reap(self) -> None:
        """Tell the parent of every worker that has ended."""
        for pid in list(self._children):
            # Its number stays taken until it is reaped, so that nobody else's group can be hit.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            kill_group(pid)
            _, status = os.waitpid(pid, 0)
            self._send({"ended": self._children.pop(pid), "pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def _send(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the parent is gone: the next look at the line says so
            self._line.sendall(encode(message))


def main(order: Mapping[str, Any]) -> NoReturn:
    """Be the nursery of the parent at the other end of the line."""
    line = socket.socket(fileno=order["line"])
    if order["dies_with_parent"]:
        _die_with(order["parent"])  # the line is not watched while the work is imported
    _name_process("boltbench-main")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignored)
    try:
        work = find_work(order["work"])
    except BaseException as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            why = f"{type(error).__name__}: {error}"
            line.sendall(encode({"broken": f"Workers cannot import the work {order['work']!r}: {why}."}))
        os._exit(1)
    _outlive_parent()  # from here on the line tells, and what workers have started must be ended too
    gc.collect()
    gc.freeze()  # or the first collection of every worker would touch, and so copy, all that is imported
    nursery = Nursery(line, work)
    try:
        nursery.run()
    finally:
        nursery.end_workers()
        os._exit(0)


def _become_worker(order: Mapping[str, Any], parent: int) -> None:
    """Make this fresh fork a worker: its group, its log, its cores and its GPU."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    _die_with(parent)
    _name_process(f"boltbench-{order['index']}")
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # real files, as the nursery was started
    faulthandler.enable()
    if hasattr(os, "sched_setaffinity") and order["cores"]:
        with contextlib.suppress(OSError):  # a core may have been taken away since
            os.sched_setaffinity(0, order["cores"])
    # Read when CUDA is initialised, which the nursery never does: it could not be used after a fork.
    if order["gpu"] is not None or order["device"] == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = order["gpu"] or ""


def _die_with(parent: int) -> None:
    """Have the kernel kill this process with its parent (on Linux; the end of the line does it elsewhere)."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before
        os._exit(1)


def _outlive_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, 0)


def _name_process(name: str) -> None:
    """Let ``ps`` and ``top`` show this name, 15 bytes of it (on Linux)."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def kill_group(pid: int) -> None:
    """Kill a worker and what it has started."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _ignored(_number: int, _frame: object) -> None:
    """Do nothing: the parent decides. No SIG_IGN, which the programs that a worker starts would inherit."""
