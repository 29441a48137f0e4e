"""Sweeps whose studies and MLflow runs lie on a PostgreSQL server, which these tests start.

Not among the default tests: the server is a system package and its driver an extra, and MLflow makes its tables anew,
one migration after the other.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from suite.runs.folder import Store
from suite.runs.mirror import Mirror
from tests.commands.front import COMMAND, Front, environment
from tests.commands.postgres import PASSWORD, Server, server
from tests.commands.test_sweep import SHORT, trials

__all__ = ["server"]

pytestmark = pytest.mark.slow

ORDER = (
    "sweep",
    "digits",
    "mlp",
    *SHORT[2:],
    "--sampler",
    "random",
    "--trials",
    "4",
    "--final-seeds",
    "1",
    "--workers",
    "1",
)
STEPS = {"first": "12", "second": "16", "outage": "20"}
"""A budget for each study: a run that two of them make is one run, and belongs to the later one."""


@pytest.fixture(scope="module")
def databases(server: Server) -> dict[str, str]:
    """Two fresh databases, as a user names them: by environment, so that `ps` shows no password."""
    return {"BOLTBENCH_STORAGE": server.create("studies"), "MLFLOW_TRACKING_URI": server.create("mlflow")}


def start(root: Path, study: str, variables: dict[str, str]) -> "subprocess.Popen[str]":
    root.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [*COMMAND, *ORDER, "--budget.steps", STEPS[study], "--root", str(root), "--study", study],
        cwd=root,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command_lines() -> Iterator[str]:
    """Yield what `ps` shows to everybody of every process."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue


def files_with(folder: Path, text: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def two_sweeps(
    server: Server, databases: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Front, str]]:
    """Two sweeps at once from two roots, on databases without tables."""
    started = {}
    for name in ("first", "second"):
        root = tmp_path_factory.mktemp(name) / "root"
        started[name] = (Front(root), start(root, name, databases))
    seen: set[str] = set()
    while any(process.poll() is None for _, process in started.values()):
        seen |= {line for line in command_lines() if PASSWORD in line}
        time.sleep(0.2)
    assert not seen, "`ps` shows the password"
    found = {}
    for name, (front, process) in started.items():
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        assert "could not be" not in err, err
        found[name] = (front, out + err)
    return found


def test_two_sweeps_at_once_have_every_trial_in_both_databases(
    two_sweeps: dict[str, tuple[Front, str]], databases: dict[str, str]
) -> None:
    for name, (front, _) in two_sweeps.items():
        records = trials(front, name)
        assert [trial["status"] for trial in records] == ["completed"] * 4
        storage = optuna.storages.RDBStorage(databases["BOLTBENCH_STORAGE"])
        rows = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        assert [(row.number, row.params, row.values) for row in rows] == [
            (trial["number"], trial["params"], trial["values"]) for trial in records
        ]
        storage.engine.dispose()
        assert len(front.folders()) == 4 + 2, "its trials, the default and the winner"
        assert not list(front.root.rglob("optuna.db")), "the server has it"
        runs = mlflow_runs(front, databases, name)
        kinds = sorted(run.data.tags["kind_of_run"] for run in runs)
        assert kinds == ["default", "study", *["trial"] * 4, "winner"]


def mlflow_runs(front: Front, databases: dict[str, str], study: str) -> list[Any]:
    client = Mirror(Store(front.root), databases["MLFLOW_TRACKING_URI"]).client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.study = '{study}'"))


def test_a_resume_finds_everything_up_to_date(
    two_sweeps: dict[str, tuple[Front, str]], databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    front, _ = two_sweeps["first"]
    for name, value in databases.items():
        monkeypatch.setenv(name, value)
    again = front("resume")
    assert again.code == 0, again.text
    assert "up to date in MLflow: 0." in again.out
    assert PASSWORD not in again.text


def test_the_password_is_in_no_output_file_table_or_report(
    two_sweeps: dict[str, tuple[Front, str]],
    server: Server,
    databases: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in databases.items():
        monkeypatch.setenv(name, value)
    for front, said in two_sweeps.values():
        assert PASSWORD not in said
        for words in (("doctor",), ("leaderboard",), ("report", tmp_path / "report.html")):
            assert PASSWORD not in front(*words).text
        assert files_with(front.root, PASSWORD) == []
    assert (tmp_path / "report.html").is_file()
    assert files_with(tmp_path, PASSWORD) == []
    for database in ("studies", "mlflow"):
        content = server.content(database)
        assert "dropout" in content
        assert PASSWORD not in content


@pytest.mark.parametrize("which", ["BOLTBENCH_STORAGE", "--storage"])
def test_a_database_that_does_not_let_us_in_is_refused_without_a_word_of_the_password(
    which: str, server: Server, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = server.url("studies", password=f"{PASSWORD}-wrong")
    more: tuple[str, ...] = ()
    if which == "--storage":
        more = ("--storage", wrong)
    else:
        monkeypatch.setenv(which, wrong)
    outcome = front(*ORDER, "--budget.steps", "12", *more)
    assert outcome.code == 2
    assert "cannot be used" in outcome.err
    assert PASSWORD not in outcome.text
    assert not (front.root / "studies").exists()


def test_a_server_that_goes_down_in_the_middle_costs_no_trial_and_resume_brings_it_up_to_date(
    server: Server, databases: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    process = start(root, "outage", databases)
    folder = root / "studies" / "outage" / "trials"
    deadline = time.monotonic() + 300
    while len(list(folder.glob("[0-9]*.json"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    server.stop()
    out, err = process.communicate(timeout=600)
    server.start()
    assert process.returncode == 0, out + err
    assert PASSWORD not in out + err
    front = Front(root)
    assert [trial["status"] for trial in trials(front, "outage")] == ["completed"] * 4
    resumed = subprocess.run(
        [*COMMAND, "resume", "--root", str(root)],
        cwd=root,
        env=environment(**databases),
        capture_output=True,
        text=True,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "dropout" in server.content("studies")
    kinds = sorted(run.data.tags["kind_of_run"] for run in mlflow_runs(front, databases, "outage"))
    assert kinds == ["default", "study", *["trial"] * 4, "winner"]
    assert files_with(root, PASSWORD) == []
