"""`boltbench compress` through the front door: what it makes, what MLflow and the tables show, and what it refuses."""

import importlib.util
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from suite.engine.devices import Execution
from suite.runs import footprint
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.prepare import prepare
from suite.runs.source import read_spec
from tests.commands.front import QUICK, Front, read_json, snapshot, write_result

needs_torchao = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None, reason="an extra that `make install` leaves out"
)
PRUNE = ("--method", "prune", "--compression.share", "0.5", "--budget.epochs", "2")


@pytest.fixture(autouse=True)
def _few_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time each model a few times only: how long it takes is not looked at here."""
    monkeypatch.setattr(footprint, "SECONDS", 0.0)


def child(front: Front, method: str) -> RunFolder:
    (folder,) = [folder for folder in front.folders() if f"-{method}-" in folder.run_id]
    return folder


def result_of(folder: RunFolder) -> dict[str, Any]:
    result = folder.result()
    assert result is not None
    return result


def test_varied_settings_make_a_run_of_each_value_and_end_with_the_front(done: Front) -> None:
    words = ("compress", "digits-mlp-s0", "--method", "prune", "--budget.epochs", "1")
    outcome = done(*words, "--vary", "compression.share=0.5,0.9", "--vary", "compression.scope=global,layer")
    assert outcome.code == 0, outcome.text
    made = [result_of(folder)["spec"]["compression"] for folder in done.folders() if "-prune-" in folder.run_id]
    assert sorted((item["share"], item["scope"]) for item in made) == [
        (share, scope) for share in (0.5, 0.9) for scope in ("global", "layer")
    ]
    table = outcome.out.partition("accuracy (%) against size and latency")[2]
    assert "prune (scope=layer, share=0.9)" in table
    assert "original" in table
    assert "size" in table
    again = done(*words, "--vary", "compression.share=0.5,0.9", "--compression.scope", "layer")
    assert again.code == 0
    assert again.out.count("was done already") == 2


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (("--vary", "compression.share"), "--vary must be NAME=V,V with two values at least"),
        (("--vary", "compression.share=0.5"), "--vary must be NAME=V,V with two values at least"),
        (("--vary", "compression.shar=0.5,0.9"), "Did you mean"),
        (("--vary", "compression.share=0.5,1.5"), "must hold, but got compression.share=1.5"),
        (("--vary", "compression.share=0.5,0.9", "--compression.share", "0.7"), "give one of them"),
        (("--vary", "compression.share=0.5,0.9", "--vary", "compression.share=0.6,0.7"), "must be varied once"),
    ],
)
def test_a_variation_that_makes_no_sense_is_refused(words: tuple[str, ...], law: str, done: Front) -> None:
    before = snapshot(done.root)
    outcome = done("compress", "digits-mlp-s0", "--method", "prune", *words)
    assert outcome.code == 2
    assert law in " ".join(outcome.err.split())
    assert snapshot(done.root) == before


def test_a_pruned_run_has_a_folder_a_place_in_the_table_and_a_replay(done: Front) -> None:
    parent = done.result()
    outcome = done("compress", "digits-mlp-s0", *PRUNE)
    assert outcome.code == 0, outcome.text
    folder = child(done, "prune")
    result = result_of(folder)
    assert result["status"] == "completed"
    assert result["parent"] == parent["run_id"]
    assert result["spec"]["compression"]["share"] == 0.5
    assert result["spec"]["parent"]["weights"] == parent["digests"]["weights"]
    assert result["compression"]["bytes"] < result["compression"]["original_bytes"]
    assert set(result["scores"]) == set(parent["scores"])
    assert f"{result['compression']['bytes']:,} (original {result['compression']['original_bytes']:,}" in outcome.out
    table = done("leaderboard").out
    assert "method=prune" in table
    assert "share=0.5" in table
    replayed = done("replay", folder.run_id)
    assert replayed.code == 0
    assert "bit-exact" in replayed.out
    assert done("doctor").code == 0


@needs_torchao
def test_a_pruned_run_is_quantised_in_turn_and_its_setting_says_both(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    assert done("compress", "digits-mlp-prune", "--method", "quantize").code == 0
    result = result_of(child(done, "quantize"))
    assert result["changed"]["compression.after"] == "prune(share=0.5)"
    assert result["parent"] == child(done, "prune").run_id
    assert result["compression"]["bytes"] < 0.7 * result["compression"]["original_bytes"]
    assert result["cost"]["steps"] == 0


def test_a_student_of_another_family_learns_from_its_teacher(done: Front) -> None:
    outcome = done(
        "compress",
        "digits-mlp-s0",
        "--method",
        "distill",
        "--student",
        "cnn",
        "--family.channels",
        "4",
        "--family.dense",
        "8",
    )
    assert outcome.code == 0, outcome.text
    result = result_of(child(done, "distill"))
    assert (result["family"], result["task"]) == ("cnn", "digits")
    assert result["changed"]["compression.teacher"] == "mlp"
    assert result["spec"]["budget"] == done.folders()[-1].result()["spec"]["budget"]  # type: ignore[index]  # it is done
    assert result["digests"] != done.folders()[-1].result()["digests"]  # type: ignore[index]  # it is done


def test_mlflow_shows_a_compressed_run_under_the_one_that_it_comes_from(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    runs = {run.data.tags["run_id"]: run for run in done.mlflow_runs()}
    made, parent = runs[child(done, "prune").run_id], runs[result_of(child(done, "prune"))["parent"]]
    assert made.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert "mlflow.parentRunId" not in parent.data.tags
    assert made.data.params["compression"] == "prune"
    assert made.data.metrics["compression/bytes"] == result_of(child(done, "prune"))["compression"]["bytes"]
    assert "brought up to date in MLflow: 0." in done("resume").out


def test_a_parent_that_mlflow_copies_anew_keeps_its_child(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    folder = RunFolder(done.root / "runs" / result_of(child(done, "prune"))["parent"])
    result = result_of(folder)
    write_result(folder.path, result | {"message": "told anew"})  # other bytes
    assert "brought up to date in MLflow: 1." in done("resume").out
    runs = {run.data.tags["run_id"]: run for run in done.mlflow_runs()}
    assert runs[child(done, "prune").run_id].data.tags["mlflow.parentRunId"] == runs[folder.run_id].info.run_id


def test_the_seeds_of_a_run_stay_seeds_of_one_configuration(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK, "--seeds", "0-1")
    assert front("compress", "digits-mlp-s0", "digits-mlp-s1", *PRUNE).code == 0
    results = [result_of(folder) for folder in front.folders() if "-prune-" in folder.run_id]
    assert [result["seed"] for result in results] == [0, 1]
    assert len({result["config_id"] for result in results}) == 1
    assert len({result["digests"]["weights"] for result in results}) == 2


def test_what_is_done_is_not_made_again(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    before = snapshot(done.root / "runs")
    assert "was done already" in done("compress", "digits-mlp-s0", *PRUNE).out
    assert snapshot(done.root / "runs") == before


@pytest.mark.parametrize("schedule", ["one-shot", "gradual"])
def test_a_compressed_run_that_was_cut_off_goes_on_bit_for_bit(done: Front, schedule: str) -> None:
    done("compress", "digits-mlp-s0", *PRUNE, "--compression.schedule", schedule)
    folder = child(done, "prune")
    whole = result_of(folder)["digests"]
    spec, _ = read_spec(folder)
    prepared = prepare(spec, Execution(device="cpu", block_steps=3, checkpoint_seconds=0), runs=folder.path.parent)
    edges: list[int] = []
    result, _ = execute(
        prepared,
        folder,
        force=True,
        should_stop=lambda: len(edges) >= 4,
        on_edge=lambda state, _: edges.append(state.step),
    )
    assert result["status"] == "interrupted"
    assert done("resume").code == 0
    assert result_of(folder)["digests"] == whole


def test_scores_before_the_last_cut_select_nothing(done: Front) -> None:
    """A model that is hardly cut yet scores better than one that is cut to a fiftieth."""
    words = ("--compression.schedule", "gradual", "--compression.share", "0.98", "--evaluation.every_steps", "1")
    assert done("compress", "digits-mlp-s0", "--method", "prune", *words, "--budget.steps", "20").code == 0
    result = result_of(child(done, "prune"))
    assert result["selection"]["step"] > 10
    assert result["compression"]["note"].startswith("98.0%")


def test_the_spec_of_a_compressed_run_is_taken_back_by_run(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    folder = child(done, "prune")
    outcome = done("run", "--config", folder.path / "spec.yaml")
    assert outcome.code == 0
    assert "was done already" in outcome.out


# -- what is refused: exit code 2, and nothing is created


def refused(front: Front, *words: object) -> str:
    """Return what the command complained of; fail where it created something or showed a traceback."""
    before = snapshot(front.root)
    outcome = front("compress", *words)
    assert outcome.code == 2, outcome.text
    assert snapshot(front.root) == before
    assert "Traceback" not in outcome.err
    return outcome.err


BAD_ARGUMENTS: list[tuple[tuple[str, ...], str]] = [
    ((), "--method must be given. Known: distill, prune, quantize"),
    (("--method", "prunes"), "Did you mean 'prune'?"),
    (("--method", "prune", "--compression.shares", "1"), "Did you mean '--compression.share'?"),
    (("--method", "prune", "--compression.share", "1.5"), "`0 < share < 1` must hold"),
    (("--method", "prune", "--family.width", "3"), "Unknown argument '--family.width'"),
    (("--method", "prune", "--student", "cnn"), "Only --method distill makes a student"),
    (
        (
            "--method",
            "prune",
            "--compression.units",
            "channels",
            "--compression.schedule",
            "gradual",
            "--budget.seconds",
            "1",
            "--budget.epochs",
            "none",
        ),
        "must know the last step",
    ),
    (("--method", "prune", "--compression.fine_tuning", "false", "--optimization.lr", "1"), "trains nothing"),
    (("--method", "prune", "--execution.num_devices", "2"), "compressed on one device"),
    (("--method", "distill", "--student", "cnnn"), "Did you mean 'cnn'?"),
    (("--method", "distill", "--student", "gan"), "cannot take on the task 'digits'"),
    (("--method", "distill", "--config", "absent.yaml"), "there is no 'absent.yaml'"),
]


def test_bad_arguments_are_refused(done: Front) -> None:
    for words, said in BAD_ARGUMENTS:
        assert said in refused(done, "digits-mlp-s0", *words), words


def test_a_run_that_is_not_there_is_refused(done: Front) -> None:
    assert "No run 'digits-cnn'" in refused(done, "digits-cnn", "--method", "prune")


def test_teacher_and_student_of_different_tasks_are_refused(done: Front, tmp_path: Path) -> None:
    (tmp_path / "student.yaml").write_text("task: mnist1d\nfamily: mlp\n")
    said = refused(done, "digits-mlp-s0", "--method", "distill", "--config", tmp_path / "student.yaml")
    assert "Teacher and student share a task" in said
    assert "mnist1d" in said


def test_a_run_that_did_not_complete_is_refused(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK, "--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    assert "is diverged" in refused(front, "digits-mlp-s0", *PRUNE)


@pytest.mark.parametrize("name", ["spec.yaml", "metrics.jsonl", "checkpoints/selected.safetensors"])
def test_a_run_with_one_flipped_bit_is_refused(done: Front, name: str) -> None:
    path = done.only().path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said = refused(done, "digits-mlp-s0", *PRUNE)
    assert f"{name} does not" in said
    assert "--force" in said


def test_a_run_whose_result_is_damaged_is_refused(done: Front) -> None:
    (done.only().path / "result.json").write_text('{"status": "comp')
    assert "result.json" in refused(done, "digits-mlp-s0", *PRUNE)


def vouch(folder: RunFolder) -> None:
    """Let the result name the files as they lie there now, as one who forges a run would."""
    result = read_json(folder.path / "result.json")
    result["files"] = folder.file_digests()
    write_result(folder.path, result)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "executed"))


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_executed(done: Front, tmp_path: Path) -> None:
    folder = done.only()
    (folder.path / "checkpoints/selected.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    vouch(folder)
    assert "Boltbench loads no other form" in refused(done, folder.run_id, *PRUNE)
    assert not (tmp_path / "sprung").exists()


def test_code_in_a_spec_is_refused_and_not_executed(done: Front, tmp_path: Path) -> None:
    folder = done.only()
    spec = folder.path / "spec.yaml"
    spec.write_text(spec.read_text() + f"trap: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'sprung'}]\n")
    vouch(folder)
    assert "is damaged" in refused(done, folder.run_id, *PRUNE)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_shape_are_refused(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK)
    front("run", "digits", "mlp", *QUICK, "--family.width", "16")
    one, other = front.folders()
    shutil.copy(one.path / "checkpoints/selected.safetensors", other.path / "checkpoints/selected.safetensors")
    vouch(other)
    said = refused(front, other.run_id, *PRUNE)
    assert "must have the shape" in said
    assert "belong to another model" in said


def test_a_parent_that_is_gone_or_made_anew_stops_a_replay(done: Front) -> None:
    done("compress", "digits-mlp-s0", *PRUNE)
    folder = child(done, "prune")
    parent = RunFolder(done.root / "runs" / result_of(folder)["parent"])
    result = result_of(parent)
    result["digests"]["weights"] = "0" * 64
    write_result(parent.path, result)
    outcome = done("replay", folder.run_id)
    assert outcome.code == 2
    assert "was made anew since" in outcome.err
    shutil.rmtree(parent.path)
    outcome = done("replay", folder.run_id)
    assert outcome.code == 2
    assert "Bring its folder back" in outcome.err


@needs_torchao
def test_a_quantised_run_is_not_pruned_or_quantised_again(done: Front) -> None:
    done("compress", "digits-mlp-s0", "--method", "quantize")
    assert "for prediction only" in refused(done, "digits-mlp-quantize", *PRUNE)


def test_a_method_whose_package_is_missing_names_the_extra(done: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torchao" else find(name, *rest)
    )
    assert "boltbench[compress]" in refused(done, "digits-mlp-s0", "--method", "quantize")


def test_channels_of_a_family_without_hidden_layers_are_refused(front: Front) -> None:
    front("run", "digits", "linear", *QUICK)
    said = refused(front, "digits-linear", "--method", "prune", "--compression.units", "channels")
    assert "Take --compression.units weights" in said
