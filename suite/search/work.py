"""What a worker does: one trial, or one of the runs that follow a search."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.atomic import WriteError
from suite.engine.devices import Execution
from suite.engine.progress import TrainingState
from suite.errors import UserError
from suite.plugins import load_once
from suite.runs.execute import execute
from suite.runs.folder import METRICS, RunFolder
from suite.runs.metrics_log import read_curves
from suite.runs.prepare import Prepared, prepare
from suite.runs.study_mirror import TRIAL
from suite.search.outcomes import give_up_run
from suite.sources import pinned_sha256
from suite.spec import RunSpec
from sweeps.executors.base import Channel
from sweeps.search import CANNOT_GO_ON

UNWRITABLE = "Runs could not be written ({}). Make room; `boltbench resume` goes on."
OTHER_CODE = (
    "A worker that came later has other code than those before it: files were edited meanwhile, or it is on a machine "
    "with another version. Nothing of it is kept; `boltbench resume` goes on where the code that decides is as it was."
)
OBJECTIVES = ("score", "num_parameters", "seconds", "flops_per_step", "peak_memory_mib")
"""What a search can aim at: the val score of the selected weights, and costs, which are made small."""


def work(payload: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Make the runs of a job, and return how they ended as plain values.

    Args:
        payload: ``root``, the folder of runs/; ``specs``, one per seed; ``execution``; ``trial``, what the run folder
            is to say of the trial, or None; ``objectives``, names among `OBJECTIVES`; ``seconds``, the time limit of
            each run, or None; ``plugins``; ``sources_sha256``, the `suite.sources.pinned_sha256` of who hands the jobs
            out; and ``force`` where runs are to be made anew that are done already.
        channel: Where to report to.
    """
    load_once(tuple(payload["plugins"]))
    if pinned_sha256(payload["plugins"]) != payload["sources_sha256"]:
        return {"status": CANNOT_GO_ON, "message": OTHER_CODE}
    reporter = _Reporter(channel, over_seeds=len(payload["specs"]) > 1)
    results: list[dict[str, Any]] = []
    end: dict[str, Any] = {"status": "completed", "message": ""}
    try:
        for index, spec in enumerate(payload["specs"]):
            result = _run(payload, spec, channel, reporter)
            results.append(result)
            end = {"status": result["status"], "message": result["message"]}
            if result["status"] != "completed":
                break
            is_last = index == len(payload["specs"]) - 1
            if reporter.over_seeds and reporter.report_seed(index, result) and not is_last:
                end = {"status": "pruned", "message": f"Pruned by the search after {index + 1} seeds."}
                break
    except WriteError as error:
        return {"status": CANNOT_GO_ON, "message": UNWRITABLE.format(f"{error.strerror}: {error.filename}")}
    run_ids = [result["run_id"] for result in results if result["run_id"] is not None]
    return {
        **end,
        "values": _values(results, payload["objectives"]) if end["status"] == "completed" else None,
        "intermediate": reporter.values,
        "run_ids": run_ids,
        "device": channel.device,
        "folders": [f"runs/{run_id}" for run_id in run_ids],  # what an executor without a shared disk brings home
    }


class _Reporter:
    """Reports each validation of a run, or each seed of several, and keeps what was reported."""

    def __init__(self, channel: Channel, *, over_seeds: bool) -> None:
        self.over_seeds = over_seeds
        self.values: list[list[float]] = []
        self._channel = channel

    def report_seed(self, index: int, result: Mapping[str, Any]) -> bool:
        """Report a finished seed; return whether to prune."""
        value = _score(result)
        self.values.append([index, value])
        return self._channel.report(index, value)

    def should_prune(self, prepared: Prepared, log: Path, state: TrainingState, score: float) -> bool:
        """Report a validation; return whether to prune. After a resume, those before it are reported first."""
        if self.over_seeds:
            return False
        if state.num_validations > len(self.values) + 1:
            curve = read_curves(log).scores[f"val/{prepared.card.metric}"]
            for _, earlier in curve[len(self.values) : state.num_validations - 1]:
                assert earlier is not None, "a run goes on after finite scores only"
                if self._report(earlier):
                    return True
        return self._report(score)

    def _report(self, value: float) -> bool:
        self.values.append([len(self.values) + 1, value])
        return self._channel.report(len(self.values), value)

    def read(self, log: Path, metric: str) -> None:
        """Take the values of a run that was over already."""
        if not self.over_seeds and log.is_file():
            curve = read_curves(log).scores.get(f"val/{metric}", [])
            known = [value for _, value in curve if value is not None]
            self.values = [[step, value] for step, value in enumerate(known, start=1)]


def _run(
    payload: Mapping[str, Any], mapping: Mapping[str, Any], channel: Channel, reporter: _Reporter
) -> dict[str, Any]:
    """Make one run and return its result."""
    root = Path(payload["root"])
    execution = Execution.from_mapping({**payload["execution"], "device": channel.device})
    try:
        spec = RunSpec.from_mapping(mapping)
        prepared = prepare(spec, execution, runs=root / "runs")
    except UserError as error:
        # Some points of a space are no model: a stride too long, a width that heads do not share. They are outcomes.
        return _refused(payload, mapping, str(error))
    folder = RunFolder(root / "runs" / prepared.run_id)
    if payload["trial"] is not None:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_json(TRIAL, dict(payload["trial"]))
    result, made = execute(
        prepared,
        folder,
        should_stop=channel.should_stop,
        should_prune=functools.partial(reporter.should_prune, prepared, folder.path / METRICS),
        time_limit_seconds=payload["seconds"],
        force=payload.get("force", False),
    )
    if not (made and reporter.values):  # done before, or trained before and only scored now
        reporter.read(folder.path / METRICS, prepared.card.metric)
    return result


def _refused(payload: Mapping[str, Any], mapping: Mapping[str, Any], message: str) -> dict[str, Any]:
    run_id = give_up_run(payload, mapping, status="failed", message=message)
    return {"status": "failed", "message": message, "run_id": run_id, "scores": {}}


def _score(result: Mapping[str, Any]) -> float:
    return float(result["scores"][f"val/{result['metric']}"])


def _values(results: list[dict[str, Any]], objectives: list[str]) -> list[float]:
    """Return the value of each objective: means over the seeds, and the sum of their seconds."""
    found = []
    for name in objectives:
        values = [_score(result) if name == "score" else float(result["cost"][name]) for result in results]
        found.append(sum(values) if name == "seconds" else sum(values) / len(values))
    return found
