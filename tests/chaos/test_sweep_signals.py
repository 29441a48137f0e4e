"""Sweeps that are interrupted, started at once, or that diverge."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.chaos.sweeping import (
    IS_CAMPAIGN,
    ROUNDS,
    SHORT,
    descendants_of,
    is_running,
    mlflow_kinds,
    table,
    trials,
    wait_for_trials,
    wait_until,
    words,
)
from tests.chaos.zygote import Zygote
from tests.commands.front import Front, read_json

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

WITHIN_SECONDS = 10.0
NUM_TRIALS = 12
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", range(40 if IS_CAMPAIGN else 2))
def test_a_signal_ends_a_sweep_soon_and_it_goes_on_later(number: int, zygote: Zygote, front: Front) -> None:
    draw = random.Random(number)
    which = list(SIGNALS)[number % 2]
    workers = 2 if IS_CAMPAIGN or number == 0 else "inline"
    child = zygote.start(*words("random", trials=NUM_TRIALS, workers=workers), "--root", front.root)
    if wait_for_trials(child, front, draw.randrange(1, 5)):
        time.sleep(draw.uniform(0, 0.5))
    processes = descendants_of(child.pid)
    began = time.monotonic()
    os.killpg(child.pid, which)  # as a terminal does
    outcome = child.wait(WITHIN_SECONDS * 6)
    took = time.monotonic() - began
    assert outcome.code in (SIGNALS[which], 0), outcome.text
    assert "Traceback" not in outcome.text
    if outcome.code == 0:
        pytest.skip("on this machine the sweep was over before the signal")
    print(f"SIGNAL {which.name} after {len(trials(front))} trials: ended after {took:.2f} s")  # noqa: T201
    wait_until(lambda: not any(map(is_running, processes)))
    assert "goes on where it was" in outcome.err
    assert {trial["status"] for trial in trials(front)} <= {"completed", "interrupted", "running"}
    if number < 4:
        resumed = zygote.run("resume", "--root", front.root)
        assert resumed.code == 0, resumed.text
        assert [row[:2] for row in table(front)] == [(index, "completed") for index in range(NUM_TRIALS)]


@pytest.mark.parametrize("_round", range(max(1, ROUNDS // 3)))
def test_of_two_starts_of_one_sweep_one_runs_and_the_other_names_it(_round: int, zygote: Zygote, front: Front) -> None:
    order = (*words("random", trials=2, workers="inline"), "--root", front.root)
    first, second = zygote.start(*order), zygote.start(*order)
    outcomes = {first.pid: first.wait(600), second.pid: second.wait(600)}
    codes = sorted(outcome.code for outcome in outcomes.values())
    assert codes in ([0, 2], [0, 0]), outcomes
    if codes == [0, 2]:
        owner = next(pid for pid, outcome in outcomes.items() if outcome.code == 0)
        loser = next(outcome for outcome in outcomes.values() if outcome.code == 2)
        assert f"process {owner} on " in loser.err
    else:  # the second came when the first was done
        assert any("was done already" in outcome.out for outcome in outcomes.values()), outcomes
    assert [row[:2] for row in table(front)] == [(index, "completed") for index in range(2)]


def test_trials_that_diverge_are_told_as_such_and_none_of_them_wins(zygote: Zygote, front: Front) -> None:
    """Most learning rates are far beyond what float32 can bear; the losses become NaN or infinite."""
    count = 80 if IS_CAMPAIGN else 6
    rates = "1e-3,1e8,1e15,1e25,1e37"
    space = ("--preset", "none", "--space.optimization.lr", rates, "--optimization.optimizer", "sgd")
    order = ("sweep", "digits", "mlp", *SHORT, *space, "--sampler", "random", "--trials", count, "--study", "study")
    outcome = zygote.run(*order, "--workers", "inline", "--no-plots", "--final-seeds", 1, "--root", front.root)
    assert outcome.code in (0, 1), outcome.text
    statuses = {trial["number"]: trial["status"] for trial in trials(front)}
    healthy = {trial["number"] for trial in trials(front) if trial["params"]["optimization.lr"] == 1e-3}
    print(f"DIVERGED {len(statuses) - len(healthy)} of {len(statuses)}")  # noqa: T201
    assert {number for number, status in statuses.items() if status == "completed"} == healthy
    assert {status for number, status in statuses.items() if number not in healthy} == {"diverged"}
    winner = read_json(front.root / "studies" / "study" / "result.json")["winner"]
    assert winner is None if not healthy else winner["number"] in healthy


@pytest.mark.parametrize("_round", range(max(1, ROUNDS // 3)))
def test_eight_sweeps_that_start_on_fresh_stores_all_succeed(_round: int, zygote: Zygote, tmp_path: Path) -> None:
    front = Front(tmp_path / "fresh")
    order = (
        "sweep",
        "digits",
        "linear",
        *SHORT,
        "--workers",
        "inline",
        "--sampler",
        "random",
        "--trials",
        1,
        "--no-plots",
    )
    children = [
        zygote.start(*order, "--final-seeds", 0, "--study", f"study-{index}", "--root", front.root)
        for index in range(8)
    ]
    outcomes = [child.wait(600) for child in children]
    assert [outcome.code for outcome in outcomes] == [0] * 8, outcomes
    assert all("could not be written" not in outcome.err for outcome in outcomes)
    kinds = mlflow_kinds(front)
    assert (kinds.count("study"), kinds.count("trial")) == (8, 8)
