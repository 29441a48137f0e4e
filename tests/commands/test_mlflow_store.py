import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from results.errors import RecordError
from results.tracking import files_in_store
from tests.commands.front import COMMAND, QUICK, Front, environment, read_rows, snapshot

SECRET = "hunter2-s3cret"
NOBODY = "127.0.0.1:9"
"""The discard port of this machine, where nothing listens: refused at once."""


def holds_secret(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_store_that_was_deleted_comes_back_equal_from_the_folders(front: Front, tmp_path: Path) -> None:
    front("run", "digits", "mlp", *QUICK, "--seeds", "0-1")
    front("run", "digits", "linear", *QUICK)
    front("run", "digits", "mlp", *QUICK, "--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    before = front.mlflow_content()
    assert len(before) == 4
    # A copy, since MLflow keeps the connections to a deleted database open inside one process.
    other = Front(tmp_path / "other")
    shutil.copytree(front.root / "runs", other.root / "runs")
    outcome = other("resume")
    assert outcome.code == 0
    assert "brought up to date in MLflow: 4." in outcome.out
    assert other.mlflow_content() == before
    assert other("doctor").code == 0


def test_half_of_a_copy_that_a_kill_left_is_made_whole(done: Front) -> None:
    from suite.runs.folder import Store
    from suite.runs.mirror import DIGEST_TAG, Mirror, default_tracking_uri

    whole = done.mlflow_content()
    (run,) = done.mlflow_runs()
    store = Store(done.root)
    Mirror(store, default_tracking_uri(store)).client().delete_tag(run.info.run_id, DIGEST_TAG)
    assert "brought up to date in MLflow: 1." in done("resume").out
    assert done.mlflow_content() == whole


def test_a_damaged_run_is_named_and_the_others_are_mirrored(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK, "--seeds", "0-2", "--tracking-uri", f"http://{NOBODY}")
    broken, *sound = front.folders()
    (broken.path / "metrics.jsonl").write_text("{\n")
    outcome = front("resume")
    assert f"{broken.run_id} is not mirrored: metrics.jsonl must match" in outcome.err
    assert "Traceback" not in outcome.text
    assert sorted(front.mlflow_content()) == sorted(folder.run_id for folder in sound)


def test_a_server_that_is_away_costs_no_run_and_is_caught_up_with(front: Front) -> None:
    outcome = front("run", "digits", "mlp", *QUICK, "--tracking-uri", f"http://{NOBODY}")
    assert outcome.code == 0
    assert front.result()["status"] == "completed"
    assert "MLflow could not be written" in outcome.err
    assert "boltbench resume" in outcome.err
    assert "Traceback" not in outcome.text
    assert front.mlflow_runs() == []
    assert "brought up to date in MLflow: 1." in front("resume").out
    assert len(front.mlflow_runs()) == 1


def test_the_environment_names_the_store_too(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    shutil.copy(front.root / "mlflow" / "mlflow.db", elsewhere)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    assert front("run", "digits", "mlp", *QUICK).code == 0
    assert len(read_rows(elsewhere)["runs"]) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert front.mlflow_runs() == []


@pytest.mark.parametrize(
    "uri",
    [
        f"http://user:{SECRET}@{NOBODY}",
        f"postgresql://user:{SECRET}@{NOBODY}/runs",
        f"nonsense://user:{SECRET}@{NOBODY}",
        f"http://user:{SECRET}@[broken",
    ],
)
def test_a_password_in_a_tracking_uri_is_seen_nowhere(front: Front, uri: str) -> None:
    outcome = front("run", "digits", "mlp", *QUICK, "--tracking-uri", uri)
    assert outcome.code == 0
    assert front.result()["status"] == "completed"
    assert "MLflow could not be written" in outcome.err
    assert "Traceback" not in outcome.text
    assert SECRET not in outcome.text
    again = front("resume", "--tracking-uri", uri)
    assert SECRET not in again.text
    assert front("resume").code == 0
    assert len(front.mlflow_runs()) == 1
    assert holds_secret(front.root) == []


def test_a_database_that_takes_connections_and_never_answers_is_not_waited_for(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    front("run", "digits", "linear", *QUICK)
    monkeypatch.setattr("results.tracking.CONNECT_SECONDS", 2)  # the least that the driver takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}/runs"
        outcome = front("resume", "--tracking-uri", f"postgresql://user:{SECRET}@{place}")
        with pytest.raises(RecordError, match=f"^The MLflow store at postgresql://{place} could not be read") as raised:
            files_in_store(f"postgresql://user:{SECRET}@{place}")
    assert "MLflow could not be written" in outcome.err
    assert SECRET not in outcome.text + str(raised.value)


def test_a_password_in_the_environment_reaches_no_output_of_a_whole_process(front: Front) -> None:
    before = snapshot(front.root)
    done = subprocess.run(
        [*COMMAND, "run", "--root", str(front.root), "digits", "mlp", *QUICK],
        env=environment(MLFLOW_TRACKING_URI=f"http://user:{SECRET}@{NOBODY}"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert "MLflow could not be written" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert holds_secret(front.root) == []
    assert set(before) < set(snapshot(front.root))
