"""What a person sees while runs are made: progress bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from suite import hints

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from suite.engine.progress import Row, TrainingState
    from suite.runs.prepare import Prepared

T = TypeVar("T")

PLAIN_EVERY_SECONDS = 10.0
"""Without a terminal a long run says where it stands this often."""
PLAIN_COLUMNS, UNBOUNDED_COLUMNS = 120, 10_000
"""Width of a table where there is no terminal, and one that no table needs."""


def say(text: str = "") -> None:
    """Write one line to standard output, the commands in it completed."""
    sys.stdout.write(hints.complete(text) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write one line to standard error, the commands in it completed."""
    sys.stderr.write(hints.complete(text) + "\n")
    sys.stderr.flush()


def show(renderable: Any) -> None:
    """Print a rich table: as wide as the terminal; where there is none 120 columns, or what it takes to cut nothing."""
    from rich.console import Console
    from rich.measure import Measurement

    if sys.stdout.isatty():
        Console(file=sys.stdout).print(renderable)
        return
    boundless = Console(width=UNBOUNDED_COLUMNS)
    needed = Measurement.get(boundless, boundless.options, renderable).minimum
    Console(file=sys.stdout, width=max(PLAIN_COLUMNS, needed)).print(renderable)


def watched(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield the items, saying how far one is: a bar that goes away on a terminal, elsewhere a line now and then.

    Args:
        items: What is gone through.
        what: What is done with them, such as "checking runs".
    """
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=what, transient=True)
        return
    said = time.monotonic()
    for index, item in enumerate(items):
        if time.monotonic() - said >= PLAIN_EVERY_SECONDS:
            said = time.monotonic()
            say(f"  {what}: {index}/{len(items)}")
        yield item


class RunReporter:
    """One bar for the plan and one for the run, with the current score and the time left."""

    def __init__(self, num_runs: int) -> None:
        self.num_runs = num_runs
        self.num_done = 0
        self._progress: Progress | None = None
        self._plan_bar: TaskID | None = None
        self._run_bar: TaskID | None = None
        self._prepared: Prepared | None = None
        self._score = ""
        self._said = 0.0

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[score]}"),
                # Drawing takes 4 ms of the one interpreter: ten a second, the default, is 4 % of a small run's time.
                refresh_per_second=4,
            )
            self._progress.start()
            if self.num_runs > 1:
                self._plan_bar = self._progress.add_task(
                    "plan", total=self.num_runs, count=f"0/{self.num_runs} runs", score=""
                )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, prepared: Prepared) -> None:
        """Begin to report on a run."""
        self._prepared, self._score, self._said = prepared, "", time.monotonic()
        if self._progress is not None:
            self._run_bar = self._progress.add_task(prepared.run_id, total=self._total(prepared), count="", score="")

    def on_edge(self, state: TrainingState, row: Row) -> None:
        """Show where the run stands after a block."""
        assert self._prepared is not None
        metric = self._prepared.card.metric
        if f"val/{metric}" in row.scores:
            self._score = f"val/{metric} {row.scores[f'val/{metric}']:.4f}"
        elif row.losses and not self._score.startswith("val/"):
            self._score = f"train/loss {row.losses['train/loss'][-1]:.4f}"
        done, total = self._done(state), self._total(self._prepared)
        count = f"{done:.0f}/{total:.0f} {'s' if self._prepared.total_steps is None else 'steps'}"
        if self._progress is not None and self._run_bar is not None:
            self._progress.update(self._run_bar, completed=done, count=count, score=self._score)
            if self._plan_bar is not None:  # parts of runs count too, or the plan's time left would stand still
                self._progress.update(self._plan_bar, completed=self.num_done + min(done / total, 1.0))
        elif time.monotonic() - self._said >= PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            left = state.seconds * (total - done) / max(done, 1e-9)
            say(f"  {self._prepared.run_id}  {count}  {self._score}  {left:.0f} s left")

    def finish(self, prepared: Prepared, result: dict[str, Any], *, made: bool) -> None:
        """Say how a run ended."""
        self.num_done += 1
        if self._progress is not None and self._run_bar is not None:
            self._progress.remove_task(self._run_bar)
            self._run_bar = None
        if self._progress is not None and self._plan_bar is not None:
            count = f"{self.num_done}/{self.num_runs} runs"
            self._progress.update(self._plan_bar, completed=self.num_done, count=count)
        line = describe(result) if made else f"{describe(result)}  (was done already)"
        if self.num_runs > 1:
            line = f"[{self.num_done}/{self.num_runs}] {line}"
        if self._progress is not None:
            self._progress.console.print(hints.complete(line), markup=False, highlight=False)
        else:
            say(line)

    def _done(self, state: TrainingState) -> float:
        assert self._prepared is not None
        return state.step if self._prepared.total_steps is not None else state.seconds

    def _total(self, prepared: Prepared) -> float:
        if prepared.total_steps is not None:
            return prepared.total_steps
        return prepared.spec.budget.seconds or 1.0


def describe(result: dict[str, Any]) -> str:
    """Return one line on how a run ended."""
    if result["status"] != "completed":
        return f"{result['run_id']}  {result['status']}: {result['message']}"
    metric = result["metric"]
    scores = [
        f"{name} {result['scores'][name]:.4f}"
        for name in (f"val/{metric}", f"test/{metric}")
        if name in result["scores"]
    ]
    return f"{result['run_id']}  {'  '.join(scores)}  {result['cost']['seconds']:.1f} s"
