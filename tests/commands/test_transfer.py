"""`boltbench run --init-from` through the front door: what is taken over and said, made again, and refused."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from suite.runs.folder import WEIGHTS, RunFolder
from tests.commands.front import QUICK, Front, read_json, snapshot, write_result


@pytest.fixture
def source(front: Front) -> RunFolder:
    """A finished run whose layers have norms with running statistics."""
    assert front("run", "digits", "mlp", *QUICK, "--family.norm", "batch").code == 0
    return front.only()


def result_of(folder: RunFolder) -> dict[str, Any]:
    result = folder.result()
    assert result is not None
    assert result["status"] == "completed", result["message"]
    return result


def test_what_is_taken_over_is_said_and_recorded(front: Front, source: RunFolder) -> None:
    words = ("--family.num_layers", "3", "--family.norm", "batch", "--seeds", "1")
    outcome = front("run", "digits", "mlp", *QUICK, *words, "--init-from", "digits-mlp-s0")
    assert outcome.code == 0, outcome.text
    assert f"begins with {source.run_id}" in outcome.out
    assert "taken over  hidden.0.0, hidden.0.1, hidden.1.0, hidden.1.1, output" in outcome.out
    assert "left fresh  hidden.2.0, hidden.2.1" in outcome.out
    assert "not used    none" in outcome.out
    (folder,) = [folder for folder in front.folders() if folder.run_id != source.run_id]
    result = result_of(folder)
    assert result["origin"] == source.run_id
    assert result["transfer"]["fresh"] == ["hidden.2.0", "hidden.2.1"]
    assert result["spec"]["origin"]["weights"] == result_of(source)["digests"]["weights"]
    assert f"init_from={source.run_id}" in "".join(front("leaderboard", "--format", "csv").out.split())
    replayed = front("replay", folder.run_id)
    assert replayed.code == 0, replayed.text
    assert "bit-exact" in replayed.out


def test_random_features_are_a_baseline_of_their_own(front: Front) -> None:
    outcome = front("run", "digits", "mlp", *QUICK, "--transfer.train", "head")
    assert outcome.code == 0, outcome.text
    assert "begins with the initial weights\n  trains      output\n  frozen      hidden.0, hidden.1" in outcome.out
    result = front.result()
    assert result["transfer"]["trained_parameters"] == 650
    assert result["cost"]["num_parameters"] == 8970
    assert result["origin"] is None


def test_a_run_for_each_seed_makes_seeds_of_one_configuration(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK, "--seeds", "0-1")
    sources = [folder.run_id for folder in front.folders()]
    outcome = front("run", "digits", "mlp", *QUICK, "--init-from", "digits-mlp-s0,digits-mlp-s1")
    assert outcome.code == 0, outcome.text
    results = [result_of(folder) for folder in front.folders() if folder.run_id not in sources]
    assert [(result["seed"], result["origin"]) for result in results] == [(0, sources[0]), (1, sources[1])]
    assert len({result["config_id"] for result in results}) == 1
    assert "there is none for seed=2" in refused(
        front, "digits", "mlp", *QUICK, "--seeds", "0-2", "--init-from", ",".join(sources)
    )


def test_a_plan_and_a_search_begin_with_a_run_too(front: Front, source: RunFolder, tmp_path: Path) -> None:
    settings = f"{{origin: {source.run_id}, transfer: {{train: head}}, budget: {{epochs: 1}}}}"
    (tmp_path / "plan.yaml").write_text(
        "description: begins with a run\nruns:\n"
        f"  - {{tasks: [digits], families: [{{name: mlp, norm: batch}}], seeds: '1', settings: {settings}}}\n"
    )
    assert front("run", "--plan", tmp_path / "plan.yaml", "--execution.device", "cpu").code == 0
    words = ("--space.transfer.layer_decay", "0.3,1.0", "--trials", "2", "--final-seeds", "0", "--workers", "inline")
    searched = front(
        *("sweep", "digits", "mlp", "--family.norm", "batch", "--preset", "none", "--sampler", "random"),
        *(*words, "--init-from", source.run_id, "--budget.epochs", "1", "--no-plots"),
    )
    assert searched.code == 0, searched.text
    results = [result_of(folder) for folder in front.folders() if folder.run_id != source.run_id]
    assert {result["origin"] for result in results} == {source.run_id}
    assert len(results) >= 2


# -- what is refused: exit code 2, and nothing is created


def refused(front: Front, *words: object, verb: str = "run") -> str:
    """Return what the command complained of; fail where it created something or showed a traceback."""
    before = snapshot(front.root)
    outcome = front(verb, *words)
    assert outcome.code == 2, outcome.text
    assert snapshot(front.root) == before
    assert "Traceback" not in outcome.err
    return outcome.err


MLP = ("digits", "mlp", *QUICK, "--family.norm", "batch")
BAD_ARGUMENTS: list[tuple[tuple[str, ...], str]] = [
    (("--init-from", "digits-cnn"), "No run 'digits-cnn'"),
    (("--init-from", "digits-mlp-s0,"), "must name a run, or several"),
    (("--init-from", "digits-mlp-s0,digits-mlp-s0"), "must be seeds of one configuration"),
    (("--init-from", "digits-mlp-s0", "--family.width", "32"), "must fit by name and shape, but none does"),
    (("--init-from", "digits-mlp-s0", "--transfer.freeze", "hiden.*"), "'hiden.*' matches none"),
    (("--init-from", "digits-mlp-s0", "--transfer.freeze", "*"), "Something must train"),
    (("--init-from", "digits-mlp-s0", "--transfer.freeze_layers", "3"), "Something must train"),
    (("--transfer.freeze_layers", "4"), "`transfer.freeze_layers < number of layers` must hold, but got 4 for 3"),
    (("--transfer.freeze", "output", "--transfer.train", "head"), "Something must train"),
    (("--transfer.layer_decay", "0"), "`0 < layer_decay <= 1` must hold"),
    (("--transfer.train", "heads"), "Did you mean 'head'?"),
    (
        ("--init-from", "digits-mlp-s0", "--family.widths", "64,32", "--transfer.train", "head"),
        "hidden.1.0, hidden.1.1 would stay as drawn from the seed",
    ),
    (("--init-from", "digits-mlp-s0", "--execution.num_devices", "2"), "is made on one device"),
]


def test_bad_arguments_are_refused(front: Front, source: RunFolder) -> None:
    for words, said in BAD_ARGUMENTS:
        assert said in refused(front, *MLP, *words), words


def test_a_family_with_several_optimisers_freezes_nothing(front: Front) -> None:
    said = refused(front, "ring", "gan", "--task.num_train", "1000", "--transfer.layer_decay", "0.5")
    assert "this family has several" in said


def test_a_run_that_did_not_complete_is_refused(front: Front) -> None:
    front("run", "digits", "mlp", *QUICK, "--optimization.optimizer", "sgd", "--optimization.lr", "1e18")
    assert "is diverged" in refused(front, "digits", "mlp", *QUICK, "--init-from", "digits-mlp-s0")


def test_a_run_with_one_flipped_bit_is_refused(front: Front, source: RunFolder) -> None:
    content = bytearray((source.path / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (source.path / WEIGHTS).write_bytes(content)
    said = refused(front, *MLP, "--init-from", source.run_id)
    assert f"{WEIGHTS} does not" in said
    assert "--force" in said


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "executed"))


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_executed(
    front: Front, source: RunFolder, tmp_path: Path
) -> None:
    (source.path / WEIGHTS).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    result = read_json(source.path / "result.json")
    write_result(source.path, result | {"files": source.file_digests()})  # as one who forges a run would
    assert "Boltbench loads no other form" in refused(front, *MLP, "--init-from", source.run_id)
    assert not (tmp_path / "sprung").exists()


def test_a_source_that_is_gone_or_made_anew_stops_a_replay(front: Front, source: RunFolder) -> None:
    front("run", *MLP, "--seeds", "1", "--init-from", source.run_id)
    (folder,) = [folder for folder in front.folders() if folder.run_id != source.run_id]
    result = result_of(source)
    write_result(source.path, result | {"digests": result["digests"] | {"weights": "0" * 64}})
    assert "was made anew since" in refused(front, folder.run_id, verb="replay")
    shutil.rmtree(source.path)
    said = refused(front, folder.run_id, verb="replay")
    assert repr(source.run_id) in said
    assert "Bring its folder back" in said


def test_half_an_origin_in_a_file_is_refused(front: Front, tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("task: digits\nfamily: mlp\norigin: {run_id: digits-mlp-s0-0}\n")
    assert "`origin.config_id` must be given" in refused(front, "--config", tmp_path / "half.yaml")
