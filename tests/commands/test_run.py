from pathlib import Path

import pytest
import yaml

from suite.runs.folder import RESULT, Store
from suite.runs.mirror import Mirror, default_tracking_uri
from tests.commands.front import QUICK, Front, read_json, snapshot


def test_a_run_leaves_every_file_of_its_folder_and_vouches_for_each(done: Front) -> None:
    folder = done.only()
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    vouched = {
        "spec.yaml",
        "environment.json",
        "metrics.jsonl",
        "predictions.npz",
        "examples.npz",
        "checkpoints/selected.safetensors",
    }
    assert names == {*vouched, "result.json", ".lock"}
    assert set(done.result()["files"]) == vouched
    assert folder.damaged_files() == []


def test_the_result_is_the_last_file_to_be_written(done: Front) -> None:
    folder = done.only()
    times = {path.name: path.stat().st_mtime_ns for path in folder.path.rglob("*") if path.is_file()}
    times.pop(".lock")
    assert max(times, key=lambda name: times[name]) == RESULT


def test_the_result_scores_val_and_test_and_counts_the_cost(done: Front) -> None:
    result = done.result()
    assert result["status"] == "completed"
    assert set(result["scores"]) == {"val/accuracy", "val/loss", "test/accuracy", "test/loss"}
    assert result["cost"]["steps"] == 2 * 20
    assert result["cost"]["num_parameters"] == 64 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10
    assert result["determinism"] == "deterministic"


def test_mlflow_holds_the_run_under_its_id_with_flat_parameters(done: Front) -> None:
    (run,) = done.mlflow_runs()
    assert run.data.tags["run_id"] == done.only().run_id
    assert f"digits-{run.info.run_name}" == done.only().run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["task"] == "digits"
    assert run.data.params["family"] == "mlp"
    assert run.data.params["family.width"] == "64"
    assert run.data.params["budget.epochs"] == "2"
    assert run.data.params["optimization.lr"] == "0.001"
    assert all("{" not in value for value in run.data.params.values())


def test_mlflow_says_which_data_a_run_saw_and_what_its_experiment_is_about(done: Front) -> None:
    (run,) = done.mlflow_runs()
    ((dataset),) = [item.dataset for item in run.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("digits", done.result()["data_sha256"][:10])
    client = Mirror(Store(done.root), default_tracking_uri(Store(done.root))).client()
    experiment = client.get_experiment(run.info.experiment_id)
    assert "`test/accuracy` counts, higher is better, floor 0.1." in experiment.tags["mlflow.note.content"]


def test_mlflow_tags_say_what_a_run_is_searched_by(done: Front) -> None:
    (run,) = done.mlflow_runs()
    tags = run.data.tags
    assert (tags["task"], tags["family"], tags["seed"], tags["status"]) == ("digits", "mlp", "0", "completed")
    assert tags["config_id"] == done.result()["config_id"]


def test_mlflow_holds_the_val_curve_the_final_scores_and_the_cost(done: Front) -> None:
    ((_info, _params, _tags, curves, artifacts),) = done.mlflow_content().values()
    result = done.result()
    assert [step for step, _, _ in curves["val/accuracy"]] == [20, 40]
    assert curves["train/loss"][-1][0] == 40
    assert [value for _, _, value in curves["test/accuracy"]] == [result["scores"]["test/accuracy"]]
    assert [value for _, _, value in curves["val/selected_accuracy"]] == [result["scores"]["val/accuracy"]]
    for name in ("seconds", "steps", "num_parameters", "peak_memory_mib", "flops_per_step"):
        assert [value for _, _, value in curves[f"train/{name}"]] == [result["cost"][name]]
    single = [name for name, points in curves.items() if len(points) == 1]
    assert {step for name in single for step, _, _ in curves[name]} == {0}, "MLflow draws bars of these"
    pictures = ["confusion_matrix.png", "learning_curve.png"]
    assert artifacts == sorted(["environment.json", "result.json", "spec.yaml", *pictures])


def test_the_leaderboard_is_printed_at_the_end(front: Front) -> None:
    outcome = front("run", "digits", "mlp", *QUICK)
    assert "digits: test accuracy (%)" in outcome.out
    assert f"{100 * front.result()['scores']['test/accuracy']:.2f}" in outcome.out


def test_the_second_call_says_so_and_changes_no_byte(done: Front) -> None:
    before = snapshot(done.root / "runs"), done.mlflow_rows()
    outcome = done("run", "digits", "mlp", *QUICK)
    assert outcome.code == 0
    assert "was done already" in outcome.out
    after = snapshot(done.root / "runs"), done.mlflow_rows()
    assert {name for name in before[0] if before[0][name] != after[0][name]} <= {f"{done.only().run_id}/.lock"}
    assert set(before[0]) == set(after[0])
    assert before[1] == after[1]


def test_force_makes_the_run_anew_with_the_same_digests(done: Front) -> None:
    before = done.result()
    outcome = done("run", "digits", "mlp", "--force", *QUICK)
    assert outcome.code == 0
    assert "was done already" not in outcome.out
    after = done.result()
    assert after["started_at"] > before["started_at"]
    assert after["digests"] == before["digests"]
    assert len(done.mlflow_content()) == 1


def test_seeds_make_one_run_each_under_one_config_id(front: Front) -> None:
    outcome = front("run", "digits", "mlp", "--seeds", "0-1,5", *QUICK)
    assert outcome.code == 0
    results = [folder.result() or {} for folder in front.folders()]
    assert sorted(result["seed"] for result in results) == [0, 1, 5]
    assert len({result["config_id"] for result in results}) == 1
    assert len({result["digests"]["weights"] for result in results}) == 3
    assert len(front.mlflow_content()) == 3
    assert "over 3" in outcome.out


def test_the_length_of_blocks_changes_no_digest(front: Front, tmp_path: Path) -> None:
    front("run", "digits", "mlp", *QUICK, "--execution.block_steps", "1")
    once = front.result()["digests"]
    front("run", "digits", "mlp", *QUICK, "--execution.block_steps", "50", "--force")
    assert front.result()["digests"] == once


def test_print_config_round_trips_and_creates_nothing(tmp_path: Path) -> None:
    front = Front(tmp_path / "absent")
    words = ("run", "digits", "cnn", "--family.channels", "8", "--optimization.lr", "3e-3", "--seeds", "7")
    printed = front(*words, "--print_config").out
    config = tmp_path / "config.yaml"
    config.write_text(printed)
    again = front("run", "--config", config, "--print_config")
    assert again.code == 0
    assert again.out == printed
    assert yaml.safe_load(printed)["optimization"]["lr"] == 3e-3
    assert yaml.safe_load(printed)["seed"] == 7
    assert not front.root.exists()


def test_a_flag_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("task: digits\nfamily: {name: mlp, width: 32, num_layers: 3}\nbudget: {epochs: 4}\n")
    outcome = Front(tmp_path)("run", "--config", config, "--family.width", "16", "--print_config")
    spec = yaml.safe_load(outcome.out)
    assert {**spec["family"], "width": 16, "num_layers": 3} == spec["family"]
    assert (spec["family"]["name"], spec["family"]["activation"]) == ("mlp", "relu")
    assert spec["budget"]["epochs"] == 4
    assert spec["data"]["batch_size"] == 64


def test_a_spec_on_disk_is_a_config_of_the_same_run(done: Front) -> None:
    outcome = done("run", "--config", done.only().path / "spec.yaml", "--execution.device", "cpu")
    assert outcome.code == 0
    assert "was done already" in outcome.out
    done.only()


def test_a_plan_file_runs_every_pair_that_fits(front: Front, tmp_path: Path) -> None:
    plan = tmp_path / "tiny.yaml"
    plan.write_text(
        "description: two families, two seeds\n"
        "runs:\n"
        "  - tasks: [digits]\n"
        "    families: [linear, {name: mlp, width: 8}]\n"
        "    seeds: 0-1\n"
        "    settings: {budget: {epochs: 1}, execution: {device: cpu}}\n"
    )
    outcome = front("run", "--plan", plan)
    assert outcome.code == 0
    results = [folder.result() or {} for folder in front.folders()]
    assert sorted((r["family"], r["seed"]) for r in results) == [("linear", 0), ("linear", 1), ("mlp", 0), ("mlp", 1)]
    assert {r["spec"]["family"].get("width") for r in results if r["family"] == "mlp"} == {8}
    assert "boltbench replay" in outcome.out


def test_a_plan_over_all_tasks_leaves_those_without_data_out_by_name(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("BOLTBENCH_DATA", str(tmp_path / "empty"))
    monkeypatch.setenv("BOLTBENCH_CACHE", str(tmp_path / "empty"))
    plan = tmp_path / "plan.yaml"
    short = "settings: {budget: {steps: 1}}"
    plan.write_text(f"runs: [{{tasks: all image-classification, families: [linear, vae], {short}}}]")
    outcome = front("run", "--plan", plan, "--execution.device", "cpu")
    assert outcome.code == 0, outcome
    assert "image-folder is left out: The task image-folder needs a folder" in outcome.err
    for name in ("mnist", "cifar10"):
        assert sum(line.startswith(f"{name} is left out: ") for line in outcome.err.splitlines()) == 1
        assert f"boltbench data fetch {name}" in outcome.err
    assert "digits is not for vae" in outcome.err
    assert "digits" in {(folder.result() or {})["task"] for folder in front.folders()}
    plan.write_text(f"runs: [{{tasks: [digits, cifar10], families: [linear], {short}}}]")
    outcome = front("run", "--plan", plan)  # what was asked for by name is not left out
    assert outcome.code == 2
    assert "boltbench data fetch cifar10" in outcome.err


def test_a_pair_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path) -> None:
    plugin = tmp_path / "picky.py"
    plugin.write_text(
        "import dataclasses\n"
        "from typing import ClassVar\n"
        "from suite.families.linear import Linear\n"
        "@dataclasses.dataclass(frozen=True, kw_only=True)\n"
        "class Picky(Linear):\n"
        '    """Takes nothing on."""\n'
        '    name: ClassVar[str] = "picky"\n'
        "    def supports(self, card):\n"
        '        return "it wants text"\n'
    )
    from suite.family import FAMILIES

    front = Front(tmp_path / "root")
    try:
        outcome = front("run", "digits", "picky", "--plugin", plugin)
    finally:
        FAMILIES.remove("picky")
    assert outcome.code == 2
    assert "'picky'" in outcome.err
    assert "it wants text" in outcome.err
    assert not front.root.exists()


def test_a_diverged_run_is_recorded_and_shown(front: Front) -> None:
    outcome = front("run", "digits", "mlp", *QUICK, "--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    assert outcome.code == 1
    assert front.result()["status"] == "diverged"
    assert "at step" in front.result()["message"]
    (run,) = front.mlflow_runs()
    assert run.info.status == "FAILED"
    assert run.data.tags["status"] == "diverged"
    assert "Traceback" not in outcome.text


def test_help_settings_names_every_flag_of_the_pair(tmp_path: Path) -> None:
    outcome = Front(tmp_path)("run", "digits", "mlp", "--help-settings")
    assert outcome.code == 0
    for flag in ("--family.width", "--optimization.lr", "--regularization.dropout", "--execution.threads"):
        assert flag in outcome.out


def test_environment_json_holds_the_fingerprint_that_the_result_names(done: Front) -> None:
    environment = read_json(done.only().path / "environment.json")
    assert environment["environment_id"] == done.result()["environment_id"]
    assert environment["decisive"]["packages"]["torch"]
    assert environment["decisive"]["threads"] == 1
