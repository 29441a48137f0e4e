"""After a search: its winner and the family's default on fresh seeds, as ordinary runs, and what that says."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from suite.errors import UserError
from suite.runs.folder import RunFolder
from suite.runs.study_mirror import TUNING
from suite.search.sweep import Sweep, run_folder
from suite.spec import RunSpec
from sweeps.executors.base import Job
from sweeps.records import Trial
from sweeps.search import best, counts, device_seconds, front, now, wall_seconds

WINNER, DEFAULT = "winner", "default"
CONFIDENCE = 0.95


class Finals:
    """The runs of winner and default under seeds that no trial has used.

    Args:
        sweep: What was searched.
        trials: All trials of the study, over.
    """

    def __init__(self, sweep: Sweep, trials: Sequence[Trial]) -> None:
        self.sweep, self.trials = sweep, trials
        self.winner = best(trials, sweep.space.base.card().direction)
        self.seeds = fresh_seeds(sweep, len(trials))
        self._specs: dict[str, RunSpec] = {}
        if self.winner is not None:
            self._specs[WINNER] = sweep.best_spec(self.winner.params)
            default = sweep.space.base.with_seed(0)
            if default.to_mapping() != self._specs[WINNER].to_mapping():
                self._specs[DEFAULT] = default
        self.messages: dict[str, str] = {}

    def runs(self) -> list[tuple[str, int, RunSpec]]:
        """Return (role, seed, spec) of each run; none where no trial completed. Roles take turns."""
        return [(role, seed, spec.with_seed(seed)) for seed in self.seeds for role, spec in self._specs.items()]

    def jobs(self) -> list[Job]:
        """Return the runs that are still to be made, each folder told what it is."""
        found = []
        for role, seed, spec in self.runs():
            folder = run_folder(self.sweep, spec)
            self._note(folder, role)
            if _result(folder) is None or folder.can_go_on():
                found.append(Job(f"{self.sweep.name}:{role}-seed-{seed}", self.sweep.run_payload(spec)))
        return found

    def on_end(self, key: str, status: str, message: str) -> None:
        """Note why a run came to no result of its own."""
        if status != "completed":
            self.messages[key] = f"{status}: {message}"

    def folders(self) -> list[RunFolder]:
        """Return the folders of the runs."""
        return [run_folder(self.sweep, spec) for _, _, spec in self.runs()]

    def summary(self) -> dict[str, Any]:
        """Return what came of the study, as its result.json holds it."""
        card = self.sweep.space.base.card()
        winner = self.winner
        groups = {role: self._group(role, f"val/{card.metric}") for role in self._specs}
        description = self.sweep.folder.description()
        assert description is not None
        directions = [item["direction"] for item in description["objectives"]]
        return {
            "schema": 1,
            "study": self.sweep.name,
            "task": self.sweep.space.base.task.name,
            "family": self.sweep.space.base.family.name,
            "metric": f"val/{card.metric}",
            "direction": card.direction,
            "rule": description["rule"],
            "num_trials": len(self.trials),
            "num_trials_wanted": self.sweep.settings.num_trials,
            "counts": dict(counts(self.trials)),
            "winner": None
            if winner is None or winner.values is None
            else {
                "number": winner.number,
                "values": winner.values,
                "params": winner.params,
                "settings": self.sweep.space.values(winner.params),
            },
            "front": [trial.number for trial in front(self.trials, directions)] if len(directions) > 1 else None,
            "bill": self._bill(WINNER),
            "final_seeds": self.sweep.settings.final_seeds,
            "finals": groups,
            "comparison": compare(groups, card.direction),
            "finished_at": now(),
        }

    def _group(self, role: str, metric: str) -> dict[str, Any]:
        runs = [(seed, run_folder(self.sweep, spec)) for name, seed, spec in self.runs() if name == role]
        results = [(seed, folder, _result(folder)) for seed, folder in runs]
        scores = [result["scores"][metric] for _, _, result in results if result and result["status"] == "completed"]
        return {
            "run_ids": [folder.run_id for _, folder, _ in results],
            "seeds": [seed for seed, _, _ in results],
            "statuses": ["lost" if result is None else result["status"] for _, _, result in results],
            "scores": scores,
            "mean": statistics.mean(scores) if scores else None,
            "sd": statistics.stdev(scores) if len(scores) > 1 else None,
        }

    def _bill(self, role: str) -> dict[str, Any]:
        if role == DEFAULT:
            return {"num_trials": 0, "seconds": 0.0, "device_seconds": 0.0}
        return {
            "num_trials": len(self.trials),
            "seconds": wall_seconds(self.trials),
            "device_seconds": device_seconds(self.trials),
        }

    def _note(self, folder: RunFolder, role: str) -> None:
        """Write what the run is beside its result, unless that is said already."""
        note = {"schema": 1, "study": self.sweep.name, "role": role, **self._bill(role)}
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            known = folder.read_json(TUNING)
        except UserError:
            known = None
        if known != note:
            folder.write_json(TUNING, note)


def fresh_seeds(sweep: Sweep, num_trials: int) -> list[int]:
    """Return the first seeds, from 0 on, that no trial has used."""
    used = {seed for number in range(num_trials) for seed in sweep.seeds_of(number)}
    found: list[int] = []
    seed = 0
    while len(found) < sweep.settings.final_seeds:
        if seed not in used:
            found.append(seed)
        seed += 1
    return found


def compare(groups: Mapping[str, Mapping[str, Any]], direction: str) -> dict[str, Any]:
    """Return by how much the winner's mean on val beats the default's, with Welch's interval at 95 %.

    ``gain`` counts in the direction of the metric: above 0 the winner is better.
    """
    if set(groups) != {WINNER, DEFAULT}:
        text = "the default itself is the winner" if set(groups) == {WINNER} else "no trial completed"
        return {"verdict": "none", "text": text}
    one, other = (groups[role]["scores"] for role in (WINNER, DEFAULT))
    if not one or not other:
        return {"verdict": "none", "text": "winner and default need a completed run each"}
    sign = 1.0 if direction == "maximize" else -1.0
    gain = sign * (statistics.mean(one) - statistics.mean(other))
    if min(len(one), len(other)) < 2:
        return {"verdict": "unsure", "gain": gain, "text": f"gain {gain:+.4f} on one seed, whose noise is unknown"}
    half = _half_width(one, other)
    if gain - half > 0:
        verdict, text = "better", "the winner beats the default"
    elif gain + half < 0:
        verdict, text = "worse", "the winner is worse than the default"
    else:
        verdict, text = "unsure", "the winner does not beat the default: the difference is within the noise of seeds"
    return {
        "verdict": verdict,
        "gain": gain,
        "low": gain - half,
        "high": gain + half,
        "text": f"{text} (gain on val {gain:+.4f}, 95 % interval {gain - half:+.4f} to {gain + half:+.4f})",
    }


def _half_width(one: Sequence[float], other: Sequence[float]) -> float:
    from scipy import stats

    parts = [statistics.variance(scores) / len(scores) for scores in (one, other)]
    if sum(parts) == 0.0:
        return 0.0
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(scores) - 1) for part, scores in zip(parts, (one, other), strict=True)
    )
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees)) * math.sqrt(sum(parts))


def _result(folder: RunFolder) -> dict[str, Any] | None:
    try:
        return folder.result()
    except UserError:
        return None
