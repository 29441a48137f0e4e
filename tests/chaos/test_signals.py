import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from suite.interrupts import REPEAT_SECONDS
from suite.runs.folder import RunFolder
from tests.chaos.campaign import CASES, DIGESTS, EXECUTION, ROUNDS, Undisturbed, digests, wait_until_training, words
from tests.chaos.zygote import Zygote
from tests.commands.front import Front

pytestmark = pytest.mark.chaos

WITHIN_SECONDS = 10.0


@pytest.mark.parametrize("case", list(CASES)[: max(1, ROUNDS // 4)])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_soon_with_its_state_saved(
    number: int, code: int, case: str, zygote: Zygote, front: Front, undisturbed: Undisturbed
) -> None:
    moment = random.Random(f"{case}{code}").uniform(0, 0.5 * undisturbed.seconds(case))
    for attempt in range(5):  # on a busy machine a signal may come after the last block
        child = zygote.start(*words(case, 30), "--root", front.root)
        assert wait_until_training(child, front.root) is not None
        time.sleep(moment / 2**attempt)
        child.signal(number)
        outcome = child.wait(WITHIN_SECONDS)
        if front.result()["status"] == "interrupted":
            break
        shutil.rmtree(front.only().path)
    assert front.result()["status"] == "interrupted"
    assert outcome.code == code, outcome.text
    assert "boltbench resume" in outcome.err
    assert "Traceback" not in outcome.text
    (run,) = front.mlflow_runs()
    assert (run.info.status, run.data.tags["status"]) == ("KILLED", "interrupted")
    assert zygote.run("resume", "--root", front.root).code == 0
    assert digests(front) == undisturbed.digests(case)
    (run,) = front.mlflow_runs()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "completed")


def test_a_signal_ends_a_plan_and_resume_finishes_it(zygote: Zygote, front: Front) -> None:
    settings = ("digits", "mlp", "--budget.epochs", 40, "--execution.device", "cpu", "--seeds", "0-3")
    child = zygote.start("run", *settings, "--root", front.root)
    assert wait_until_training(child, front.root) is not None
    child.signal(signal.SIGINT)
    assert child.wait(WITHIN_SECONDS).code == 130
    assert zygote.run("resume", "--root", front.root).code == 0
    assert [(folder.result() or {})["status"] for folder in front.folders()] == ["completed"] * 4


def test_a_second_signal_ends_the_process_at_once(zygote: Zygote, front: Front) -> None:
    # One block that lasts for the whole run: the first signal waits for its end, and the second one does not.
    settings = ("digits", "mlp", "--budget.steps", 400_000, "--execution.block_steps", 100_000)
    endless = (*settings, "--evaluation.every_steps", 100_000, "--execution.device", "cpu")
    child = zygote.start("run", *endless, "--root", front.root)
    deadline = time.monotonic() + 60
    while not list(front.root.glob("runs/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)
    child.signal(signal.SIGINT)
    time.sleep(0.1)
    child.signal(signal.SIGINT)  # an echo, as from make and its process group
    time.sleep(REPEAT_SECONDS + 0.5)
    assert child.is_alive(), "an echo of the first signal is no second one"
    child.signal(signal.SIGINT)
    assert child.wait(WITHIN_SECONDS).code == 130
    assert front.only().status() in ("planned", "lost", "interrupted")


def test_of_two_processes_one_makes_the_run_and_the_other_names_it(zygote: Zygote, front: Front) -> None:
    run = ("digits", "mlp", "--budget.epochs", 600, *EXECUTION)
    children = {child.pid: child for child in (zygote.start("run", *run, "--root", front.root) for _ in range(2))}
    owner = children.pop(wait_for_owner(front.root))
    owner.signal(signal.SIGSTOP)  # or it may be done, on a busy machine, before the other one has looked
    (other,) = children.values()
    try:
        refused = other.wait()
    finally:
        owner.signal(signal.SIGCONT)
    assert refused.code == 1, refused.text
    assert f"is being made by process {owner.pid} on " in refused.err
    assert owner.wait().code == 0
    assert set(front.result()["digests"]) == DIGESTS
    assert len(front.mlflow_runs()) == 1


def wait_for_owner(root: Path) -> int:
    """Return the process that holds the only run, once one does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in root.glob("runs/*"):
            if found := re.match(r"process (\d+) on ", RunFolder(path).owner() or ""):
                return int(found[1])
        time.sleep(0.002)
    raise AssertionError("no process held the run within a minute")


@pytest.mark.parametrize("num_processes", [3, *(pytest.param(8, marks=pytest.mark.slow),) * (1 + ROUNDS // 10)])
def test_processes_at_once_on_a_fresh_store_all_succeed(num_processes: int, zygote: Zygote, tmp_path: Path) -> None:
    front = Front(tmp_path / "fresh")
    settings = ("digits", "linear", "--budget.epochs", 1, "--execution.device", "cpu")
    children = [zygote.start("run", *settings, "--seeds", seed, "--root", front.root) for seed in range(num_processes)]
    outcomes = [child.wait() for child in children]
    assert [outcome.code for outcome in outcomes] == [0] * num_processes, outcomes
    assert all("could not be written" not in outcome.err for outcome in outcomes)
    assert len(front.mlflow_content()) == num_processes
    assert front("doctor").code == 0
