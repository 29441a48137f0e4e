"""The first five losses of every family on every kind of task, against text files that are read in review.

``make golden`` (``REGENERATE_GOLDEN=1 pytest tests/golden``) writes the files anew. A refactor shows them unchanged.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.atomic import write_text
from suite.family import FAMILIES
from suite.runs.metrics_log import read_curves
from suite.task import TASKS, Task
from tests.small import lacks, settings_of, small

LOSSES = Path(__file__).parent / "losses"
REAL_TASKS = ("digits", "mnist1d")
STEPS = 5
RELATIVE_TOLERANCE = 1e-4
"""Other processors add in another order and round otherwise: their losses differ by about 1e-6 after five steps, and a
changed formula, seed or order by far more than 1e-4."""

pytestmark = pytest.mark.usefixtures("registered_toys")


def supported_tasks(family_name: str) -> list[str]:
    """Return the toy tasks and small real tasks that the family supports; toys are registered by then."""
    family = small(family_name)
    names = [*REAL_TASKS, *(name for name in TASKS.names() if name.startswith("toy-"))]
    return [name for name in names if family.misfit(TASKS.get(name)().card()) is None]


def path_of(family_name: str, task: str) -> Path:
    return LOSSES / f"{task}-{family_name}.txt"


def first_losses(family_name: str, task: str, run_quickly: Callable[..., Any]) -> list[float]:
    mapping = {"task": task, "family": settings_of(family_name), "evaluation": {"selection": "last"}}
    result, folder = run_quickly(mapping, steps=STEPS)
    assert result["status"] == "completed"
    return list(read_curves(folder.path / "metrics.jsonl").steps["train/loss"])


def test_first_losses_are_those_written_down(family_name: str, run_quickly: Callable[..., Any]) -> None:
    for task in supported_tasks(family_name):
        path = path_of(family_name, task)
        losses = first_losses(family_name, task, run_quickly)
        if os.environ.get("REGENERATE_GOLDEN"):
            write_text(path, "".join(f"{loss:.8f}\n" for loss in losses))
        assert path.is_file(), f"{path.name} is missing: run `make golden` and read what it writes"
        assert losses == pytest.approx([float(line) for line in path.read_text().split()], rel=RELATIVE_TOLERANCE), task


def test_losses_written_down_are_five_and_fall_or_rise_from_a_sane_start() -> None:
    for path in LOSSES.glob("*.txt"):
        losses = [float(line) for line in path.read_text().split()]
        assert len(losses) == STEPS, path.name
        assert len(set(losses)) == STEPS, path.name
        assert 0 < losses[0] < 10, path.name


def test_no_file_is_left_of_a_family_or_task_that_is_gone(registered_toys: dict[str, type[Task]]) -> None:
    here = [name for name in FAMILIES.names() if lacks(name) is None]
    expected = {path_of(name, task).name for name in here for task in supported_tasks(name)}
    unknown = tuple(f"-{name}.txt" for name in FAMILIES.names() if name not in here)
    found = {path.name for path in LOSSES.glob("*.txt") if not path.name.endswith(unknown)}
    if os.environ.get("REGENERATE_GOLDEN"):
        for name in found - expected:
            (LOSSES / name).unlink()
        found &= expected
    assert found <= expected
