"""`boltbench explain` through the front door: what it keeps, prints and logs, and what it refuses."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.runs.folder import RunFolder
from tests.commands.front import QUICK, Front, make_front, read_json, snapshot

pytest.importorskip("captum", reason="an extra that `make install` leaves out")

INDUCTION = ("--task.length", "8", "--task.num_train", "600", "--family.readout", "last", "--family.num_layers", "1")
KEPT = ("explanation.json", "attributions.npz", "explanation.png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Path:
    """Return a root that holds one run whose task knows its evidence, and one whose task does not."""
    front = make_front(tmp_path_factory.mktemp("explain") / "root", migrated_store)
    assert front("run", "induction", "transformer", *QUICK, *INDUCTION).code == 0
    assert front("run", "digits", "linear", *QUICK).code == 0
    return front.root


@pytest.fixture
def both(finished: Path, migrated_store: Path, tmp_path: Path) -> Front:
    """The command over a copy of that root."""
    shutil.copytree(finished, tmp_path / "root")
    # MLflow's store names the place of artifacts by its whole path.
    shutil.rmtree(tmp_path / "root" / "mlflow")
    shutil.copytree(migrated_store, tmp_path / "root" / "mlflow")
    return Front(tmp_path / "root")


def explained(front: Front, task: str) -> RunFolder:
    (folder,) = [folder for folder in front.folders() if folder.run_id.startswith(task)]
    return folder


def arrays_of(folder: RunFolder) -> dict[str, np.ndarray[Any, Any]]:
    with np.load(folder.path / "attributions.npz") as archive:
        return dict(archive)


def test_each_method_gets_scores_beside_chance_where_the_task_knows_the_truth(both: Front) -> None:
    outcome = both("explain", "induction")
    assert outcome.code == 0, outcome.text
    folder = explained(both, "induction")
    found = read_json(folder.path / "explanation.json")
    assert set(found["methods"]) == {"attention-rollout", "integrated-gradients", "occlusion"}
    assert found["weights_sha256"] == (folder.result() or {})["digests"]["weights"]
    assert found["num_explained"] == 200
    assert 0 < found["num_scored"] < 200
    assert 2 / 9 * 0.99 < found["chance"] <= 2 / 9
    for name, about in found["methods"].items():
        assert set(about["scores"]) == {"relevance-mass", "relevance-rank", "pointing-game"}
        assert all(0 <= value <= 1 for value in about["scores"].values())
        assert f"{about['scores']['relevance-mass']:.3f}" in outcome.out
        assert name in outcome.out
    arrays = arrays_of(folder)
    assert arrays["contributions/occlusion"].shape == arrays["evidence"].shape == (200, 9)
    assert (folder.path / "explanation.png").read_bytes().startswith(b"\x89PNG")


def test_only_examples_that_are_answered_correctly_are_scored(both: Front) -> None:
    both("explain", "induction", "--method", "occlusion")
    folder = explained(both, "induction")
    arrays = arrays_of(folder)
    with np.load(folder.path / "predictions.npz") as archive:
        targets, answers = archive["targets"], archive["predictions"].argmax(axis=1)
    assert np.array_equal(arrays["answers"], answers[arrays["indices"]])
    is_right = (targets == answers)[arrays["indices"]]
    relevance = np.abs(arrays["contributions/occlusion"])
    mass = (relevance * arrays["evidence"]).sum(axis=1) / relevance.sum(axis=1)
    found = read_json(folder.path / "explanation.json")
    assert found["num_scored"] == is_right.sum()
    assert found["methods"]["occlusion"]["scores"]["relevance-mass"] == pytest.approx(mass[is_right].mean(), rel=1e-5)


def test_the_same_run_has_the_same_explanation(both: Front) -> None:
    folder = explained(both, "induction")
    both("explain", "induction")
    first = {name: (folder.path / name).read_bytes() for name in KEPT}
    both("explain", "induction")
    assert {name: (folder.path / name).read_bytes() for name in KEPT} == first


def test_mlflow_has_the_scores_and_the_picture_and_gets_them_once(both: Front) -> None:
    assert both("explain", "induction").code == 0
    folder = explained(both, "induction")
    found = read_json(folder.path / "explanation.json")

    def metrics() -> dict[str, float]:
        (run,) = [run for run in both.mlflow_runs() if run.data.tags["run_id"] == folder.run_id]
        return {name: value for name, value in run.data.metrics.items() if name.startswith("explanation/")}

    wanted = {
        f"explanation/{method}/{name}": value
        for method, about in found["methods"].items()
        for name, value in about["scores"].items()
    }
    assert metrics() == pytest.approx(wanted | {"explanation/chance": found["chance"]})
    assert "explanation.png" in both.mlflow_content()[folder.run_id][-1]
    assert "up to date in MLflow: 1." in both("resume").out  # the other run, which no command has mirrored here
    before = both.mlflow_rows()
    assert "up to date in MLflow: 0." in both("resume").out
    assert both.mlflow_rows() == before
    assert both("explain", "induction", "--method", "occlusion", "--explanation.window", "3").code == 0
    again = read_json(folder.path / "explanation.json")["methods"]["occlusion"]["scores"]
    assert metrics()["explanation/occlusion/relevance-rank"] == pytest.approx(again["relevance-rank"])


def test_a_task_that_knows_no_truth_gets_a_picture_and_no_score(both: Front) -> None:
    outcome = both("explain", "digits")
    assert outcome.code == 0, outcome.text
    assert "does not know what its answers rest on" in outcome.out
    assert "left out: attention-rollout needs a family with attention weights" in outcome.out
    folder = explained(both, "digits")
    found = read_json(folder.path / "explanation.json")
    assert (found["chance"], found["num_explained"]) == (None, 4)
    assert {about["scores"] for about in found["methods"].values()} == {None}
    assert arrays_of(folder)["contributions/integrated-gradients"].shape == (4, 8, 8)
    assert (folder.path / "explanation.png").is_file()


def test_an_explained_run_is_as_whole_as_before_and_is_explained_anew_after_it_was_made_anew(both: Front) -> None:
    both("explain", "digits", "--method", "occlusion")
    folder = explained(both, "digits")
    both("resume")  # the other run is not in MLflow yet
    assert both("doctor").code == 0
    assert both("replay", folder.run_id).code == 0
    both("run", "--config", folder.path / "spec.yaml", "--force")
    assert not any((folder.path / name).exists() for name in KEPT)


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "an unknown method": (("digits", "--method", "oclusion"), "Did you mean 'occlusion'?"),
    "an unknown setting": (("digits", "--method", "occlusion", "--explanation.windw", "2"), "Did you mean"),
    "a setting of no method": (("digits", "--explanation.window", "2"), "name it with --method"),
    "a window too wide": (("digits", "--method", "occlusion", "--explanation.window", "9"), "window <= 8"),
    "no examples": (("digits", "--examples", "0"), "`--examples >= 1` must hold"),
    "no attention": (("digits", "--method", "attention-rollout"), "needs a family with attention weights"),
    "no such run": (("mnist",), "No run 'mnist'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_before_anything_is_created(both: Front, case: str) -> None:
    arguments, message = BAD[case]
    before = snapshot(both.root)
    outcome = both("explain", *arguments)
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert "Traceback" not in outcome.err
    assert snapshot(both.root) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "result.json").unlink(), "Only a completed run can be explained"),
        (lambda path: (path / "checkpoints" / "selected.safetensors").write_bytes(b"?"), "must match the sha256"),
    ],
    ids=["unfinished", "damaged weights"],
)
def test_a_run_that_is_not_whole_is_refused(both: Front, damage: Callable[[Path], object], message: str) -> None:
    damage(explained(both, "digits").path)
    before = snapshot(both.root)
    outcome = both("explain", "digits")
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert snapshot(both.root) == before


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("ring", "gan"), "a sample is no answer"),
        (("digits-reconstruction", "autoencoder"), "what is explained is one class or one number"),
    ],
)
def test_tasks_without_one_answer_are_refused(front: Front, names: tuple[str, str], message: str) -> None:
    assert front("run", *names, "--budget.steps", "2", "--execution.device", "cpu").code == 0
    before = snapshot(front.root / "runs")
    outcome = front("explain", names[0])
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert snapshot(front.root / "runs") == before


def test_a_missing_extra_is_named_with_the_way_to_get_it(both: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "captum" else find(name, *rest)
    )
    outcome = both("explain", "digits")
    assert outcome.code == 2
    assert "boltbench[explain]" in outcome.err
    assert both("explain", "induction", "--method", "attention-rollout").code == 0


def test_a_damaged_explanation_is_said_and_not_drawn(both: Front) -> None:
    from results.drawings.explanation import explanation_of
    from results.errors import RecordError

    both("explain", "digits", "--method", "occlusion")
    folder = explained(both, "digits")
    about = json.loads((folder.path / "explanation.json").read_text())
    del about["methods"]["occlusion"]["scores"]
    (folder.path / "explanation.json").write_text(json.dumps(about))
    with pytest.raises(RecordError, match="must be what `boltbench explain` wrote"):
        explanation_of(folder.path)
