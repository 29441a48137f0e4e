"""Replay: run a logged run again and grade how equal it is."""

from __future__ import annotations

import dataclasses
import datetime
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from suite.engine.progress import Row, TrainingState
from suite.errors import UserError
from suite.runs.environment import differing_fields
from suite.runs.execute import execute
from suite.runs.folder import METRICS, PREDICTIONS, REPLAY, RunFolder, Store
from suite.runs.metrics_log import Curves, read_curves
from suite.runs.prepare import Prepared, prepare
from suite.runs.source import read_spec

Grade = Literal["bit-exact", "equal within 1e-6", "within seed noise", "diverged"]

TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How equal a replay was."""

    grade: Grade
    detail: str
    first_different_step: int | None
    """First optimiser step whose losses differ by more than the tolerance."""
    differing_fields: dict[str, tuple[Any, Any]]
    """Decisive fields of the fingerprint that differ: (then, now)."""

    @property
    def is_broken_promise(self) -> bool:
        """Whether one fingerprint gave two results, which must never be."""
        return not self.differing_fields and self.grade != "bit-exact"


def prepare_replay(folder: RunFolder) -> Prepared:
    """Check that the run can be replayed, and prepare it.

    A run whose budget ended by the clock is replayed to the step that it reached.

    Raises:
        UserError: The run is not completed, its files do not match their sha256, or it cannot be prepared here.
    """
    result = folder.result()
    if result is None or result["status"] != "completed":
        raise UserError(
            f"Only a completed run can be replayed, but {folder.run_id!r} is {folder.status()}. "
            "`boltbench resume` goes on with what was cut off."
        )
    damaged = folder.damaged_files()
    if damaged:
        raise UserError(
            f"The files of {folder.run_id!r} must match the sha256 in its result, but {', '.join(damaged)} "
            f"{'does' if len(damaged) == 1 else 'do'} not. {folder.how_to_make_anew()}"
        )
    spec, execution = read_spec(folder)
    prepared = prepare(spec, dataclasses.replace(execution, checkpoint_seconds=1e9), runs=folder.path.parent)
    if spec.budget.seconds is not None:
        prepared = dataclasses.replace(prepared, stop_step=result["cost"]["steps"])
    return prepared


def replay(
    prepared: Prepared,
    folder: RunFolder,
    store: Store,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_edge: Callable[[TrainingState, Row], None] = lambda _state, _row: None,
) -> Verdict | None:
    """Run again beside the original, grade it and write ``replay.json``; None when it was stopped on the way."""
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=store.runs.parent) as directory:
        again = RunFolder(Path(directory) / folder.run_id)
        result, _ = execute(prepared, again, should_stop=should_stop, on_edge=on_edge)
        if result["status"] == "interrupted":
            return None
        verdict = grade(folder, again, seed_scores(folder, store))
        folder.write_json(
            REPLAY,
            {
                **dataclasses.asdict(verdict),
                "weights": result["digests"].get("weights"),
                "replayed_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            },
        )
    return verdict


def grade(original: RunFolder, again: RunFolder, sibling_scores: list[float]) -> Verdict:
    """Compare two finished run folders of one spec."""
    one, other = original.result(), again.result()
    environments = original.environment(), again.environment()
    assert one is not None and other is not None and environments[0] is not None and environments[1] is not None
    fields = differing_fields(environments[0], environments[1])
    if other["status"] == "completed" and one["digests"] == other["digests"]:
        return Verdict("bit-exact", "weights, every step's losses and predictions agree by sha256", None, fields)
    if other["status"] != "completed":
        return Verdict("diverged", f"the replay ended as {other['status']}: {other['message']}", None, fields)
    curves = read_curves(original.path / METRICS), read_curves(again.path / METRICS)
    step = first_difference(*curves)
    apart = _largest_prediction_difference(original, again)
    if step is None and apart <= TOLERANCE:
        return Verdict("equal within 1e-6", f"predictions are at most {apart:.1e} apart", None, fields)
    key = f"test/{one['metric']}" if f"test/{one['metric']}" in one["scores"] else f"val/{one['metric']}"
    if key in one["scores"]:
        difference = abs(one["scores"][key] - other["scores"][key])
        noise = _seed_noise(sibling_scores)
        detail = f"{key} differs by {difference:.2e}, and seeds by {noise:.2e} (two sd of a difference)"
        if len(sibling_scores) >= 2 and difference <= noise:
            return Verdict("within seed noise", detail, step, fields)
        if len(sibling_scores) < 2:
            detail = f"{key} differs by {difference:.2e}; with fewer than 2 seeds of this setting the noise is unknown"
        return Verdict("diverged", f"{detail}; losses part at step {step}", step, fields)
    return Verdict("diverged", f"losses part at step {step}", step, fields)


def first_difference(one: Curves, other: Curves) -> int | None:
    """Return the first step (1-based) at which any per-step value differs by more than the tolerance."""
    found = []
    for name in {*one.steps, *other.steps}:
        mine, theirs = one.steps.get(name, []), other.steps.get(name, [])
        for index, (a, b) in enumerate(zip(mine, theirs, strict=False)):
            if (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) > TOLERANCE):
                found.append(index + 1)
                break
        else:
            if len(mine) != len(theirs):
                found.append(min(len(mine), len(theirs)) + 1)
    return min(found) if found else None


def seed_scores(folder: RunFolder, store: Store) -> list[float]:
    """Return the test (or val) scores of the completed seeds of this run's configuration."""
    result = folder.result()
    assert result is not None
    scores = []
    for sibling in store.folders():
        try:
            other = sibling.result()
        except UserError:  # a damaged neighbour takes nothing from this verdict
            continue
        if other is not None and other["status"] == "completed" and other["config_id"] == result["config_id"]:
            score = other["scores"].get(f"test/{other['metric']}", other["scores"].get(f"val/{other['metric']}"))
            if score is not None:
                scores.append(score)
    return scores


def _seed_noise(scores: list[float]) -> float:
    """Return two standard deviations of the difference of two seeds."""
    return 2 * math.sqrt(2) * float(np.std(scores, ddof=1)) if len(scores) >= 2 else 0.0


def _largest_prediction_difference(original: RunFolder, again: RunFolder) -> float:
    if not ((original.path / PREDICTIONS).is_file() and (again.path / PREDICTIONS).is_file()):
        return 0.0
    with np.load(original.path / PREDICTIONS) as one, np.load(again.path / PREDICTIONS) as other:
        return float(np.abs(one["predictions"] - other["predictions"]).max())
