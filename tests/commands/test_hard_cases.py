"""Cases in which a wrong order of steps would lose a run, mix val with test, or send a user in circles."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.cli import main
from suite.engine.evaluation import evaluate
from suite.runs import scoring
from suite.runs.folder import RunFolder, Store


def only_run() -> RunFolder:
    (folder,) = Store(Path()).folders()
    return folder


def result_of(folder: RunFolder) -> dict[str, object]:
    result = folder.result()
    assert result is not None
    return result


def test_a_generator_is_tested_on_other_samples_than_it_was_selected_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def recording(*arguments: Any, **settings: Any) -> tuple[dict[str, float], torch.Tensor]:
        scores, samples = evaluate(*arguments, **settings)
        seen.append(samples)
        return scores, samples

    monkeypatch.setattr(scoring, "evaluate", recording)
    small = ["--family.generator_width", "16", "--family.discriminator_width", "8", "--budget.steps", "5"]
    assert main(["run", "ring", "gan", "--task.num_train", "2000", *small]) == 0
    val, test = seen
    assert val.shape == test.shape
    assert not torch.equal(val, test)


def test_weights_that_leave_the_numbers_in_the_last_step_are_a_diverged_run(capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--optimization.optimizer", "sgd", "--optimization.lr", "1e38", "--budget.steps", "1"]
    code = main(["run", "mnist1d", "linear", "--task.full_train", "true", "--evaluation.selection", "last", *wild])
    assert code == 1
    result = result_of(only_run())
    assert result["status"] == "diverged"
    assert result["scores"] == {}
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_that_the_clock_ended_replays_with_the_schedule_of_its_whole_budget(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = ["--budget.seconds", "0.5", "--budget.epochs", "5000", "--optimization.schedule", "cosine"]
    assert main(["run", "digits", "linear", *clock]) == 0
    assert main(["replay", only_run().run_id]) == 0
    assert "bit-exact" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["result.json", "environment.json"])
def test_force_mends_what_the_message_says_it_mends(name: str) -> None:
    assert main(["run", "digits", "linear", "--budget.epochs", "1"]) == 0
    folder = only_run()
    digests = result_of(folder)["digests"]
    (folder.path / name).write_text("{")
    assert main(["run", "digits", "linear", "--budget.epochs", "1", "--force"]) == 0
    assert result_of(folder)["digests"] == digests


def test_a_damaged_neighbour_stops_neither_resume_nor_list_nor_replay(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "digits", "linear", "--budget.epochs", "1", "--seeds", "0-1"]) == 0
    sound, broken = Store(Path()).folders()
    (broken.path / "result.json").write_text("{")
    capsys.readouterr()
    assert main(["list", "runs"]) == 0
    assert f"{broken.run_id}  damaged" in capsys.readouterr().out
    assert main(["replay", sound.run_id]) == 0
    assert main(["resume"]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert json.loads((sound.path / "replay.json").read_text())["grade"] == "bit-exact"


def test_a_run_that_goes_on_has_no_result_while_it_does(run_until_interrupted: RunFolder) -> None:
    from suite.runs.execute import execute
    from suite.runs.prepare import prepare
    from suite.runs.replay import read_spec

    seen: list[bool] = []
    prepared = prepare(*read_spec(run_until_interrupted))
    result, _ = execute(
        prepared,
        run_until_interrupted,
        on_edge=lambda _state, _row: seen.append((run_until_interrupted.path / "result.json").exists()),
    )
    assert result["status"] == "completed"
    assert seen
    assert not any(seen)


@pytest.fixture
def run_until_interrupted() -> RunFolder:
    from suite.engine.devices import Execution
    from suite.runs.execute import execute
    from suite.runs.prepare import prepare
    from suite.spec import RunSpec

    prepared = prepare(RunSpec.from_mapping({"task": "digits", "family": "linear"}), Execution(block_steps=20))
    folder = RunFolder(Path("runs") / prepared.run_id)
    calls = iter(range(100))
    result, _ = execute(prepared, folder, should_stop=lambda: next(calls) == 3)
    assert result["status"] == "interrupted"
    return folder


@pytest.mark.parametrize("flag", ["--help-settings", "--print_config"])
def test_questions_about_one_pair_do_not_start_a_plan(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--plan", "quick", flag]) == 2
    assert "one" in capsys.readouterr().err
    assert not Path("runs").exists()
