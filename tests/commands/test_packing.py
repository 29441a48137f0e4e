import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from suite.commands.packing import PACKED_FROM_STEPS, _MirrorThread
from suite.interrupts import GRACE_SECONDS, STOP_SECONDS, Interrupts
from suite.runs.folder import RunFolder
from tests.chaos.zygote import Zygote
from tests.commands.front import Front, make_front, snapshot

PLAN = """\
runs:
  - tasks: [digits]
    families: [{{name: mlp, width: 12}}, {{name: mlp, width: 8}}]
    seeds: 0-1
    settings: {{budget: {{epochs: {epochs}}}, execution: {{device: cpu}}, regularization: {{dropout: 0.1}}}}
"""


def plan(folder: Path, epochs: int = 2) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(PLAN.format(epochs=epochs))
    return path


def digests(front: Front) -> dict[str, dict[str, str]]:
    return {folder.run_id: (folder.result() or {})["digests"] for folder in front.folders()}


def test_runs_side_by_side_have_the_bits_of_runs_made_in_turn(
    front: Front, tmp_path: Path, migrated_store: Path
) -> None:
    alone = make_front(tmp_path / "alone", migrated_store)
    assert alone("run", "--plan", plan(tmp_path), "--workers", 1, "--execution.threads", 1).code == 0
    outcome = front("run", "--plan", plan(tmp_path), "--workers", 2)
    assert outcome.code == 0, outcome.text
    assert len(digests(front)) == 4
    assert digests(front) == digests(alone)
    assert sorted(run.data.tags["run_id"] for run in front.mlflow_runs()) == sorted(digests(front))
    assert "[4/4]" in outcome.out
    assert "test accuracy" in outcome.out
    before = snapshot(front.root / "runs")
    again = front("run", "--plan", plan(tmp_path), "--workers", 2)
    assert again.code == 0
    assert again.out.count("was done already") == 4
    assert snapshot(front.root / "runs") == before
    forced = front("run", "--plan", plan(tmp_path), "--workers", 2, "--force")
    assert forced.code == 0
    assert "was done already" not in forced.out
    assert digests(front) == digests(alone)


def test_a_run_that_diverges_beside_others_is_shown_and_ends_with_code_1(front: Front, tmp_path: Path) -> None:
    flags = ("--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    outcome = front("run", "--plan", plan(tmp_path), "--workers", 2, *flags)
    assert outcome.code == 1
    assert "diverged" in outcome.out
    assert "Traceback" not in outcome.text


def test_a_worker_that_has_other_code_ends_the_plan_and_leaves_its_runs_to_be_made(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before_an_edit:
        before_an_edit.setattr("suite.commands.packing.pinned_sha256", lambda _plugins: "0" * 64)
        outcome = front("run", "--plan", plan(tmp_path), "--workers", 2)
    assert outcome.code == 1
    assert outcome.err.count("other code than those before it") == 1
    assert "Traceback" not in outcome.text
    assert {folder.status() for folder in front.folders()} == {"planned"}
    assert front("run", "--plan", plan(tmp_path), "--workers", 2).code == 0
    assert [folder.status() for folder in front.folders()] == ["completed"] * 4


@pytest.mark.parametrize("workers", ["0", "-1", "many", "1.5"])
def test_workers_that_are_no_number_are_refused_before_anything_is_made(workers: str, tmp_path: Path) -> None:
    front = Front(tmp_path / "root")
    outcome = front("run", "--plan", plan(tmp_path), f"--workers={workers}")
    assert outcome.code == 2
    assert workers in outcome.err
    assert not front.root.exists()


def test_short_plans_are_made_in_turn_unless_workers_are_asked_for(front: Front, tmp_path: Path) -> None:
    assert PACKED_FROM_STEPS > 4 * 2 * 20
    assert front("run", "--plan", plan(tmp_path)).code == 0
    assert not (front.root / "runs" / ".workers").exists()


@pytest.mark.chaos
def test_a_signal_ends_runs_side_by_side_and_resume_finishes_them(
    front: Front, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, migrated_store: Path
) -> None:
    alone = make_front(tmp_path / "alone", migrated_store)
    order = ("run", "--plan", plan(tmp_path, epochs=60), "--execution.threads", 1)
    with Zygote(tmp_path_factory.mktemp("zygote")) as zygote:
        child = zygote.start(*order, "--workers", 2, "--root", front.root)
        while not list(front.root.glob("runs/*/metrics.jsonl")):
            assert child.is_alive()
        child.signal(signal.SIGINT)
        outcome = child.wait()
        assert outcome.code == 130, outcome.text
        assert "boltbench resume" in outcome.err
        assert {folder.status() for folder in front.folders()} & {"planned", "interrupted"}
        assert zygote.run("resume", "--root", front.root).code == 0
        assert zygote.run(*order, "--workers", 1, "--root", alone.root).code == 0
    assert digests(front) == digests(alone)


def test_a_stop_has_one_budget_of_time_for_workers_and_indices_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("suite.interrupts.time.monotonic", lambda: now)
    with Interrupts() as interrupts:
        assert interrupts.seconds_left() is None
        signal.raise_signal(signal.SIGINT)
        assert interrupts.seconds_left() == STOP_SECONDS
        now += GRACE_SECONDS
        assert interrupts.seconds_left() == pytest.approx(STOP_SECONDS - GRACE_SECONDS)
        now += 60.0
        assert interrupts.seconds_left() == 0.0


class Stuck:
    """An MLflow that does not answer before it is let go."""

    def __init__(self) -> None:
        self.can_go_on = threading.Event()

    def sync(self, _folder: RunFolder) -> None:
        self.can_go_on.wait()


@pytest.mark.parametrize("comes_first", [True, False])
def test_after_a_signal_a_plan_waits_for_mlflow_no_longer_than_it_may(
    comes_first: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suite.interrupts.STOP_SECONDS", 0.2)
    stuck: Any = Stuck()
    with Interrupts() as interrupts:
        if comes_first:
            signal.raise_signal(signal.SIGINT)
        else:  # while the plan, all of whose runs are done, waits for as long as it takes
            main = threading.main_thread().ident
            assert main is not None
            threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
        with _MirrorThread(stuck, interrupts) as mirror:
            mirror.add(RunFolder(tmp_path / "run"))
    assert "MLflow does not have every run yet" in capsys.readouterr().err
    stuck.can_go_on.set()


def test_without_a_signal_a_plan_waits_until_mlflow_has_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suite.interrupts.STOP_SECONDS", 0.0)
    stuck: Any = Stuck()
    threading.Timer(0.5, stuck.can_go_on.set).start()
    with Interrupts() as interrupts, _MirrorThread(stuck, interrupts) as mirror:
        mirror.add(RunFolder(tmp_path / "run"))
    assert stuck.can_go_on.is_set()
    assert capsys.readouterr().err == ""
