"""The sweeps that the benchmarks time: short trials of the MLP on digits, by a number of workers."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import NotEquivalentError
from benchmarks.workload import run_directory
from suite.commands import sweep as command
from suite.commands.shared import open_store
from suite.commands.sweeping import build_sweep, executor_of
from suite.search.run import How, Watcher, run_sweeps
from suite.search.sweep import Sweep
from sweeps.executors.base import Event, Executor, Finished, Started
from sweeps.records import Trial

STEPS = 200
"""Steps of a trial: a fifth of a second or so, about the shortest that anybody would search."""


@dataclass(frozen=True)
class Searched:
    """What a sweep took, and what it found."""

    wall_seconds: float
    """From the first trial's start to the last one's end."""
    loop_cpu_seconds: float
    """CPU time of this process while the loop of the sweep ran, over all its threads."""
    worker_cpu_seconds: float
    """CPU time of the workers and of the process that starts them, imports included."""
    found: list[tuple[dict[str, Any], list[float] | None]]
    """Parameters and values of each trial by number."""


class _Clock(Watcher):
    """Notes when the loop begins and ends, and when trials do."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.loop_cpu_seconds = 0.0

    def begin(self, _sweeps: Sequence[Sweep], _executor: Executor) -> None:
        self._began = time.process_time()

    def event(self, event: Event) -> None:
        if isinstance(event, Started | Finished):
            self.moments.append(time.perf_counter())

    def end(self) -> None:
        self.loop_cpu_seconds = time.process_time() - self._began


def search(num_trials: int, workers: int) -> Searched:
    """Sweep with every record and index on, as `boltbench sweep` does, without plots and runs after the search."""
    with run_directory() as root:
        parser = ArgumentParser()
        parser.add_argument("--root", type=Path)
        command.add_arguments(parser)
        words = ["digits", "mlp", "--sampler", "random", "--trials", str(num_trials), "--workers", str(workers)]
        arguments = parser.parse_args([*words, "--final-seeds", "0", "--no-plots", "--root", str(root)])
        settings = ["--budget.steps", str(STEPS), "--evaluation.every_steps", str(STEPS)]
        sweep = build_sweep(arguments, {"task": "digits", "family": "mlp"}, settings, {}, {}, {}, is_only=True)
        clock = _Clock()
        how = How(executor=executor_of(arguments.workers, [sweep]), plots=False)
        before = os.times()
        run_sweeps([sweep], open_store(arguments), how, watcher=clock, complain=_refuse)
        after = os.times()
        return Searched(
            clock.moments[-1] - clock.moments[0],
            clock.loop_cpu_seconds,
            after.children_user + after.children_system - before.children_user - before.children_system,
            [_outcome(trial) for trial in sweep.folder.trials()],
        )


def _outcome(trial: Trial) -> tuple[dict[str, Any], list[float] | None]:
    if trial.status != "completed" or trial.attempts != 1:
        raise NotEquivalentError(f"trial {trial.number} is {trial.status} after {trial.attempts} attempts")
    return trial.params, trial.values


def _refuse(message: str) -> None:
    raise NotEquivalentError(message)
