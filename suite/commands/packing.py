"""Runs of a plan side by side: one worker per device, each run as it would be made alone."""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from suite.console import PLAIN_EVERY_SECONDS, complain, describe, say
from suite.errors import UserError, shown
from suite.interrupts import GRACE_SECONDS, Interrupts
from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, MirrorError
from suite.runs.prepare import Prepared
from suite.sources import pinned_sha256
from sweeps.controller import Controller
from sweeps.executors.base import Event, Executor, ExecutorError, Job, Reported, Started
from sweeps.jobs import JobList
from sweeps.search import CannotGoOnError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WORK = "suite.search.worker:work"
MIRROR_UNFINISHED = "boltbench: MLflow does not have every run yet; `boltbench resume` brings what is missing."
ATTEMPTS = 3
"""Times a run is begun when its worker dies."""
PACKED_FROM_STEPS = 10_000
"""Optimiser steps, all runs together, from which workers pay under ``auto``: to start them takes 5 s of imports."""


def make_executor(workers: str, prepared: Sequence[Prepared], store: Store) -> Callable[[], Executor] | None:
    """Return what makes the workers for these runs, or None where this process makes them one after the other.

    Args:
        workers: ``auto``, or how many.
        prepared: The runs.
        store: Where the workers' output is kept.

    Raises:
        UserError: ``workers`` is neither, or the runs want different kinds of device.
    """
    from sweeps.executors.local import LocalExecutor
    from sweeps.executors.places import places

    kinds = {item.device.type for item in prepared}
    count = None if workers == "auto" else _count(workers)
    if count == 1 or len(prepared) == 1 or len(kinds) > 1:
        return None
    # A run whose end is the clock's would be another run beside a neighbour.
    if count is None and (sum(item.total_steps or 0 for item in prepared) < PACKED_FROM_STEPS):
        return None
    if count is None and any(item.total_steps is None for item in prepared):
        return None
    threads = max((item.execution.threads or 1) for item in prepared) if kinds == {"cpu"} else None
    try:
        found = places(workers=count, threads=threads, device=kinds.pop())
    except ExecutorError as error:
        raise UserError(str(error)) from error
    found = found[: len(prepared)]
    if len(found) == 1:
        return None
    return lambda: LocalExecutor(WORK, found, log_directory=store.runs / ".workers")


def run_packed(
    prepared: Sequence[Prepared],
    store: Store,
    make: Callable[[], Executor],
    *,
    force: bool,
    tracking_uri: str | None,
    plugins: Sequence[str],
) -> int:
    """Make the runs over workers, mirror each, and say how each ended.

    Returns:
        0, or 1 when a run did not complete, or 130 or 143 after a signal.
    """
    watch = _Watch(prepared, store)
    interrupts = Interrupts()
    mirror = _MirrorThread(Mirror(store, tracking_uri), interrupts)
    ended: dict[str, str] = {}

    def on_end(key: str, status: str, message: str) -> None:
        ended[key] = status
        watch.ended(key, status, message)
        mirror.add(RunFolder(store.runs / key))

    jobs = []
    for item in prepared:
        folder = RunFolder(store.runs / item.run_id)
        if not force and folder.result() is not None and not folder.can_go_on():
            result = folder.result()
            assert result is not None
            ended[item.run_id] = result["status"]
            watch.was_done(item.run_id, result)
            mirror.add(folder)
        else:
            jobs.append(Job(item.run_id, _payload(item, store, force=force, plugins=plugins)))
    with interrupts, mirror, watch:
        try:
            with make() as executor:
                is_done = Controller(
                    executor,
                    [JobList(jobs, on_end)],
                    attempts=ATTEMPTS,
                    should_stop=interrupts.should_stop,
                    grace_seconds=GRACE_SECONDS,
                    on_event=watch.event,
                ).run()
        except (CannotGoOnError, ExecutorError) as error:
            complain(f"boltbench: {error}")
            return 1
    if not is_done:
        complain("Stopped. `boltbench resume` goes on where it was.")
        return interrupts.exit_code()
    return int(any(status != "completed" for status in ended.values()))


def _payload(item: Prepared, store: Store, *, force: bool, plugins: Sequence[str]) -> dict[str, Any]:
    execution = item.execution.to_mapping()
    if item.device.type == "cpu" and execution["threads"] is None:
        execution["threads"] = 1  # a worker has one core
    return {
        "root": str(store.root.resolve()),
        "specs": [item.spec.to_mapping()],
        "execution": execution,
        "trial": None,
        "objectives": [],
        "seconds": None,
        "plugins": list(plugins),
        "sources_sha256": pinned_sha256(plugins),
        "force": force,
    }


def _count(workers: str) -> int:
    if not workers.isdecimal() or int(workers) < 1:
        raise UserError(f"--workers must be auto or a number from 1 on, but got {shown(workers)}.")
    return int(workers)


class _MirrorThread:
    """Mirrors folders while the workers go on; a server that is down is said once, and `boltbench resume` mends it.

    Args:
        mirror: MLflow.
        interrupts: What limits the time that the end may take.
    """

    def __init__(self, mirror: Mirror, interrupts: Interrupts) -> None:
        self._mirror, self._interrupts = mirror, interrupts
        self._folders: queue.SimpleQueue[RunFolder | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="mirror", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._folders.put(None)
        if not self._interrupts.wait_for(self._thread):
            complain(MIRROR_UNFINISHED)

    def add(self, folder: RunFolder) -> None:
        """Mirror a run that has ended."""
        self._folders.put(folder)

    def _serve(self) -> None:
        is_reachable = True
        while (folder := self._folders.get()) is not None:
            try:
                if is_reachable:
                    self._mirror.sync(folder)
            except MirrorError as error:  # the next one would wait for the same server
                is_reachable = False
                complain(f"boltbench: {error}")
            except UserError as error:  # this folder is damaged, and the others are not
                complain(f"boltbench: {error}")


class _Watch:
    """A bar for the plan and one per run at work; plain lines where the output is no terminal."""

    def __init__(self, prepared: Sequence[Prepared], store: Store) -> None:
        self._prepared = {item.run_id: item for item in prepared}
        self._store = store
        self._num_done = 0
        self._progress: Progress | None = None
        self._plan_bar: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        self._said = self._began = time.monotonic()

    def __enter__(self) -> None:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
                TextColumn("{task.fields[score]}"),
                refresh_per_second=4,
            )
            self._progress.start()
            self._plan_bar = self._progress.add_task(
                "plan", total=len(self._prepared), completed=self._num_done, count=self._count(), score=""
            )

    def __exit__(self, *_exception: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def event(self, event: Event) -> None:
        """Show a run that begins or comes to a validation."""
        if isinstance(event, Started) and self._progress is not None:
            total = self._num_validations(event.key)
            self._bars[event.key] = self._progress.add_task(event.key, total=total, count=f"0/{total}", score="")
        elif isinstance(event, Reported):
            item, total = self._prepared[event.key], self._num_validations(event.key)
            score = f"val/{item.card.metric} {event.value:.4f}"
            if self._progress is not None and event.key in self._bars:
                count = f"{event.step}/{total} validations"
                self._progress.update(self._bars[event.key], completed=event.step, count=count, score=score)
            elif self._progress is None and time.monotonic() - self._said >= PLAIN_EVERY_SECONDS:
                self._said = time.monotonic()
                say(f"  {event.key}  validation {event.step}/{total}  {score}{self._left()}")

    def ended(self, key: str, status: str, message: str) -> None:
        """Say how a run ended."""
        try:
            result = RunFolder(self._store.runs / key).result()
        except UserError as error:
            result, message = None, str(error)
        self._line(key, describe(result) if result is not None else f"{key}  {status}: {message}")

    def was_done(self, key: str, result: dict[str, Any]) -> None:
        """Say that a run is there already."""
        self._line(key, f"{describe(result)}  (was done already)")

    def _line(self, key: str, text: str) -> None:
        self._num_done += 1
        line = f"[{self._num_done}/{len(self._prepared)}] {text}"
        if self._progress is None or self._plan_bar is None:
            self._said = time.monotonic()
            say(line)
            return
        if key in self._bars:
            self._progress.remove_task(self._bars.pop(key))
        self._progress.update(self._plan_bar, completed=self._num_done, count=self._count())
        self._progress.console.print(line, markup=False, highlight=False)

    def _count(self) -> str:
        return f"{self._num_done}/{len(self._prepared)} runs"

    def _left(self) -> str:
        if self._num_done == 0:
            return ""
        left = (time.monotonic() - self._began) / self._num_done * (len(self._prepared) - self._num_done)
        return f"  about {left:.0f} s left"

    def _num_validations(self, key: str) -> int:
        item = self._prepared[key]
        every = item.spec.evaluation.every_steps or item.steps_per_epoch
        return max(1, math.ceil((item.total_steps or every) / every))
