"""One worker: takes jobs from its connection, does them one after the other, and ends when the connection does."""

from __future__ import annotations

import importlib
import os
import queue
import socket
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, cast

from sweeps.executors.base import Work
from sweeps.executors.messages import Inbox, encode

SIGN_EVERY_SECONDS = 1.0
"""A job that is asked nothing and reports nothing may be silent for long; one that works shows a sign this often."""


def find_work(name: str) -> Work:
    """Return the work function that ``package.module:function`` names, importing its module."""
    module, _, function = name.partition(":")
    return cast(Work, getattr(importlib.import_module(module), function))


class Connection:
    """The worker's end of the line to the executor."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message; a process whose executor is gone ends."""
        content = encode(message)
        try:
            with self._lock:
                self._line.sendall(content)
        except OSError:
            os._exit(1)

    def messages(self) -> Any:
        """Yield messages until the executor closes the line or dies."""
        inbox = Inbox()
        while True:
            try:
                piece = self._line.recv(2**16)
            except OSError:
                return
            if not piece:
                return
            yield from inbox.feed(piece)


class JobChannel:
    """What the work function has of the executor, for one job."""

    def __init__(self, connection: Connection, job: Mapping[str, Any], device: str, threads: int | None) -> None:
        self.key = str(job["key"])
        self.payload: Mapping[str, Any] = job["payload"]
        self.device = device
        self.threads = threads
        self._waits = bool(job["waits"])
        self._connection = connection
        self._stop = threading.Event()
        self._serial = 0
        self._answers: queue.SimpleQueue[tuple[int | None, bool]] = queue.SimpleQueue()
        self._last_sign = time.monotonic()

    def report(self, step: int, value: float) -> bool:
        """Tell an intermediate value; return whether to end as pruned."""
        self._serial += 1
        self._last_sign = time.monotonic()
        self._connection.send({"reported": self._serial, "step": int(step), "value": float(value)})
        while self._waits and not self._stop.is_set():
            serial, prune = self._answers.get()
            if serial == self._serial:
                return prune
        return False

    def should_stop(self) -> bool:
        """Return whether to end at the next safe point with the state saved."""
        now = time.monotonic()
        if now - self._last_sign > SIGN_EVERY_SECONDS:
            self._last_sign = now
            self._connection.send({"alive": True})
        return self._stop.is_set()

    def answer(self, serial: int, prune: bool) -> None:
        """Take an answer of the executor; called from the thread that reads."""
        self._answers.put((serial, prune))

    def stop(self) -> None:
        """Take the wish to stop, also while a report waits; called from the thread that reads."""
        self._stop.set()
        self._answers.put((None, False))


def serve(connection: Connection, work: Work, *, device: str, threads: int | None) -> None:
    """Do jobs until the process ends, which it does when the connection is closed."""
    jobs: queue.SimpleQueue[JobChannel] = queue.SimpleQueue()

    def read() -> None:
        channel: JobChannel | None = None
        for message in connection.messages():
            if "job" in message:
                channel = JobChannel(connection, message["job"], device, threads)
                jobs.put(channel)
            elif channel is not None and message["key"] == channel.key:
                if "stop" in message:
                    channel.stop()
                else:
                    channel.answer(message["answer"], message["prune"])
        os._exit(0)  # in the middle of a job too: whoever wanted its result is gone, and files are whole or not there

    threading.Thread(target=read, name="executor", daemon=True).start()
    connection.send({"ready": os.getpid()})
    while True:
        channel = jobs.get()
        connection.send({"started": channel.key})
        connection.send(_outcome(work, channel))


def _outcome(work: Work, channel: JobChannel) -> dict[str, Any]:
    """Do one job and return the message that ends it."""
    message: dict[str, Any]
    try:
        message = {"finished": work(channel.payload, channel)}
        encode(message)  # a result that is no JSON is the work's mistake, and told as such
    except BaseException as error:  # SystemExit too: the work may end itself, not the worker
        message = {
            "raised": f"{type(error).__name__}: {error}".strip().removesuffix(":"),
            "traceback": traceback.format_exc(),
        }
    return message
