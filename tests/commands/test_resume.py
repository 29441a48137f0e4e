import shutil

import pytest

from suite.runs.folder import RunFolder, Store
from suite.runs.mirror import Mirror, default_tracking_uri
from tests.commands.front import QUICK, Front, read_json, snapshot
from tests.commands.interrupting import WORDS, interrupt


def digests(folder: RunFolder) -> dict[str, str]:
    result = folder.result()
    assert result is not None
    assert result["status"] == "completed"
    found: dict[str, str] = result["digests"]
    assert set(found) == {"weights", "metrics", "predictions"}
    return found


@pytest.fixture
def uninterrupted(front: Front) -> dict[str, str]:
    """The digests of the run that was never stopped; its folder is gone again."""
    assert front("run", *WORDS, "--execution.device", "cpu").code == 0
    folder = front.only()
    found = digests(folder)
    shutil.rmtree(folder.path)
    return found


@pytest.mark.parametrize("edges", [1, 3, 5, 8])
def test_a_resumed_run_equals_one_that_was_never_stopped(
    front: Front, uninterrupted: dict[str, str], edges: int
) -> None:
    folder = interrupt(front, edges=edges)
    outcome = front("resume")
    assert outcome.code == 0
    assert "gone on with: 1." in outcome.out
    assert digests(folder) == uninterrupted


def test_a_run_that_is_named_goes_on_alone(front: Front) -> None:
    first = interrupt(front)
    other = RunFolder(shutil.copytree(first.path, first.path.with_name(f"{first.run_id}-not-asked-for")))
    outcome = front("resume", first.run_id)
    assert outcome.code == 0, outcome.text
    assert "gone on with: 1." in outcome.out
    assert (first.status(), other.status()) == ("completed", "interrupted")
    assert front("resume", "no-such-run").code == 2


def test_run_goes_on_with_what_was_cut_off(front: Front, uninterrupted: dict[str, str]) -> None:
    folder = interrupt(front)
    assert front("run", *WORDS, "--execution.device", "cpu").code == 0
    assert digests(folder) == uninterrupted


def test_force_starts_an_interrupted_run_from_its_first_step(front: Front, uninterrupted: dict[str, str]) -> None:
    folder = interrupt(front)
    assert front("run", *WORDS, "--execution.device", "cpu", "--force").code == 0
    assert digests(folder) == uninterrupted


def test_a_run_that_died_without_a_word_is_lost_and_goes_on(front: Front, uninterrupted: dict[str, str]) -> None:
    folder = interrupt(front)
    (folder.path / "result.json").unlink()
    with (folder.path / "metrics.jsonl").open("ab") as log:
        log.write(b'{"step": 9999, "epoch": 1.0, "train/lo')  # the line that the process was writing
    assert "lost" in front("list", "runs").out
    assert front("resume").code == 0
    assert digests(folder) == uninterrupted


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(front: Front, uninterrupted: dict[str, str]) -> None:
    folder = interrupt(front)
    newest = max((folder.path / "checkpoints").glob("*.ckpt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert front("resume").code == 0
    assert digests(folder) == uninterrupted


def test_a_run_whose_checkpoints_are_all_damaged_starts_anew(front: Front, uninterrupted: dict[str, str]) -> None:
    folder = interrupt(front)
    for path in (folder.path / "checkpoints").glob("*.ckpt"):
        path.write_bytes(b"")
    assert front("resume").code == 0
    assert digests(folder) == uninterrupted


def test_the_cost_spans_all_attempts_and_checkpoints_are_gone_at_the_end(front: Front) -> None:
    folder = interrupt(front)
    before = (folder.result() or {})["cost"]["seconds"]
    front("resume")
    result = folder.result() or {}
    assert result["cost"]["steps"] == 80
    assert result["cost"]["seconds"] >= before
    assert [path.name for path in (folder.path / "checkpoints").iterdir()] == ["selected.safetensors"]


def test_an_interrupted_run_is_killed_in_mlflow_until_it_is_gone_on_with(front: Front) -> None:
    folder = interrupt(front)
    store = Store(front.root)
    Mirror(store, default_tracking_uri(store)).sync(folder)
    (run,) = front.mlflow_runs()
    assert (run.info.status, run.data.tags["status"]) == ("KILLED", "interrupted")
    front("resume")
    (run,) = front.mlflow_runs()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "completed")


def test_resume_twice_changes_nothing(front: Front) -> None:
    interrupt(front)
    interrupt(front, seed=1)
    assert front("run", "digits", "linear", *QUICK).code == 0
    assert front("resume").code == 0
    files, rows = snapshot(front.root), front.mlflow_rows()
    outcome = front("resume")
    assert outcome.code == 0
    assert "gone on with: 0. Runs brought up to date in MLflow: 0." in outcome.out
    assert snapshot(front.root) == files
    assert front.mlflow_rows() == rows


def test_a_run_of_other_code_is_named_and_left_alone(front: Front) -> None:
    folder = interrupt(front)
    other = folder.path.with_name("digits-mlp-s0-0123456789")
    folder.path.rename(other)
    outcome = front("resume")
    assert outcome.code == 1
    assert "digits-mlp-s0-0123456789  cannot go on" in outcome.err
    assert folder.run_id in outcome.err
    assert (RunFolder(other).result() or {})["status"] == "interrupted"


def test_resume_without_runs_says_where_it_looked(front: Front) -> None:
    outcome = front("resume")
    assert outcome.code == 2
    assert str(front.root / "runs") in outcome.err


def test_a_damaged_spec_is_named_and_the_other_runs_go_on(front: Front) -> None:
    broken, sound = interrupt(front), interrupt(front, seed=1)
    (broken.path / "spec.yaml").write_text("task: [")
    outcome = front("resume")
    assert outcome.code == 1
    assert broken.run_id in outcome.err
    assert "Traceback" not in outcome.text
    assert (sound.result() or {})["status"] == "completed"


def test_the_start_of_the_first_attempt_is_kept(front: Front) -> None:
    folder = interrupt(front)
    started = read_json(folder.path / "environment.json")["started_at"]
    front("resume")
    assert (folder.result() or {})["started_at"] == started
