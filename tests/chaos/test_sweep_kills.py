"""Sweeps whose workers or whose own process are killed at random moments."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.sweeping import (
    IS_CAMPAIGN,
    SAMPLERS,
    Undisturbed,
    check_complete,
    children_of,
    descendants_of,
    digests,
    is_running,
    kill_workers,
    leaderboard,
    table,
    trials,
    wait_for_trials,
    wait_until,
    words,
)
from tests.chaos.zygote import Zygote
from tests.commands.front import Front, read_rows, snapshot

pytestmark = [pytest.mark.chaos, pytest.mark.slow]  # workers cost seconds of imports

NUM_TRIALS = 24 if IS_CAMPAIGN else 6
KILLS_PER_SWEEP = 20 if IS_CAMPAIGN else 3
PARENT_KILLS_PER_SWEEP = 4 if IS_CAMPAIGN else 1


@pytest.fixture(scope="session")
def calm(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Undisturbed]:
    """The sweeps that the disturbed ones must equal."""
    return Undisturbed(zygote, tmp_path_factory.mktemp("calm"), migrated_store)


def num_trials(sampler: str) -> int:
    return min(NUM_TRIALS, 12) if sampler == "grid" else NUM_TRIALS


def check_equal(front: Front, other: Front) -> None:
    """Check that two sweeps came to the same trials, the same bits and the same leaderboard."""
    assert table(front) == table(other)
    assert digests(front) == digests(other)
    assert leaderboard(front) == leaderboard(other)


@pytest.mark.parametrize("sampler", SAMPLERS if IS_CAMPAIGN else ["random"])
def test_a_sweep_whose_workers_are_killed_comes_to_what_it_would_have_come_to(
    sampler: str, zygote: Zygote, front: Front, calm: Undisturbed
) -> None:
    draw = random.Random(sampler)
    count = num_trials(sampler)
    child = zygote.start(*words(sampler, trials=count, workers=2), "--root", front.root)
    kills = len(list(kill_workers(child, draw, most=KILLS_PER_SWEEP, every=3.0)))
    outcome = child.wait(1800)
    assert outcome.code == 0, outcome.text
    assert kills > 0, "the sweep ended before the first kill"
    print(f"WORKER KILLS {kills}, lost attempts {sum(trial['attempts'] - 1 for trial in trials(front))} ({sampler})")  # noqa: T201
    check_complete(front, count)
    check_equal(front, calm.front(sampler, count))


@pytest.mark.parametrize("number", range(5 if IS_CAMPAIGN else 1))
def test_a_sweep_that_is_killed_leaves_no_process_and_resume_ends_it_as_if_nothing_had_been(
    number: int, zygote: Zygote, front: Front, calm: Undisturbed
) -> None:
    draw = random.Random(number)
    sampler = list(SAMPLERS)[number % len(SAMPLERS)]
    count = num_trials(sampler)
    order: tuple[object, ...] = words(sampler, trials=count, workers=2)
    kills, slowest = 0, 0.0
    for _ in range(PARENT_KILLS_PER_SWEEP):
        child = zygote.start(*order, "--root", front.root)
        if wait_for_trials(child, front, min(count, len(trials(front)) + draw.randrange(1, 4))):
            time.sleep(draw.uniform(0, 1.0))
        processes = descendants_of(child.pid)
        child.signal(signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: not any(map(is_running, processes)))  # noqa: B023  # used at once
        slowest = max(slowest, time.monotonic() - began)
        kills += child.wait().code == -signal.SIGKILL
        order = ("resume",)
    assert kills > 0, "the sweep ended before the first kill"
    print(f"PARENT KILLS {kills} ({sampler}), the last process was gone after {slowest:.2f} s")  # noqa: T201
    outcome = zygote.run("resume", "--root", front.root)
    assert outcome.code == 0, outcome.text
    check_complete(front, count)
    check_equal(front, calm.front(sampler, count))
    before = snapshot(front.root / "runs"), snapshot(front.root / "studies"), mlflow_rows(front)
    again = zygote.run("resume", "--root", front.root)
    assert again.code == 0, again.text
    assert (snapshot(front.root / "runs"), snapshot(front.root / "studies"), mlflow_rows(front)) == before


def mlflow_rows(front: Front) -> object:
    return read_rows(front.root / "mlflow" / "mlflow.db")


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_number_of_workers_changes_no_trial(
    sampler: str, workers: int, zygote: Zygote, front: Front, calm: Undisturbed
) -> None:
    count = num_trials(sampler)
    outcome = zygote.run(*words(sampler, trials=count, workers=workers), "--root", front.root)
    assert outcome.code == 0, outcome.text
    check_equal(front, calm.front(sampler, count))


def test_databases_that_are_deleted_come_back_from_the_folders_with_all_rows_equal(
    zygote: Zygote, tmp_path: Path, migrated_store: Path, calm: Undisturbed
) -> None:
    shutil.copytree(calm.front("random", num_trials("random")).root, tmp_path / "copy")
    front = Front(tmp_path / "copy")
    for path in (front.root / "studies").glob("optuna.db*"):
        path.unlink()
    shutil.rmtree(front.root / "mlflow")
    shutil.copytree(migrated_store, front.root / "mlflow")
    assert zygote.run("resume", "--root", front.root).code == 0
    check_complete(front, num_trials("random"))


def test_a_killed_process_that_starts_workers_is_replaced(zygote: Zygote, front: Front, calm: Undisturbed) -> None:
    count = num_trials("random")
    child = zygote.start(*words("random", trials=count, workers=2), "--root", front.root)
    assert wait_for_trials(child, front, 2)
    for nursery in children_of(child.pid):
        os.kill(nursery, signal.SIGKILL)
    assert child.wait(1800).code == 0
    check_equal(front, calm.front("random", count))
