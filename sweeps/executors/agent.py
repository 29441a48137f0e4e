"""What runs on a machine of a cluster: a local executor with one worker, over a folder of that machine's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from sweeps.executors.base import Event, Finished, Job
from sweeps.executors.folders import Folders, pack, unpack, within
from sweeps.executors.local import LocalExecutor
from sweeps.executors.places import Place


class Agent:
    """The actor of a worker.

    The worker is a process of its own, so that one that crashes or hangs costs its job and not the actor. Two threads
    come in: one waits for events, and the other brings orders.
    """

    def __init__(self, work: str, device: str, threads: int | None, silence_seconds: float | None) -> None:
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES") if device == "cuda" else None  # Ray has set it for this actor
        self._root = Path(tempfile.mkdtemp(prefix="boltbench-"))
        self._lock = threading.Lock()
        self._gate = threading.Lock()
        self._executor = LocalExecutor(
            work, [Place(device, (), threads, gpu)], log_directory=self._root / "logs", silence_seconds=silence_seconds
        )
        self._executor.__enter__()

    def hello(self) -> tuple[str, int]:
        """Return this machine's name, and the actor's process."""
        return socket.gethostname(), os.getpid()

    def poll(self, timeout: float) -> list[tuple[Event, Folders | None]]:
        """Return what has happened; a finished job's folders come with it and are gone from here."""
        with self._gate:
            pass  # locks are not fair: without it the next poll could take the executor before an order that waits
        with self._lock:
            return [(event, self._folders_of(event)) for event in self._executor.poll(timeout)]

    def submit(self, job: Job, folders: Folders) -> None:
        """Hand a job over, with what there is of its folders."""
        payload = dict(job.payload)
        if "root" in payload:
            payload["root"] = str(self._root)
        for name, files in folders.items():
            unpack(within(self._root, name), files)
        with self._ordering():
            self._executor.submit(Job(job.key, payload, job.waits_for_answers))

    def answer(self, key: str, prune: bool) -> None:
        """Answer the job's latest report."""
        with self._ordering():
            self._executor.answer(key, prune=prune)

    def interrupt(self) -> None:
        """Ask the job at work to stop."""
        with self._ordering():
            self._executor.interrupt()

    def kill(self, key: str, reason: str) -> None:
        """End the worker of a job."""
        with self._ordering():
            self._executor.kill(key, reason)

    def close(self) -> None:
        """End the worker and leave nothing on this machine."""
        with self._ordering():
            self._executor.close(kill=True)
        shutil.rmtree(self._root, ignore_errors=True)

    @contextlib.contextmanager
    def _ordering(self) -> Iterator[None]:
        """Have the executor while entered: the thread that waits for events lets go of it."""
        with self._gate:
            self._executor.wake()
            with self._lock:
                yield

    def _folders_of(self, event: Event) -> Folders | None:
        if not isinstance(event, Finished):
            return None
        found = {}
        for name in event.result.get("folders", ()):
            folder = within(self._root, name)
            found[name] = pack(folder)
            shutil.rmtree(folder, ignore_errors=True)
        return found
