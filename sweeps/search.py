"""The trials of one study as jobs: asked for, recorded, judged, told, and taken up again after any kill."""

from __future__ import annotations

import datetime
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sweeps.controller import TIMED_OUT
from sweeps.executors.base import Finished, Job, Raised
from sweeps.records import OPEN, Status, StudyFolder, Trial
from sweeps.study import Study

CANNOT_GO_ON = "cannot-go-on"
"""Status of a job that has no outcome, and after which no other has one: a full disk, or a worker with other code."""


class CannotGoOnError(Exception):
    """A worker can do no job any more; those that are open stay so, and the message says why, and the way out."""


class Trials(Protocol):
    """What a search needs to know of the things that it tries."""

    def payload(self, trial: Trial) -> dict[str, Any]:
        """Return what the work function gets for a trial."""

    def give_up(self, trial: Trial) -> list[str]:
        """Record an end that no worker could record, and return the ids of the trial's runs."""


class Search:
    """A source of jobs for the controller: every trial of a study.

    Args:
        folder: Where the trials are recorded. Those of earlier sessions are taken up from there.
        study: Proposes and learns; empty yet.
        num_trials: How many trials there are to be in all.
        trials: What a trial is.
        batch_size: Trials that are asked for together, on the results of earlier batches alone; None asks for each on
            all results that are there.
        waits_for_answers: Whether a pruner decides at each report.
        on_change: Told of each trial that begins or ends.
    """

    def __init__(
        self,
        folder: StudyFolder,
        study: Study,
        *,
        num_trials: int,
        trials: Trials,
        batch_size: int | None = None,
        waits_for_answers: bool = False,
        on_change: Callable[[Trial], None] = lambda _trial: None,
    ) -> None:
        self._folder, self._study = folder, study
        self._num_trials, self._batch_size = num_trials, batch_size
        self._trials, self._waits, self._on_change = trials, waits_for_answers, on_change
        self.deadline: float | None = None
        """Monotonic time after which no new trial is asked for."""
        self.trials: list[Trial] = folder.trials()
        self._open: deque[Trial] = deque(trial for trial in self.trials if not trial.is_over)
        self._began: dict[int, float] = {}
        self._untold: dict[int, Trial] = {}
        """Trials of the current batch that are over: nothing is learned from them before all are."""
        for trial in self.trials:
            if trial.is_over and self._is_batch_over(trial.number):
                study.add(trial)
            else:
                study.add(_as_running(trial))
                if trial.is_over:
                    self._untold[trial.number] = trial

    # -- what the controller calls

    def next_job(self) -> Job | None:
        """Return a trial that was cut off before, or a new one."""
        if self._open:
            trial = self._open.popleft()
            trial.status, trial.attempts, trial.finished_at = "running", trial.attempts + 1, None
        else:
            number = len(self.trials)
            if not self._may_ask(number):
                return None
            params, state = self._study.ask(number)
            trial = Trial(self._folder.name, number, "running", params, started_at=now(), sampler_state=state)
            self.trials.append(trial)
        self._folder.write_trial(trial)
        self._on_change(trial)
        return Job(self._key(trial), self._trials.payload(trial), waits_for_answers=self._waits)

    @property
    def is_done(self) -> bool:
        """Whether every trial is over that will be made."""
        return all(trial.is_over for trial in self.trials) and not self._may_ask(len(self.trials))

    def owns(self, key: str) -> bool:
        """Return whether a job is a trial of this search."""
        return key.startswith(f"{self._folder.name}:trial-")

    def started(self, key: str, *, attempt: int) -> None:
        """Note when the trial began to keep a worker."""
        trial = self._trial(key)
        self._began[trial.number] = time.monotonic()
        trial.attempts += int(attempt > 1)

    def reported(self, key: str, step: int, value: float) -> bool:
        """Let the pruner judge an intermediate value."""
        return self._waits and self._study.should_prune(self._trial(key).number, step, value)

    def finished(self, event: Finished | Raised) -> None:
        """Record and learn how a trial ended.

        Raises:
            CannotGoOnError: The worker can do no job any more.
        """
        trial = self._trial(event.key)
        self._add_seconds(trial)
        if isinstance(event, Raised):
            self._folder.write_text(f"error-{trial.number:05d}.txt", event.traceback)
            self._give_up(trial, "failed", event.message)
            return
        result = event.result
        if result["status"] == CANNOT_GO_ON:
            raise CannotGoOnError(result["message"])
        trial.message, trial.device = str(result["message"]), result.get("device")
        trial.run_ids = list(result["run_ids"])
        trial.values = None if result.get("values") is None else [float(value) for value in result["values"]]
        trial.intermediate = [[int(step), float(value)] for step, value in result["intermediate"]]
        self._end(trial, result["status"])

    def lost(self, key: str, reason: str, *, will_retry: bool) -> None:
        """Count a lost attempt, or give the trial up after the last one."""
        trial = self._trial(key)
        self._add_seconds(trial)
        if reason == TIMED_OUT:
            self._give_up(trial, "timed-out", reason)
        elif will_retry:
            trial.message = reason
            self._folder.write_trial(trial)
        else:
            self._give_up(trial, "lost", reason)

    # -- inside

    def _give_up(self, trial: Trial, status: Status, message: str) -> None:
        trial.status, trial.message = status, message[:2000]
        trial.run_ids = self._trials.give_up(trial)
        self._end(trial, status)

    def _end(self, trial: Trial, status: Status) -> None:
        trial.status, trial.finished_at = status, now()
        if status not in OPEN:
            notes = self._study.notes(trial.number)
            trial.sampler_state = {**trial.sampler_state, **notes}
        self._folder.write_trial(trial)
        if status in OPEN:
            self._open.append(trial)
        else:
            self._untold[trial.number] = trial
            if self._is_batch_over(trial.number):
                for number in sorted(self._untold):
                    self._study.tell(self._untold[number])
                self._untold.clear()
        self._on_change(trial)

    def _may_ask(self, number: int) -> bool:
        if number >= self._num_trials or (self.deadline is not None and time.monotonic() > self.deadline):
            return False
        is_first_of_batch = self._batch_size is not None and number % self._batch_size == 0
        return not is_first_of_batch or (not self._untold and all(trial.is_over for trial in self.trials))

    def _is_batch_over(self, number: int) -> bool:
        """Return whether every trial of the batch is over, so that what comes after may rest on it."""
        if self._batch_size is None:
            return True
        first = number - number % self._batch_size
        members = self.trials[first : first + self._batch_size]
        return len(members) == self._batch_size and all(member.is_over for member in members)

    def _add_seconds(self, trial: Trial) -> None:
        began = self._began.pop(trial.number, None)
        if began is not None:
            trial.seconds = round((trial.seconds or 0.0) + time.monotonic() - began, 3)

    def _key(self, trial: Trial) -> str:
        return f"{self._folder.name}:trial-{trial.number}"

    def _trial(self, key: str) -> Trial:
        return self.trials[int(key.rpartition("-")[2])]


def _as_running(trial: Trial) -> Trial:
    """Return a trial as a sampler saw it while it was at work."""
    return Trial(
        trial.study,
        trial.number,
        "running",
        trial.params,
        sampler_state=trial.sampler_state,
        intermediate=trial.intermediate if not trial.is_over else [],
    )


def best(trials: Sequence[Trial], direction: str) -> Trial | None:
    """Return the completed trial with the best first value, the earliest of equals, or None without any."""
    sign = -1.0 if direction == "maximize" else 1.0
    done = [trial for trial in trials if trial.status == "completed" and trial.values]
    return min(done, key=lambda trial: (sign * _first(trial), trial.number), default=None)


def front(trials: Sequence[Trial], directions: Sequence[str]) -> list[Trial]:
    """Return the completed trials that no other is better than in one objective and as good in the rest."""
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
    costs = {
        trial.number: tuple(sign * value for sign, value in zip(signs, trial.values or [], strict=True))
        for trial in trials
        if trial.status == "completed"
    }

    def is_dominated(own: tuple[float, ...]) -> bool:
        return any(other != own and all(a <= b for a, b in zip(other, own, strict=True)) for other in costs.values())

    return [trial for trial in trials if trial.number in costs and not is_dominated(costs[trial.number])]


def wall_seconds(trials: Sequence[Trial]) -> float:
    """Return for how long at least one of the trials was at work, from their times."""
    spans = sorted((_seconds(trial.started_at), _seconds(trial.finished_at or trial.started_at)) for trial in trials)
    return round(sum(_uncovered(spans)), 3)


def _uncovered(spans: Sequence[tuple[float, float]]) -> Iterator[float]:
    reached = -float("inf")
    for start, end in spans:
        yield max(0.0, end - max(start, reached))
        reached = max(reached, end)


def device_seconds(trials: Sequence[Trial]) -> float:
    """Return for how long the trials kept workers, together."""
    return round(sum(trial.seconds or 0.0 for trial in trials), 3)


def counts(trials: Sequence[Trial]) -> Mapping[str, int]:
    """Return how many trials there are of each status."""
    found: dict[str, int] = {}
    for trial in trials:
        found[trial.status] = found.get(trial.status, 0) + 1
    return found


def now() -> str:
    """Return the time as records hold it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _first(trial: Trial) -> float:
    assert trial.values is not None
    return trial.values[0]
