"""A sweep as a person watches it: plain state that events change, and what a terminal shows of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.executors.base import Event, Finished, Lost, Raised, Reported, Started, WorkerInfo

GOOD, BAD = ("completed", "pruned"), ("diverged", "failed", "out-of-memory", "timed-out", "lost")


@dataclass
class AtWork:
    """What a worker does."""

    key: str
    since: float
    value: float | None = None
    """Its latest intermediate value."""


@dataclass
class StudyView:
    """One study as it stands."""

    name: str
    metric: str
    maximizes: bool
    num_trials: int
    counts: dict[str, int] = field(default_factory=dict)
    """Trials that are over, by status."""
    best: tuple[float, int] | None = None
    """Value and number of the best trial so far; the earliest of equals."""
    seconds: float = 0.0
    """What the trials that are over have kept workers for."""
    finals: str = ""
    """What comes after the trials."""

    @property
    def num_over(self) -> int:
        """How many trials are over."""
        return sum(self.counts.values())

    def add(self, number: int, status: str, value: float | None, seconds: float) -> bool:
        """Count a trial that is over; return whether it is the best so far."""
        self.counts[status] = self.counts.get(status, 0) + 1
        self.seconds += seconds
        if status != "completed" or value is None:
            return False
        if self.best is None or (value > self.best[0] if self.maximizes else value < self.best[0]):
            self.best = (value, number)
            return True
        if value == self.best[0]:
            self.best = (value, min(number, self.best[1]))
        return False


@dataclass
class SweepView:
    """Everything that is shown."""

    studies: dict[str, StudyView]
    workers: Sequence[WorkerInfo] = ()
    at_work: dict[int, AtWork] = field(default_factory=dict)
    """By worker."""
    num_lost: int = 0
    """Attempts that were lost with their workers."""
    started: float = field(default_factory=time.monotonic)

    def take(self, event: Event, now: float) -> None:
        """Follow what a worker tells."""
        match event:
            case Started(key, worker):
                self.at_work[worker] = AtWork(key, now)
            case Reported(key, _, value):
                for job in self.at_work.values():
                    if job.key == key:
                        job.value = value
            case Finished(key) | Raised(key) | Lost(key):
                self.num_lost += isinstance(event, Lost)
                self.at_work = {worker: job for worker, job in self.at_work.items() if job.key != key}

    def seconds_left(self, now: float) -> float | None:
        """Return about how long the trials will take that are not over; None before the first is over."""
        over = sum(study.num_over for study in self.studies.values())
        left = sum(max(0, study.num_trials - study.num_over) for study in self.studies.values())
        if not over:
            return None
        each = sum(study.seconds for study in self.studies.values()) / over
        under_way = sum(min(now - job.since, each) for job in self.at_work.values())
        return max(0.0, left * each - under_way) / max(1, len(self.workers))


def render(view: SweepView, now: float) -> RenderableType:
    """Return what a terminal shows."""
    return Group(_studies(view), _workers(view, now), _footer(view, now))


def _studies(view: SweepView) -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for name in ("study", "", "trials"):
        table.add_column(name)
    table.add_column("best")
    table.add_column("pruned", justify="right")
    table.add_column("failed", justify="right")
    for study in view.studies.values():
        bar = ProgressBar(total=max(1, study.num_trials), completed=study.num_over, width=24)
        best = "" if study.best is None else f"{study.metric} {study.best[0]:.4f} (trial {study.best[1]})"
        table.add_row(
            study.name,
            bar,
            study.finals or f"{study.num_over}/{study.num_trials}",
            best,
            str(study.counts.get("pruned", 0)),
            _failures(study.counts),
        )
    return table


def _failures(counts: Mapping[str, int]) -> str:
    """Return how many trials came to no result, and how."""
    found = {status: counts[status] for status in BAD if counts.get(status)}
    if not found:
        return "0"
    return f"{sum(found.values())} ({', '.join(f'{count} {status}' for status, count in found.items())})"


def _workers(view: SweepView, now: float) -> Table:
    table = Table(box=None, padding=(0, 1), show_edge=False)
    table.add_column("worker")
    table.add_column("process", justify="right")
    table.add_column("at work on")
    table.add_column("val", justify="right")
    table.add_column("for", justify="right")
    for worker in view.workers:
        job = view.at_work.get(worker.index)
        place = worker.device if worker.node is None else f"{worker.device} on {worker.node}"
        process = "starting" if worker.pid is None else str(worker.pid)
        if job is None:
            table.add_row(place, process, Text("-", style="dim"), "", "")
        else:
            value = "" if job.value is None else f"{job.value:.4f}"
            table.add_row(place, process, _short(job.key, len(view.studies) > 1), value, duration(now - job.since))
    return table


def _short(key: str, with_study: bool) -> str:
    """Return a job's name as it is told apart from the others."""
    study, _, rest = key.rpartition(":")
    name = rest.replace("-seed-", ", seed ").replace("-", " ")
    return f"{name} of {study}" if with_study else name


def _footer(view: SweepView, now: float) -> Text:
    left = view.seconds_left(now)
    parts = [
        f"{duration(now - view.started)} so far",
        "" if left is None else f"about {duration(left)} left for trials",
    ]
    if view.num_lost:
        parts.append(f"{view.num_lost} attempts lost with their workers")
    return Text(" · ".join(part for part in parts if part), style="dim")


def duration(seconds: float) -> str:
    """Return a time as a person reads it: ``12 s``, ``3:05`` or ``2:00:07``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
