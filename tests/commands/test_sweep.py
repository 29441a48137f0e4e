"""Sweeps through the front door: what they leave on disk, in Optuna, in MLflow and in the leaderboard."""

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from sqlalchemy import Engine

from suite.locks import Lock
from suite.runs.folder import LOCK, RunFolder, Store
from suite.runs.mirror import Mirror, default_tracking_uri
from suite.runs.mlflow_rows import EndedRun, write_runs
from tests.commands.front import Front, make_front, snapshot

SHORT = ("--budget.steps", "12", "--evaluation.every_steps", "4", "--data.batch_size", "32")
SWEEP = ("sweep", "digits", "mlp", *SHORT, "--workers", "inline", "--no-plots", "--sampler", "random", "--trials", "6")
FINALS = ("--final-seeds", "2")
NAME = "digits-mlp-regularization-random"


def study(front: Front, name: str = NAME) -> Path:
    return front.root / "studies" / name


def trials(front: Front, name: str = NAME) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((study(front, name) / "trials").glob("*.json"))]


def optuna_rows(front: Front, name: str = NAME) -> list[Any]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{front.root / 'studies' / 'optuna.db'}")
    rows = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    storage.engine.dispose()
    times = [(row.datetime_start, row.datetime_complete) for row in rows]
    contents = [(row.number, row.state.name, row.values, row.params, row.intermediate_values) for row in rows]
    return [(*content, row.user_attrs, *time) for content, row, time in zip(contents, rows, times, strict=True)]


def mlflow_rows(front: Front) -> list[Any]:
    """Return what MLflow says of each run but its random ids, parents by name."""
    client = Mirror(Store(front.root), default_tracking_uri(Store(front.root))).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    rows = []
    for run in runs:
        tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.log")}
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = names[tags["mlflow.parentRunId"]]
        rows.append((run.info.run_name, run.info.status, run.data.params, tags, run.data.metrics))
    return sorted(rows, key=lambda row: row[0])


def kinds(front: Front) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, _, _, tags, _ in mlflow_rows(front):
        kind = tags.get("kind_of_run", "run")
        found[kind] = found.get(kind, 0) + 1
    return found


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Front:
    """One finished sweep, which the tests look at and leave as it is."""
    front = make_front(tmp_path_factory.mktemp("swept") / "root", migrated_store)
    outcome = front(*SWEEP, *FINALS)
    assert outcome.code == 0, outcome.text
    assert "6 trials (6 completed)" in outcome.out
    return front


@pytest.fixture
def copy(swept: Front, tmp_path: Path) -> Front:
    """A copy of the finished sweep, to be changed."""
    shutil.copytree(swept.root, tmp_path / "copy")
    return Front(tmp_path / "copy")


def test_trials_are_runs_that_never_saw_test_and_enter_no_leaderboard(swept: Front) -> None:
    found = trials(swept)
    assert [(trial["number"], trial["status"], trial["attempts"]) for trial in found] == [
        (n, "completed", 1) for n in range(6)
    ]
    seeds = set()
    for trial in found:
        (run_id,) = trial["run_ids"]
        result = RunFolder(swept.root / "runs" / run_id).result()
        assert result is not None
        assert not [name for name in result["scores"] if name.startswith("test/")]
        assert trial["values"] == [result["scores"]["val/accuracy"]]
        assert [step for step, _ in trial["intermediate"]] == [1, 2, 3]
        assert result["spec"]["evaluation"]["test"] is False
        seeds.add(result["seed"])
    assert len(seeds) == 6
    board = swept("leaderboard", "--task", "digits", "--format", "csv")
    assert board.code == 0, board.text
    assert board.out.count("mlp") == 2


def test_winner_and_default_are_run_on_fresh_seeds_and_carry_the_bill(swept: Front) -> None:
    result = json.loads((study(swept) / "result.json").read_text())
    best = max(trials(swept), key=lambda trial: (trial["values"][0], -trial["number"]))
    assert result["winner"]["number"] == best["number"]
    assert set(result["finals"]) == {"winner", "default"}
    notes: dict[str, Any] = {}
    for role, group in result["finals"].items():
        assert (group["seeds"], group["statuses"]) == ([0, 1], ["completed"] * 2)
        for run_id in group["run_ids"]:
            run = RunFolder(swept.root / "runs" / run_id)
            notes[role] = json.loads((run.path / "tuning.json").read_text())
            run_result = run.result()
            assert run_result is not None
            assert "test/accuracy" in run_result["scores"]
    assert (notes["winner"]["num_trials"], notes["default"]["num_trials"], notes["default"]["seconds"]) == (6, 0, 0.0)
    assert notes["winner"]["device_seconds"] > 0
    assert result["comparison"]["verdict"] in ("better", "worse", "unsure")
    assert "95 % interval" in result["comparison"]["text"]


def test_optuna_mlflow_and_folders_hold_the_same_trials(swept: Front) -> None:
    found = trials(swept)
    for trial, row in zip(found, optuna_rows(swept), strict=True):
        assert row[:4] == (trial["number"], "COMPLETE", trial["values"], trial["params"])
        assert row[4] == {int(step): value for step, value in trial["intermediate"]}
    assert kinds(swept) == {"study": 1, "trial": 6, "winner": 2, "default": 2}
    for name, status, params, tags, metrics in mlflow_rows(swept):
        assert status == "FINISHED", name
        if tags["kind_of_run"] == "trial":
            assert tags["mlflow.parentRunId"] == NAME
            assert params["dropout"] == str(float(params["dropout"]))
            assert 0 < metrics["val/selected_accuracy"] <= 1


def test_the_best_settings_are_a_configuration_that_run_takes(swept: Front) -> None:
    outcome = swept("run", "--config", study(swept) / "best.yaml", "--print_config")
    assert outcome.code == 0, outcome.text
    printed = yaml.safe_load(outcome.out)
    winner = json.loads((study(swept) / "result.json").read_text())["winner"]
    assert printed["evaluation"]["test"] is True
    for name, value in winner["settings"].items():
        group, _, key = name.partition(".")
        assert printed[group][key] == value


def test_a_finished_sweep_is_told_again_and_nothing_changes(swept: Front) -> None:
    before = snapshot(swept.root)
    outcome = swept(*SWEEP, *FINALS)
    assert outcome.code == 0, outcome.text
    assert "was done already" in outcome.out
    assert "winner on 2 fresh seeds" in outcome.out
    assert snapshot(swept.root) == before


@pytest.mark.parametrize(
    ("databases", "is_refused"),
    [(("sqlite",), False), ((), False), (("sqlite",), True)],
    ids=["as rows", "by the client", "by the client where rows are refused"],
)
def test_indices_that_were_deleted_come_back_from_the_folders_with_all_rows_equal(
    databases: tuple[str, ...],
    is_refused: bool,
    swept: Front,
    migrated_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []

    def write(engine: Engine, runs: Sequence[EndedRun]) -> list[str]:
        written.append(len(runs))
        if is_refused:
            raise AttributeError("a release of MLflow that names its tables otherwise")
        return write_runs(engine, runs)

    monkeypatch.setattr("suite.runs.mlflow_store.DATABASES", databases)
    monkeypatch.setattr("suite.runs.mirror.write_runs", write)
    # Another root, since MLflow keeps the connections to a deleted database open inside one process.
    other = Front(tmp_path / "other")
    shutil.copytree(swept.root / "runs", other.root / "runs")
    shutil.copytree(swept.root / "studies", other.root / "studies", ignore=shutil.ignore_patterns("optuna.db*"))
    shutil.copytree(migrated_store, other.root / "mlflow")
    assert other("resume").code == 0
    assert written == ([6] if databases else [])
    before = optuna_rows(swept), mlflow_rows(swept)
    assert (optuna_rows(other), mlflow_rows(other)) == before
    files = snapshot(other.root / "runs"), snapshot(other.root / "studies")
    again = other("resume")
    assert "up to date in MLflow: 0." in again.out
    assert (snapshot(other.root / "runs"), snapshot(other.root / "studies")) == files
    assert (optuna_rows(other), mlflow_rows(other)) == before
    assert other("doctor").out.count("wrong") == 0


def test_a_sweep_that_was_stopped_goes_on_to_the_same_trials(swept: Front, front: Front) -> None:
    """The signal comes in the middle of a trial; `resume` ends the study as the undisturbed one ended."""
    pressed = threading.Event()

    def press() -> None:
        while not pressed.wait(0.02):
            if len(list((study(front) / "trials").glob("*.json"))) >= 3:
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=press)
    thread.start()
    outcome = front(*SWEEP, *FINALS)
    pressed.set()
    thread.join()
    assert outcome.code == 130, outcome.text
    assert not (study(front) / "result.json").exists()
    assert any("was cut off" in line for line in front("doctor").out.splitlines())
    done = front(*SWEEP, *FINALS)
    assert done.code == 0, done.text

    def content(of: Front) -> list[Any]:
        return [(trial["params"], trial["values"], trial["intermediate"], trial["run_ids"]) for trial in trials(of)]

    assert content(front) == content(swept)
    assert kinds(front) == kinds(swept)


def test_the_plots_of_a_study_are_files_and_artifacts_of_its_run(front: Front) -> None:
    outcome = front("sweep", "digits", "linear", *SHORT, "--workers", "inline", "--trials", "3", "--final-seeds", "0")
    assert outcome.code == 0, outcome.text
    assert "cannot be drawn" not in outcome.text
    (folder,) = (front.root / "studies").glob("digits-linear-*/plots")
    names = {path.name for path in folder.iterdir()}
    assert {"history.png", "timeline.png", "slice.png", "importance.png", "parallel.png", "contour.png"} <= names
    client = Mirror(Store(front.root), default_tracking_uri(Store(front.root))).client()
    (experiment,) = [item for item in client.search_experiments() if item.name == "digits"]
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind_of_run = 'study'")
    assert {path.path for path in client.list_artifacts(parent.info.run_id, "plots")} == {f"plots/{n}" for n in names}


def test_more_trials_go_on_where_a_study_ended(copy: Front) -> None:
    before = trials(copy)
    outcome = copy(*SWEEP[:-1], "8", *FINALS)
    assert outcome.code == 0, outcome.text
    assert trials(copy)[:6] == before
    assert len(trials(copy)) == 8
    assert "may only grow" in copy(*SWEEP, *FINALS).err


REFUSED = [
    (("--trials", "0"), r"trials >= 1"),
    (("--workers", "0"), r"workers >= 1"),
    (("--workers", "two"), "--workers must be auto"),
    (("--sampler", "tpee"), "Did you mean 'tpe'"),
    (("--pruner", "medain"), "Did you mean 'median'"),
    (("--preset", "regularisation"), "Did you mean 'regularization'"),
    (("--preset", "none"), "at least one field"),
    (("--space.optimization.lr", "1e-1..1e-3"), r"`low <= high` must hold.*low=0.1, high=0.001"),
    (("--space.optimization.learning_rate", "1..2"), "Did you mean 'optimization.lr'"),
    (("--space.task.length", "1..2"), "cannot be searched"),
    (("--space.optimization.momentum", "0..0.9"), "counts only under optimizer=sgd"),
    (("--space.regularization.stochastic_depth", "search"), "cannot be searched here"),
    (("--space.family.width", "0..64"), "1 <= width"),
    (("--space.regularization.dropout", "0.1..0.2", "--regularization.dropout", "0.1"), "give one of them"),
    (("--sampler", "grid"), "A grid needs a few values"),
    (("--sampler", "gp"), "gp needs a space"),
    (("--sampler", "cmaes"), "pickle"),
    (("--pruner", "wilcoxon"), "needs several seeds per trial"),
    (("--pruner", "halving", "--deterministic-batches", "4"), "still running"),
    (("--objectives", "accuracy"), "--objectives must be among"),
    (("--study", "../elsewhere"), "A study's name must be"),
    (("--storage", "no-url-at-all:canary@"), "must be given as a URL"),
    (("--storage", "oracle+nodriver://user:canary@localhost/studies"), "needs a driver|cannot be used|must be given"),
    (("--storage", "sqlite:////no/such/folder/studies.db"), "there is no '/no/such/folder'"),
]


@pytest.mark.parametrize(("flags", "message"), REFUSED, ids=[" ".join(flags)[:40] for flags, _ in REFUSED])
def test_bad_input_ends_with_2_and_creates_nothing(flags: tuple[str, ...], message: str, front: Front) -> None:
    before = snapshot(front.root)
    words = [word for word in SWEEP if word != "inline"] if "--workers" in flags else list(SWEEP)
    if "--workers" in flags:
        words.remove("--workers")
    outcome = front(*words, *flags)
    assert outcome.code == 2, outcome.text
    assert re.search(message, outcome.err), outcome.err
    assert "canary" not in outcome.text
    assert "Traceback" not in outcome.text
    assert snapshot(front.root) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--space.optimization.lr", "1e-4..1e-2 log"), "another space: optimization.lr"),
        (("--budget.steps", "13"), "made otherwise"),
        (("--study", NAME, "--sampler", "qmc"), "sampler.name was random, now qmc"),
        (("--study", NAME, "--seed", "1"), "seed was 0, now 1"),
    ],
)
def test_a_study_that_was_made_otherwise_is_refused_and_left_alone(
    swept: Front, flags: tuple[str, ...], message: str
) -> None:
    before = snapshot(swept.root)
    words = list(SWEEP)
    if flags[0] == "--budget.steps":
        words = [word for word in words if word not in SHORT[:2]]
    outcome = swept(*words, *FINALS, *flags)
    assert outcome.code == 2, outcome.text
    assert message in outcome.err
    assert "--study" in outcome.err
    assert snapshot(swept.root) == before


def test_a_study_of_other_code_is_refused(copy: Front) -> None:
    path = study(copy) / "study.yaml"
    description = yaml.safe_load(path.read_text())
    description["code_sha256"] = "0" * 64
    path.write_text(yaml.safe_dump(description))
    outcome = copy(*SWEEP, *FINALS)
    assert outcome.code == 2
    assert "its code has changed since" in outcome.err


def test_a_worker_with_other_code_ends_the_sweep_and_leaves_its_trials_open(
    swept: Front, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as after_an_edit:
        after_an_edit.setattr("suite.search.work.pinned_sha256", lambda _plugins: "0" * 64)
        outcome = front(*SWEEP, *FINALS)
    assert outcome.code == 1
    assert "other code than those before it" in outcome.err
    assert "Traceback" not in outcome.text
    assert {trial["status"] for trial in trials(front)} <= {"planned", "running", "interrupted", "lost"}
    assert front.folders() == []
    assert front("resume").code == 0
    assert [trial["values"] for trial in trials(front)] == [trial["values"] for trial in trials(swept)]


def test_transfer_can_be_searched_without_a_run_to_begin_with(front: Front) -> None:
    """It switches code on, so that trials of one study differ in the code that decides them."""
    outcome = front(*SWEEP, "--final-seeds", "1", "--preset", "none", "--space.transfer.layer_decay", "0.5,1.0")
    assert outcome.code == 0, outcome.text
    assert {trial["status"] for trial in trials(front, "digits-mlp-none-random")} == {"completed"}


def test_resume_leaves_the_runs_of_a_study_that_is_being_searched_to_its_process(
    swept: Front, migrated_store: Path, tmp_path: Path
) -> None:
    other = Front(tmp_path / "other")
    for name in ("runs", "studies"):
        shutil.copytree(swept.root / name, other.root / name)
    shutil.copytree(migrated_store, other.root / "mlflow")
    with Lock(study(other) / LOCK).hold():
        assert "up to date in MLflow: 0." in other("resume").out
    assert mlflow_rows(other) == []
    assert other("resume").code == 0
    assert mlflow_rows(other) == mlflow_rows(swept)


def test_a_second_start_is_refused_naming_the_owner(copy: Front) -> None:
    with Lock(study(copy) / LOCK).hold():
        outcome = copy(*SWEEP[:-1], "7", *FINALS)
    assert outcome.code == 2
    assert f"process {os.getpid()} on " in outcome.err


def test_trials_that_end_badly_are_recorded_shown_and_counted_alike(front: Front) -> None:
    words = SWEEP[:-1]
    flags = ("--preset", "none", "--space.optimization.lr", "1e-3,1e30", "--optimization.optimizer", "sgd")
    outcome = front(*words, "8", *flags, "--study", "bad", "--final-seeds", "1")
    assert outcome.code == 0, outcome.text
    statuses = [trial["status"] for trial in trials(front, "bad")]
    assert 0 < statuses.count("diverged") < 8
    assert f"{statuses.count('diverged')} diverged" in outcome.out
    assert [row[1] for row in optuna_rows(front, "bad")].count("FAIL") == statuses.count("diverged")
    failed = [row for row in mlflow_rows(front) if row[3].get("kind_of_run") == "trial" and row[1] == "FAILED"]
    assert len(failed) == statuses.count("diverged")
    assert kinds(front)["trial"] == 8


def test_a_last_trial_whose_point_is_no_model_has_its_row_in_optuna(front: Front) -> None:
    order = ("sweep", "digits", "transformer", *SHORT, "--workers", "inline", "--no-plots", "--final-seeds", "0")
    space = (
        *("--sampler", "grid", "--trials", "3", "--preset", "none"),
        *("--family.num_heads", "4", "--space.family.width", "10,14,12"),
    )
    outcome = front(*order, *space, "--study", "heads")
    assert "Traceback" not in outcome.text
    assert [(trial["status"], len(trial["run_ids"])) for trial in trials(front, "heads")] == [
        ("failed", 0),
        ("completed", 1),
        ("failed", 0),
    ]
    assert [row[1] for row in optuna_rows(front, "heads")] == ["FAIL", "COMPLETE", "FAIL"]


def test_a_pruner_ends_trials_early_and_says_so(front: Front) -> None:
    flags = ("--pruner", "median", "--pruner.n_startup_trials", "1", "--preset", "none", "--final-seeds", "0")
    outcome = front(*SWEEP, *flags, "--space.optimization.lr", "1e-6,1e-2", "--trials", "10", "--study", "pruned")
    assert outcome.code == 0, outcome.text
    found = trials(front, "pruned")
    pruned = [trial for trial in found if trial["status"] == "pruned"]
    assert pruned
    assert all(trial["values"] is None and len(trial["intermediate"]) < 3 for trial in pruned)
    assert [row[1] for row in optuna_rows(front, "pruned")].count("PRUNED") == len(pruned)


def test_several_seeds_per_trial_are_one_trial_and_as_many_runs(front: Front) -> None:
    outcome = front(*SWEEP[:-1], "2", "--trial-seeds", "3", "--final-seeds", "0", "--study", "seeds")
    assert outcome.code == 0, outcome.text
    for trial in trials(front, "seeds"):
        assert len(set(trial["run_ids"])) == 3
        scores = [
            RunFolder(front.root / "runs" / run_id).result()["scores"]["val/accuracy"] for run_id in trial["run_ids"]
        ]  # type: ignore[index]  # finished
        assert trial["values"] == [sum(scores) / 3]
        assert [value for _, value in trial["intermediate"]] == scores


def test_show_prints_the_space_of_a_pair(front: Front) -> None:
    outcome = front(
        "show", "digits", "mlp", "--preset", "optimizer,architecture", "--space.optimization.lr", "1e-3,1e-2"
    )
    assert outcome.code == 0, outcome.text
    assert "optimization.optimizer=sgd" in outcome.out
    assert "0.001, 0.01" in outcome.out
    assert "family.num_layers!=1" in outcome.out


def test_a_plan_whose_families_have_different_budgets_is_refused(front: Front, tmp_path: Path) -> None:
    runs = [
        {"tasks": ["digits"], "families": [family], "settings": {"budget": {"steps": steps}}}
        for family, steps in (("linear", 12), ("mlp", 13))
    ]
    (tmp_path / "unfair.yaml").write_text(yaml.safe_dump({"runs": runs}))
    outcome = front("sweep", "--plan", tmp_path / "unfair.yaml", "--workers", "inline")
    assert outcome.code == 2, outcome.text
    assert "one budget" in outcome.err
    assert not (front.root / "studies").exists()


def test_a_plan_makes_a_study_of_each_pair_with_the_same_number_of_trials(front: Front, tmp_path: Path) -> None:
    plan = {"runs": [{"tasks": ["digits"], "families": ["linear", "mlp"], "settings": {"budget": {"steps": 12}}}]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(plan))
    flags = ("--plan", tmp_path / "two.yaml", "--trials", "2", "--sampler", "random", "--workers", "inline")
    outcome = front(
        "sweep", *flags, "--preset", "none", "--space.optimization.lr", "1e-3..1e-1 log", "--final-seeds", "1"
    )
    assert outcome.code == 0, outcome.text
    for family in ("linear", "mlp"):
        assert [trial["status"] for trial in trials(front, f"digits-{family}-none-random")] == ["completed"] * 2
