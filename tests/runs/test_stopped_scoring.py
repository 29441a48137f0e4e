"""A wish to stop that comes when the training is over: the scoring ends early, and a resume does the scoring alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from suite.engine.devices import Execution
from suite.runs.execute import execute
from suite.runs.folder import CHECKPOINTS, TRAINED, WEIGHTS, RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec

pytestmark = pytest.mark.usefixtures("registered_toys")


def prepared() -> Prepared:
    mapping = {
        "task": "toy-image",
        "family": {"name": "mlp", "width": 16},
        "budget": {"steps": 12},
        "data": {"batch_size": 16},
        "evaluation": {"batch_size": 10},
    }
    return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", threads=1, block_steps=12))


def asked_after(trained: Callable[[], bool], batches: int) -> Callable[[], bool]:
    """Return a wish to stop that comes before the batch of that number is scored."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += trained()
        return asked > batches

    return should_stop


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_a_run_that_is_stopped_while_it_is_scored_is_scored_later(batches: int, tmp_path: Path) -> None:
    run = prepared()
    whole, _ = execute(run, RunFolder(tmp_path / "whole"))
    assert whole["status"] == "completed"
    folder, edges = RunFolder(tmp_path / "cut"), []
    wish = asked_after(lambda: bool(edges), batches)
    stopped, _ = execute(run, folder, should_stop=wish, on_edge=lambda state, _row: edges.append(state.step))
    assert (stopped["status"], stopped["scores"]) == ("interrupted", {})
    assert stopped["cost"]["steps"] == 12, "the training was over"
    assert folder.status() == "interrupted"
    assert (folder.path / TRAINED).is_file()
    again: list[int] = []
    resumed, _ = execute(run, folder, on_edge=lambda state, _row: again.append(state.step))
    assert again == [], "nothing is trained anew"
    assert resumed["status"] == "completed"
    assert (resumed["digests"], resumed["scores"]) == (whole["digests"], whole["scores"])
    assert not (folder.path / TRAINED).exists()
    assert list((folder.path / CHECKPOINTS).iterdir()) == [folder.path / WEIGHTS]
