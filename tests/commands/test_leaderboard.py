"""`boltbench leaderboard` through the front door: every format, every place that runs come from, and bad input."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from results.export import SUFFIXES
from results.records import load_records
from results.seal import SEAL
from suite.runs.folder import Store
from suite.runs.mirror import Mirror, default_tracking_uri
from tests.commands.front import QUICK, Front, make_front, read_json, snapshot, write_result

FORMATS = ",".join(SUFFIXES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Front:
    """Return a root with two families on two tasks and two seeds, one run diverged, one replayed, one family tuned."""
    front = make_front(tmp_path_factory.mktemp("made") / "root", migrated_store)
    for task in ("digits", "mnist1d"):
        for family in ("mlp", "linear"):
            assert front("run", task, family, *QUICK, "--seeds", "0-1", "--data.train_fraction", "0.1").code == 0
    front("run", "digits", "mlp", *QUICK, "--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    first = front.folders()[0]
    assert front("replay", first.run_id).code == 0
    bill = {"schema": 1, "study": "s", "role": "winner", "num_trials": 8, "seconds": 60.0, "device_seconds": 90.0}
    for folder in front.folders():
        if "-linear-" in folder.run_id:
            (folder.path / "tuning.json").write_text(json.dumps(bill))
    assert front("resume").code == 0
    return front


@pytest.fixture
def copied(made: Front, tmp_path: Path) -> Front:
    """Return a copy of the runs, to be damaged."""
    shutil.copytree(made.root / "runs", tmp_path / "copied" / "runs")
    return Front(tmp_path / "copied")


def uri_of(front: Front) -> str:
    return default_tracking_uri(Store(front.root))


def seal_again(folder: Path, **changes: Any) -> None:
    write_result(folder, read_json(folder / "result.json") | changes)


def test_every_format_is_the_same_bytes_from_folders_and_from_mlflow(made: Front, tmp_path: Path) -> None:
    for name, source in (("folders", made.root), ("store", uri_of(made))):
        outcome = made("leaderboard", "--from", source, "--format", FORMATS, "--output", tmp_path / name)
        assert outcome.code == 0, outcome.err
    folders, store = snapshot(tmp_path / "folders"), snapshot(tmp_path / "store")
    assert folders == store
    assert set(folders) == {f"{task}.{suffix}" for task in ("digits", "mnist1d") for suffix in SUFFIXES.values()}


def test_records_are_equal_from_folders_and_from_mlflow(made: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, store = load_records(made.root), load_records(uri_of(made))
    assert_frame_equal(store, folders, check_exact=True)
    assert set(folders["determinism"]) == {"verified", "deterministic"}
    assert set(folders["tuning_trials"].dropna()) == {8}
    monkeypatch.setattr("results.tracking._database", lambda _uri: None)
    assert_frame_equal(load_records(uri_of(made)), folders, check_exact=True)


def test_a_record_too_long_for_one_tag_comes_back_whole(copied: Front, migrated_store: Path) -> None:
    shutil.copytree(migrated_store, copied.root / "mlflow")
    first, *others = copied.folders()
    for folder in others:
        shutil.rmtree(folder.path)
    seal_again(first.path, message="ä" * 9000)
    assert copied("resume").code == 0
    assert_frame_equal(load_records(uri_of(copied)), load_records(copied.root), check_exact=True)


def test_a_replay_after_the_mirror_is_brought_over(copied: Front, migrated_store: Path) -> None:
    shutil.copytree(migrated_store, copied.root / "mlflow")
    assert copied("resume").code == 0
    for folder in copied.folders():
        (folder.path / "replay.json").unlink(missing_ok=True)
    assert "brought up to date in MLflow: 1." in copied("resume").out
    records = load_records(uri_of(copied))
    assert set(records["determinism"]) == {"deterministic"}
    assert_frame_equal(records, load_records(copied.root))


@pytest.mark.parametrize("view", ["aggregate", "ranks", "tuning"])
def test_every_view_has_every_format(made: Front, tmp_path: Path, view: str) -> None:
    outcome = made("leaderboard", "--view", view, "--format", FORMATS, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert set(snapshot(tmp_path / "out")) == {f"{view}.{suffix}" for suffix in SUFFIXES.values()}
    assert made("leaderboard", "--view", view).code == 0


def test_one_table_goes_to_one_file_in_the_format_of_its_suffix(made: Front, tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.tex"
    assert made("leaderboard", "--task", "digits", "--output", path).code == 0
    assert r"\toprule" in path.read_text()


def test_columns_are_chosen(made: Front) -> None:
    outcome = made("leaderboard", "--task", "mnist1d", "--columns", "family,flops", "--format", "markdown")
    assert outcome.out.splitlines()[0] == "| family | flops/example |"
    assert "| mlp | " in outcome.out


def test_a_table_fits_a_terminal_of_a_hundred_columns(made: Front) -> None:
    from rich.console import Console

    from results.leaderboard import leaderboard
    from results.terminal import render

    console = Console(width=100, record=True, file=None)
    with console.capture() as captured:
        console.print(render(leaderboard(load_records(made.root), "digits")))
    assert max(map(len, captured.get().splitlines())) <= 100


def test_two_places_are_merged_and_the_command_says_what_it_did(made: Front, copied: Front, tmp_path: Path) -> None:
    shutil.rmtree(copied.folders()[3].path)
    outcome = made("leaderboard", "--from", copied.root, "--from", uri_of(made), "--output", tmp_path / "merged")
    assert outcome.code == 0
    assert "9 runs from 2 places: 8 in" in outcome.err
    assert "8 runs had 16 records in all (all equal); the last valid one of each counts." in outcome.err
    made("leaderboard", "--output", tmp_path / "one")
    assert snapshot(tmp_path / "merged") == snapshot(tmp_path / "one")


def test_tables_and_pictures_are_logged_once(made: Front, tmp_path: Path, migrated_store: Path) -> None:
    root = tmp_path / "logged"
    shutil.copytree(made.root / "runs", root / "runs")
    shutil.copytree(migrated_store, root / "mlflow")
    front = Front(root)
    assert "Logged 16 files" in front("leaderboard", "--log").out
    assert "already" in front("leaderboard", "--log").out
    assert "Logged 7 files" in front("leaderboard", "--log", "--view", "ranks").out
    client = Mirror(Store(root), uri_of(front)).client()
    experiment = client.get_experiment_by_name("leaderboards")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    paths = {
        item.path
        for run in runs
        for place in ("tables", "pictures")
        for item in client.list_artifacts(run.info.run_id, place)
    }
    assert {
        "tables/digits.tex",
        "tables/ranks.parquet",
        "pictures/ranks-ranks.png",
        "pictures/mnist1d-seconds.png",
    } <= paths
    assert "Logged" not in front("doctor").out
    assert load_records(uri_of(front)).empty


def refused(outcome: Any, *parts: str) -> None:
    assert outcome.code == 2, outcome.text
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--format", "markdwn"], ["markdown", "Did you mean 'markdown'"]),
        (["--format", "parquet"], ["parquet is for files", "--output"]),
        (["--view", "task"], ["--view must be among tasks, aggregate"]),
        (["--columns", "family,pramaters"], ["no column 'pramaters'", "Did you mean 'parameters'"]),
        (["--task", "digit"], ["'digit'", "Did you mean 'digits'", "digits, mnist1d"]),
        (["--view", "aggregate", "--task", "digit"], ["'digit'", "Did you mean 'digits'"]),
        (["--from", "/nowhere"], ["/nowhere", "is none"]),
        (["--from", "sqlite:////nowhere/mlflow.db"], ["there is no /nowhere/mlflow.db"]),
        (["--from", "http://me:hunter2@127.0.0.1:9"], ["http://127.0.0.1:9", "could not be read"]),
        (["--view", "budget"], ["boltbench sweep", "no search here"]),
        (["--output", "one.csv"], ["one file, but there are 2 tables"]),
        (["--output", "one.csv", "--format", "csv,json"], ["one file, but there are 2 formats"]),
        (["--output", "/proc/nothing"], ["must be writable"]),
    ],
)
def test_what_cannot_be_done_is_refused_in_clear_words(made: Front, arguments: list[str], parts: list[str]) -> None:
    outcome = made("leaderboard", *arguments)
    refused(outcome, *parts)
    assert "hunter2" not in outcome.text


def test_no_runs_are_refused(tmp_path: Path, made: Front, migrated_store: Path) -> None:
    front = Front(tmp_path / "empty")
    refused(front("leaderboard"), "boltbench run --plan quick")
    (front.root / "runs").mkdir(parents=True)
    refused(front("leaderboard"), "at least one finished run", "boltbench run --plan quick")
    refused(front("leaderboard", "--from", f"sqlite:///{migrated_store / 'mlflow.db'}"), "at least one finished run")


def test_a_store_that_is_none_of_mlflow_is_refused(made: Front, tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("no database, but long enough to be looked at as one")
    refused(made("leaderboard", "--from", f"sqlite:///{tmp_path / 'no.db'}"), "must be an MLflow store")


def edit_score(content: str) -> str:
    before = json.loads(content)["scores"]["test/accuracy"]
    return content.replace(f'"test/accuracy": {before}', '"test/accuracy": 0.999')


@pytest.mark.parametrize(
    "edit",
    [edit_score, lambda content: content.replace('"seed": 0', '"seed": 7'), lambda content: content + " "],
    ids=["score", "seed", "space"],
)
def test_a_tampered_record_is_refused(copied: Front, edit: Callable[[str], str]) -> None:
    path = copied.folders()[0].path / "result.json"
    before = path.read_text()
    path.write_text(edit(before))
    assert path.read_text() != before
    refused(copied("leaderboard"), str(path), "must be as it was written", "boltbench run --force")
    assert copied("doctor").code == 1
    assert copied("replay", copied.folders()[0].run_id).code == 2


def test_a_tampered_record_in_mlflow_is_refused(made: Front, tmp_path: Path) -> None:
    import sqlite3

    shutil.copytree(made.root / "mlflow", tmp_path / "mlflow")
    database = sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")
    database.execute(
        "UPDATE tags SET value = replace(value, '\"seed\": 0', '\"seed\": 5') WHERE key LIKE '%result.json%'"
    )
    database.commit()
    database.close()
    refused(
        made("leaderboard", "--from", f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"), "must be as it was written"
    )


def test_a_damaged_copy_gives_way_to_a_sound_one(made: Front, copied: Front, tmp_path: Path) -> None:
    path = copied.folders()[0].path / "result.json"
    path.write_text(path.read_text().replace("0", "1"))
    outcome = made("leaderboard", "--from", copied.root, "--from", made.root, "--output", tmp_path / "merged")
    assert outcome.code == 0
    assert f"A damaged record of {path.parent.name} in" in outcome.err
    made("leaderboard", "--output", tmp_path / "one")
    assert snapshot(tmp_path / "merged") == snapshot(tmp_path / "one")


def test_two_protocols_are_refused(copied: Front) -> None:
    first, *_, last = copied.folders()
    seal_again(last.path, protocol=2)
    refused(copied("leaderboard"), "one `protocol`", str(first.path), str(last.path))


@pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999"])
def test_a_score_that_is_no_number_is_refused(copied: Front, score: str) -> None:
    path = copied.folders()[0].path / "result.json"
    record = read_json(path)
    record.pop(SEAL)
    content = json.dumps(record, indent=1)
    before = record["scores"]["test/accuracy"]
    path.write_text(content.replace(f'"test/accuracy": {before}', f'"test/accuracy": {score}'))
    refused(copied("leaderboard"), str(path))


def test_two_metrics_under_one_task_are_refused(copied: Front) -> None:
    first = copied.folders()[0]
    seal_again(first.path, metric="loss", direction="minimize")
    refused(copied("leaderboard"), "must have one metric", first.run_id)


def test_tasks_of_different_metrics_have_tables_of_their_own(copied: Front) -> None:
    for folder in copied.folders():
        result = folder.result()
        assert result is not None
        if result["task"] == "mnist1d":
            seal_again(folder.path, metric="loss", direction="minimize", floor=1.0, ceiling=None)
    assert copied("leaderboard").code == 0
    refused(copied("leaderboard", "--view", "aggregate", "--task", "digits", "--task", "mnist1d"), "best possible loss")


def test_other_data_under_one_name_never_shares_a_table(copied: Front, tmp_path: Path) -> None:
    folder = next(folder for folder in copied.folders() if folder.run_id.startswith("digits-linear-s1"))
    seal_again(folder.path, data_sha256="f" * 64)
    assert copied("leaderboard", "--output", tmp_path / "out").code == 0
    assert sum(name.endswith(".csv") for name in snapshot(tmp_path / "out")) == 3
    refused(copied("leaderboard", "--task", "digits"), "digits [data ffffffff]")


def test_one_seed_says_so(copied: Front) -> None:
    for folder in copied.folders():
        result = folder.result()
        assert result is not None
        if result["seed"] > 0:
            shutil.rmtree(folder.path)
    outcome = copied("leaderboard", "--task", "digits", "--format", "markdown")
    assert outcome.code == 0
    assert "| one seed |" in outcome.out
    assert "One seed tells nothing of how sure a place is" in outcome.out


def test_every_result_is_sealed(made: Front) -> None:
    for folder in made.folders():
        content = (folder.path / "result.json").read_bytes()
        record = json.loads(content)
        body = content.rpartition(b",\n")[0]
        assert record[SEAL] == hashlib.sha256(body).hexdigest()
        assert list(record)[-1] == SEAL
