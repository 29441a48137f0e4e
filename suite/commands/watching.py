"""What a person sees of a sweep: a live table in a terminal, and plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.console import say
from suite.search.run import Watcher
from sweeps.live import StudyView, SweepView, render

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from suite.search.finals import Finals
    from suite.search.sweep import Sweep
    from sweeps.executors.base import Event, Executor
    from sweeps.records import Trial

SAY_EVERY_SECONDS = 10.0
"""Without a terminal, the latest trial is told this often though nothing is remarkable about it."""
REFRESH_PER_SECOND = 2
"""Drawing takes some 10 ms of the process that hands the trials out."""


class LineWatcher(Watcher):
    """One line per remarkable trial, and what is best so far."""

    def __init__(self) -> None:
        self.view = SweepView({})
        self._lock = threading.Lock()
        self._said = 0.0

    def begin(self, sweeps: Sequence[Sweep], executor: Executor) -> None:
        """Take stock, and say who works."""
        self._executor = executor
        for sweep in sweeps:
            card = sweep.space.base.card()
            study = StudyView(sweep.name, f"val/{card.metric}", card.direction == "maximize", sweep.settings.num_trials)
            self.view.studies[sweep.name] = study
            for trial in sweep.folder.trials():
                if trial.is_over:
                    study.add(trial.number, trial.status, _value(trial), trial.seconds or 0.0)
        workers = ", ".join(worker.device for worker in executor.workers) or f"{executor.num_workers}"
        self.tell(f"{len(sweeps)} stud{'y' if len(sweeps) == 1 else 'ies'}, workers: {workers}")

    def trial_changed(self, sweep: Sweep, trial: Trial) -> None:
        """Tell of a trial that is the best so far or came to no result, and of any other after a while."""
        if not trial.is_over:
            return
        study = self.view.studies[sweep.name]
        with self._lock:
            is_best = study.add(trial.number, trial.status, _value(trial), trial.seconds or 0.0)
        is_remarkable = is_best or trial.status not in ("completed", "pruned")
        if is_remarkable or self.is_time_to_tell():
            self._said = time.monotonic()
            value = _value(trial)
            end = f"{trial.status}: {trial.message}" if value is None else f"{study.metric} {value:.4f}"
            best = "" if study.best is None else f"  best {study.best[0]:.4f}"
            self.tell(f"[{study.num_over}/{study.num_trials}] {sweep.name} trial {trial.number}  {end}{best}")

    def finals_begin(self, sweep: Sweep, finals: Finals) -> None:
        """Tell what comes now."""
        if finals.winner is not None:
            self.view.studies[sweep.name].finals = f"{len(finals.seeds)} fresh seeds"
            self.tell(f"{sweep.name}: winner and default on {len(finals.seeds)} fresh seeds ...")

    def event(self, event: Event) -> None:
        """Follow the workers."""
        with self._lock:
            self.view.take(event, time.monotonic())

    def tell(self, line: str) -> None:
        """Write a line that stays."""
        say(line)

    def is_time_to_tell(self) -> bool:
        """Return whether nothing has been told for long."""
        return time.monotonic() - self._said > SAY_EVERY_SECONDS


class LiveWatcher(LineWatcher):
    """The same lines above a table that follows every worker and study."""

    _live: Live | None = None

    def begin(self, sweeps: Sequence[Sweep], executor: Executor) -> None:
        """Put the table up."""
        from rich.live import Live

        super().begin(sweeps, executor)
        self._live = Live(get_renderable=self._render, refresh_per_second=REFRESH_PER_SECOND, transient=True)
        self._live.start()

    def end(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """Write a line above the table."""
        if self._live is None:
            say(line)
        else:
            self._live.console.print(line, markup=False, highlight=False)

    def is_time_to_tell(self) -> bool:
        """Return False: the table shows the others."""
        return False

    def _render(self) -> RenderableType:
        with self._lock:
            self.view.workers = self._executor.workers
            return render(self.view, time.monotonic())


def watcher() -> LineWatcher:
    """Return who watches for whoever looks at standard output."""
    return LiveWatcher() if sys.stdout.isatty() else LineWatcher()


def _value(trial: Trial) -> float | None:
    return trial.values[0] if trial.status == "completed" and trial.values else None
