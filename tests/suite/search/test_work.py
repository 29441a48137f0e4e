"""What a worker answers for a job that was stopped while its run was scored."""

from pathlib import Path
from typing import Any

import pytest

from suite.engine.devices import Execution
from suite.runs.folder import TRAINED
from suite.search.work import work
from suite.sources import pinned_sha256
from suite.spec import RunSpec

SPEC = {
    "task": "digits",
    "family": {"name": "mlp", "width": 8},
    "budget": {"steps": 12},
    "evaluation": {"every_steps": 4, "test": False},
}


class Channel:
    """Takes reports; wishes a stop after so many of them."""

    device = "cpu"

    def __init__(self, reports: float = float("inf")) -> None:
        self.reports = reports
        self.values: list[float] = []

    def report(self, _step: int, value: float) -> bool:
        self.values.append(value)
        return False

    def should_stop(self) -> bool:
        return len(self.values) >= self.reports


def job(root: Path) -> dict[str, Any]:
    return {
        "root": str(root),
        "specs": [RunSpec.from_mapping(SPEC).to_mapping()],
        "execution": Execution(device="cpu", threads=1).to_mapping(),
        "trial": None,
        "objectives": ["score"],
        "seconds": None,
        "plugins": [],
        "sources_sha256": pinned_sha256([]),
    }


def test_a_trial_that_is_stopped_while_it_is_scored_keeps_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(channel: Channel) -> Any:
        return work(job(tmp_path / str(id(channel))), channel)

    whole = asked(Channel())
    assert (whole["status"], len(whole["intermediate"])) == ("completed", 3)
    first, second = Channel(), Channel()
    # The last block's edge is the end of the training, whatever is wished then.
    monkeypatch.setattr(first, "should_stop", lambda: len(first.values) == 3)
    stopped = work(job(tmp_path / "cut"), first)
    assert stopped["status"] == "interrupted"
    assert list((tmp_path / "cut").rglob(TRAINED)), "only the scoring is left"
    resumed = work(job(tmp_path / "cut"), second)
    assert second.values == [], "nothing is trained anew"
    assert resumed["status"] == "completed"
    assert resumed["intermediate"] == stopped["intermediate"] == whole["intermediate"]
    assert resumed["values"] == whole["values"]
