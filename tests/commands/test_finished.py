"""What is known to be done is told at once, and nothing is taken to be done that may have changed."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from suite import receipts
from tests.commands.front import QUICK, Front, make_front, snapshot

SWEEP = ("sweep", "digits", "linear", "--budget.steps", "4", "--workers", "inline", "--no-plots")
SWEEP += ("--sampler", "random", "--final-seeds", "1", "--trials")
NAME = "digits-linear-regularization-random"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Front:
    front = make_front(tmp_path_factory.mktemp("swept") / "root", migrated_store)
    outcome = front(*SWEEP, "2")
    assert outcome.code == 0, outcome.text
    return front


@pytest.fixture
def copy(swept: Front, tmp_path: Path) -> Front:
    """A copy of the finished sweep, which its command has been given for once."""
    front = Front(Path(shutil.copytree(swept.root, tmp_path / "copy")))
    for database in front.root.glob("*/*.db"):  # this process holds the originals open, with their logs
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert "was done already" in front(*SWEEP, "2").out
    return front


@pytest.fixture
def slow_ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each time that a command goes the long way."""
    import suite.commands.sweep
    import suite.search.resuming

    gone: list[str] = []
    build, unfinished = suite.commands.sweep._sweeps, suite.search.resuming.unfinished
    monkeypatch.setattr("suite.commands.sweep._sweeps", lambda *args: gone.append("sweep") or build(*args))
    monkeypatch.setattr("suite.search.resuming.unfinished", lambda *args: gone.append("resume") or unfinished(*args))
    return gone


def test_a_finished_sweep_is_told_the_second_time_without_being_built(copy: Front, slow_ways: list[str]) -> None:
    before = snapshot(copy.root)
    outcome = copy(*SWEEP, "2")
    assert (outcome.code, slow_ways) == (0, [])
    assert outcome.out.startswith(f"{NAME}  was done already\n")
    assert "winner by the rule" in outcome.out
    assert snapshot(copy.root) == before


def test_the_short_way_imports_nothing_slow() -> None:
    modules = "suite.cli, suite.commands.sweep, suite.commands.resume, suite.commands.finished"
    code = f"import sys, {modules}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "lightning", "mlflow", "optuna", "pandas", "sqlalchemy"} & set(found.stdout.split())


def test_a_trial_that_is_to_go_on_is_refused_with_its_study_named(copy: Front) -> None:
    trial = next(path.name for path in (copy.root / "runs").iterdir() if path.is_dir())
    before = snapshot(copy.root)
    outcome = copy("resume", trial)
    assert outcome.code == 2
    assert f"{trial!r} is a part of the study {NAME!r}" in outcome.err
    assert snapshot(copy.root) == before


def test_a_study_that_cannot_go_on_is_no_matter_of_another_that_is_named(copy: Front) -> None:
    broken = Path(shutil.copytree(copy.root / "studies" / NAME, copy.root / "studies" / "broken"))
    (broken / "study.yaml").write_text("{")
    assert copy("resume", NAME).code == 0
    for words in (("resume", "broken"), ("resume",)):
        outcome = copy(*words)
        assert outcome.code == 1
        assert outcome.err.count("broken  cannot go on") == 1


def test_other_arguments_go_the_long_way(copy: Front, slow_ways: list[str]) -> None:
    assert copy(*SWEEP, "3").code == 0
    assert slow_ways == ["sweep"]
    assert copy(*SWEEP, "2").code == 2, "its trials may only grow"


@pytest.mark.parametrize("file", ["study.yaml", "result.json"])
def test_a_study_that_was_changed_since_goes_the_long_way(copy: Front, slow_ways: list[str], file: str) -> None:
    path = copy.root / "studies" / NAME / file
    if file == "study.yaml":
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"code_sha256": "0" * 64}))
    else:
        path.write_text("{")
    assert copy(*SWEEP, "2").code == 2
    assert slow_ways == ["sweep"]


def test_what_a_receipt_rests_on_changes_with_code_files_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("a: 1")
    known = {receipts.ground({}), receipts.ground({"seed": 1}), receipts.ground({}, [file])}
    file.write_text("a: 2")
    known.add(receipts.ground({}, [file]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    known.add(receipts.ground({}))
    (tmp_path / "suite").mkdir()
    monkeypatch.setattr(receipts, "__file__", str(tmp_path / "suite" / "receipts.py"))
    known.add(receipts.ground({}))
    assert len(known) == 6
    assert None not in known
    assert receipts.ground({}, [tmp_path / "gone"]) is None


def test_code_that_others_register_is_never_vouched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        receipts, "entry_points", lambda: SimpleNamespace(groups={"console_scripts", "boltbench.tasks"})
    )
    assert receipts.ground({}) is None


def test_an_idle_resume_looks_at_files_alone_once_it_has_found_nothing_to_do(copy: Front, slow_ways: list[str]) -> None:
    outcomes = [copy("resume") for _ in range(3)]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0]
    assert slow_ways.count("resume") < 3
    assert outcomes[-1].out == outcomes[-2].out == "Runs gone on with: 0. Runs brought up to date in MLflow: 0.\n"


def _lose_a_result(root: Path) -> None:
    (next((root / "runs").iterdir()) / "result.json").unlink()


def _touch_mlflow(root: Path) -> None:
    os.utime(root / "mlflow" / "mlflow.db", (time.time() + 5,) * 2)


def _trial(root: Path) -> Path:
    return root / "studies" / NAME / "trials" / "00001.json"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_lose_a_result, id="run"),
        pytest.param(_touch_mlflow, id="mlflow", marks=pytest.mark.slow),
        pytest.param(lambda root: (root / "studies" / "optuna.db").unlink(), id="optuna", marks=pytest.mark.slow),
        pytest.param(lambda root: _trial(root).touch(), id="trial"),
        pytest.param(
            lambda root: (root / "studies" / NAME / "result.json").unlink(), id="study", marks=pytest.mark.slow
        ),
        pytest.param(lambda root: (root / "mlflow" / "mlflow.db").unlink(), id="no mlflow", marks=pytest.mark.slow),
    ],
)
def test_whatever_changes_under_a_root_is_looked_at(copy: Front, slow_ways: list[str], change: object) -> None:
    for _ in range(2):
        copy("resume")
    slow_ways.clear()
    copy("resume")
    assert slow_ways == []
    change(copy.root)  # type: ignore[operator]  # a function of the list above
    copy("resume")
    assert slow_ways == ["resume"]


def test_a_root_that_mirrors_elsewhere_is_always_looked_at(copy: Front, slow_ways: list[str], tmp_path: Path) -> None:
    shutil.copytree(copy.root / "mlflow", tmp_path / "elsewhere")
    for _ in range(3):
        assert copy("resume", "--tracking-uri", f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}").code == 0
    assert slow_ways == ["resume"] * 3


def test_a_run_that_is_being_made_keeps_a_root_from_being_idle(front: Front, slow_ways: list[str]) -> None:
    assert front("run", "digits", "linear", *QUICK).code == 0
    with front.only().hold():
        for _ in range(3):
            assert front("resume").code == 0
    assert slow_ways == ["resume"] * 3
