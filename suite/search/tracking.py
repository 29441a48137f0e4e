"""The indices of a sweep, written by one thread of the parent: Optuna's database and MLflow, both from the folders.

A trial waits for neither. What could not be written is said once; `boltbench resume` writes it later.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence

from suite.errors import UserError
from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, MirrorError
from suite.search.pictures import draw_plots
from suite.search.sweep import Sweep
from sweeps.index import OptunaIndex
from sweeps.records import RESULT, StudyFolder, Trial
from sweeps.storage import StorageError

PACE_SECONDS = 1.0
"""A study is written this long after the last time at the earliest, with all trials that have ended meanwhile."""


class Tracking:
    """Brings the indices up to date while a sweep goes on.

    Args:
        sweeps: The sweeps, their studies described on disk.
        indices: Optuna's database for each, by name.
        mirror: MLflow.
        complain: Told what cannot be written.
        plots: Whether to draw a study that has its result.
    """

    def __init__(
        self,
        sweeps: Sequence[Sweep],
        indices: dict[str, OptunaIndex],
        mirror: Mirror,
        complain: Callable[[str], None],
        *,
        plots: bool = False,
    ) -> None:
        self._plots = plots
        self._store = sweeps[0].store
        self._indices, self._mirror, self._complain = indices, mirror, complain
        # Copies: the trials themselves change in the parent's loop meanwhile.
        self._over: dict[str, dict[int, Trial]] = {sweep.name: {} for sweep in sweeps}
        self._folders = {sweep.name: sweep.folder for sweep in sweeps}
        self._waiting: dict[str, queue.SimpleQueue[list[RunFolder]]] = {
            sweep.name: queue.SimpleQueue() for sweep in sweeps
        }
        self._not_before: dict[str, float] = {}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._broken: set[str] = set()
        self._thread = threading.Thread(target=self._serve, name="tracking", daemon=True)

    def start(self, trials: dict[str, list[Trial]]) -> None:
        """Begin, with the trials that are there already."""
        for name, known in trials.items():
            self._over[name] = {trial.number: dataclasses.replace(trial) for trial in known if trial.is_over}
            self._work.put(functools.partial(self._begin, name, runs_of(self._store, known)))
        self._thread.start()

    def trial_changed(self, name: str, trial: Trial) -> None:
        """Take note of a trial that has begun or ended."""
        if trial.is_over:
            self._over[name][trial.number] = dataclasses.replace(trial)
            self._waiting[name].put(runs_of(self._store, [trial]))  # none, where its point is no model
            self._work.put(functools.partial(self._write, name))

    def runs_ended(self, folders: Sequence[RunFolder]) -> None:
        """Take note of ordinary runs that have ended."""
        self._work.put(functools.partial(self._mirror_runs, folders))

    def study_ended(self, name: str) -> None:
        """Take note that a study has its result, or was stopped."""
        if self._plots and (self._folders[name].path / RESULT).is_file():
            # In this thread, which draws the curves of runs too: Optuna changes the style of every plot meanwhile.
            self._work.put(lambda: draw_plots(self._folders[name], self._complain))
        self._work.put(functools.partial(self._mirror_study, name))

    def close(self, wait_for: Callable[[threading.Thread], bool]) -> None:
        """Wait until everything is written, or as long as ``wait_for`` does; `boltbench resume` writes what is left."""
        self._is_closing.set()
        self._work.put(None)
        if not wait_for(self._thread):
            self._complain("boltbench: The indices do not have everything yet; `boltbench resume` writes what is left.")

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception as error:  # whatever it is, the trials that come after have their rows to be written
                self._complain(f"boltbench: A row of an index could not be written ({type(error).__name__}).")

    def _begin(self, name: str, folders: Sequence[RunFolder]) -> None:
        self._index(lambda: self._indices[name].sync(self._leading(name)))
        self._mirror_one(lambda: self._mirror.preload(self._folders[name].description() or {}))
        self._mirror_study(name, is_running=True)
        self._mirror_runs(folders)

    def _write(self, name: str) -> None:
        """Write the trials that have ended, as many as there are: a transaction costs more than what is in it."""
        if self._waiting[name].empty():
            return  # an earlier turn took this trial, too
        self._is_closing.wait(self._not_before.get(name, 0.0) - time.monotonic())
        folders: list[RunFolder] = []
        with contextlib.suppress(queue.Empty):
            while True:
                folders += self._waiting[name].get_nowait()
        self._index(lambda: self._indices[name].append(self._leading(name)))
        self._mirror_runs(folders)
        self._not_before[name] = time.monotonic() + PACE_SECONDS

    def _leading(self, name: str) -> list[Trial]:
        """Return the trials before the first that is not over."""
        over = self._over[name]
        return [over[number] for number in itertools.takewhile(over.__contains__, itertools.count())]

    def _index(self, write: Callable[[], object]) -> None:
        if "optuna" in self._broken:
            return
        try:
            write()
        except StorageError as error:
            self._break("optuna", str(error))
        except Exception as error:  # drivers have no common base, and their messages may hold a password
            self._break("optuna", f"Optuna's database could not be written ({type(error).__name__}).")

    def _mirror_runs(self, folders: Sequence[RunFolder]) -> None:
        self._mirror_one(lambda: self._mirror.sync_all(folders, self._complain_of))

    def _mirror_study(self, name: str, *, is_running: bool = False) -> None:
        self._mirror_one(lambda: self._mirror.sync_study(self._folders[name].path, is_running=is_running))

    def _mirror_one(self, write: Callable[[], object]) -> None:
        if "mlflow" in self._broken:
            return
        try:
            write()
        except MirrorError as error:
            self._break("mlflow", str(error))
        except UserError as error:  # this folder is damaged, and the others are not
            self._complain_of(error)

    def _complain_of(self, error: UserError) -> None:
        self._complain(f"boltbench: {error}")

    def _break(self, which: str, message: str) -> None:
        self._broken.add(which)
        self._complain(f"boltbench: {message} The trials are safe in their folders; `boltbench resume` tries again.")


def runs_of(store: Store, trials: Sequence[Trial]) -> list[RunFolder]:
    """Return the run folders of the trials that are over."""
    return [RunFolder(store.runs / run_id) for trial in trials if trial.is_over for run_id in trial.run_ids]


def reconcile(folder: StudyFolder, store: Store, index: OptunaIndex, mirror: Mirror) -> int:
    """Bring both indices up to date with a study that nobody is at work on; return how much had to be written.

    Raises:
        UserError: A trial's folder is damaged; what could be written is.
    """
    trials = folder.trials()
    written = index.sync(trials) + int(mirror.sync_study(folder.path))
    mirror.preload(folder.description() or {})  # asked for one by one, 500 trials take half a minute
    damaged: list[UserError] = []
    written += mirror.sync_all(runs_of(store, trials), damaged.append)
    if damaged:
        raise damaged[0]
    return written
