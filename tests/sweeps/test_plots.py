import datetime
import random
from typing import Any

import matplotlib as mpl
import pytest

from sweeps.plots import draw
from sweeps.records import Trial
from sweeps.space import Dimension, Space

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def description(*objectives: str) -> dict[str, Any]:
    space = Space(
        (
            Dimension("optimization.lr", low=1e-4, high=1e-1, log=True),
            Dimension("family.width", low=8, high=64, is_integer=True),
            Dimension("regularization.weight_decay_scope", choices=("all", "matrices")),
        )
    )
    return {
        "study": "study",
        "objectives": [
            {"name": name, "direction": "maximize" if index == 0 else "minimize"}
            for index, name in enumerate(objectives)
        ],
        "space": space.to_list(),
    }


def trial(number: int, status: Any = "completed", *, objectives: int = 1) -> Trial:
    draw_one = random.Random(number)
    params = {
        "optimization.lr": 10 ** draw_one.uniform(-4, -1),
        "family.width": draw_one.randrange(8, 64),
        "regularization.weight_decay_scope": draw_one.choice(["all", "matrices"]),
    }
    begun = START + datetime.timedelta(seconds=number)
    return Trial(
        "study",
        number,
        status,
        params,
        values=[draw_one.random() for _ in range(objectives)] if status == "completed" else None,
        intermediate=[[step, draw_one.random()] for step in range(3)],
        started_at=begun.isoformat(),
        finished_at=(begun + datetime.timedelta(seconds=1)).isoformat(),
    )


def style() -> dict[str, Any]:
    return {name: value for name, value in mpl.rcParams.items() if not name.startswith("backend")}


def test_every_plot_of_a_study_is_drawn_and_the_style_of_others_stays() -> None:
    before = style()
    trials = [trial(number, "diverged" if number == 3 else "completed") for number in range(12)]
    pictures, reasons = draw(description("val/accuracy"), trials)
    assert reasons == {}
    assert set(pictures) == {
        *("history", "timeline", "intermediate", "slice", "importance", "parallel", "contour"),
    }
    assert all(content.startswith(b"\x89PNG") and len(content) > 5000 for content in pictures.values())
    assert style() == before


@pytest.mark.slow
def test_two_objectives_have_a_front() -> None:
    trials = [trial(number, objectives=2) for number in range(6)]
    pictures, reasons = draw(description("val/accuracy", "num_parameters"), trials)
    assert reasons == {}
    assert {"pareto", "history", "slice", "importance"} <= set(pictures)
    assert "intermediate" not in pictures


@pytest.mark.parametrize(("trials", "expected"), [([], set()), ([trial(0, "diverged")], set())])
def test_a_study_without_a_completed_trial_has_no_plots_and_says_why(trials: list[Trial], expected: set[str]) -> None:
    pictures, reasons = draw(description("val/accuracy"), trials)
    assert set(pictures) == expected
    assert reasons == {"all": "no trial completed"}


@pytest.mark.slow
def test_one_completed_trial_is_enough_for_the_plots_that_need_no_comparison() -> None:
    pictures, _ = draw(description("val/accuracy"), [trial(0)])
    assert {"history", "timeline", "intermediate"} <= set(pictures)
