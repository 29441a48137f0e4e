"""Encoders of transformers: what is read from a folder, what a text becomes, and what is refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.cli import main
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.runs.prepare import prepare
from suite.runs.source import open_source
from suite.seeds import seed_torch
from suite.spec import RunSpec
from suite.task import Task

pytest.importorskip("transformers", reason="an extra; `make install` brings it for the tests")
from suite.families.huggingface import HuggingFace, write_small_encoder


class ExecutedError(Exception):
    """Raised by the pickle below when somebody reads it."""


class Malicious:
    def __reduce__(self) -> Any:
        return (_execute, ())


def _execute() -> None:
    raise ExecutedError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    write_small_encoder(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "encoder"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_texts_become_word_pieces_between_two_marks_and_are_filled_up(
    folder: Path, toys: dict[str, type[Task]]
) -> None:
    card = toys["toy-tokens"]().card()  # tokens are a gap and the letters a to f
    found = HuggingFace(folder=str(folder)).encode(card, torch.tensor([[0, 0, 1, 3], [1, 2, 6, 6]]))
    assert found.tolist() == [[2, 4, 6, 3, 0, 0], [2, 4, 5, 9, 9, 3]]


def test_what_fills_a_text_up_changes_no_answer(folder: Path, toys: dict[str, type[Task]]) -> None:
    card = toys["toy-tokens"]().card()
    for readout in ("mean", "first"):
        seed_torch(0)
        learner = HuggingFace(folder=str(folder), readout=readout).build(card).eval()
        text = torch.tensor([[2, 4, 6, 3]])
        longer = torch.cat([text, torch.zeros((1, 5), dtype=torch.int64)], dim=1)
        with torch.no_grad():
            torch.testing.assert_close(learner(text), learner(longer), rtol=0, atol=1e-6)


def test_pretrained_weights_are_the_folders_and_the_output_is_the_seeds(
    folder: Path, toys: dict[str, type[Task]]
) -> None:
    card = toys["toy-tokens"]().card()

    def built(seed: int, *, pretrained: bool) -> dict[str, torch.Tensor]:
        seed_torch(seed)
        return dict(HuggingFace(folder=str(folder), pretrained=pretrained).build(card).state_dict())

    one, other, fresh, again = (
        built(seed, pretrained=is_pretrained) for seed, is_pretrained in ((0, True), (1, True), (0, False), (1, False))
    )
    encoder = [name for name in one if name.startswith("encoder.") and one[name].ndim > 1]
    assert encoder
    assert all(torch.equal(one[name], other[name]) for name in encoder)
    assert not any(torch.equal(fresh[name], item) for name in encoder for item in (one[name], again[name]))
    assert torch.equal(one["output.weight"], fresh["output.weight"])
    assert not torch.equal(one["output.weight"], other["output.weight"])


def test_identity_is_what_lies_in_the_folder_and_not_where(folder: Path, made: Path) -> None:
    here, there = HuggingFace(folder=str(folder)), HuggingFace(folder=str(made))
    assert here.changed() == there.changed()
    assert here.changed()["weights"].startswith("bert@")
    assert here.own_weights() == here.changed()["weights"]
    assert HuggingFace(folder=str(folder), pretrained=False).own_weights() is None
    edit(folder / "tokenizer.json", version="1.0 ")
    assert HuggingFace(folder=str(folder)).changed() != there.changed()
    with pytest.raises(UserError, match="is another model, or was changed"):
        HuggingFace(folder=str(folder), weights_sha256=there.weights_sha256)


def test_dropout_acts_before_the_output_alone(folder: Path, toys: dict[str, type[Task]]) -> None:
    learner = HuggingFace(folder=str(folder)).build(toys["toy-tokens"]().card()).train()
    text = torch.tensor([[2, 4, 6, 3]])
    with torch.no_grad():
        assert torch.equal(learner(text), learner(text))


@pytest.mark.usefixtures("registered_toys")
def test_a_run_goes_on_with_its_encoder_frozen_and_is_read_back(folder: Path, run_quickly: Callable[..., Any]) -> None:
    family = {"name": "huggingface", "folder": str(folder)}
    result, written = run_quickly({"task": "toy-tokens", "family": family, "transfer": {"train": "head"}}, steps=3)
    assert result["transfer"]["trained_layers"] == ["output"]
    assert result["spec"]["family"]["weights_sha256"] == HuggingFace(folder=str(folder)).weights_sha256
    assert "folder" not in result["spec"]["family"]
    assert written.environment()["decisive"]["packages"]["transformers"]
    source = open_source(written, purpose="read")
    kept, fresh = source.build(torch.device("cpu")).state_dict(), HuggingFace(folder=str(folder)).build(source.card)
    assert all(torch.equal(kept[f"encoder.{name}"], item) for name, item in fresh.encoder.state_dict().items())


def damage_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious()))


def widen(folder: Path) -> None:
    edit(folder / "config.json", hidden_size=32)


def of_another_library(folder: Path) -> None:
    edit(folder / "config.json", model_type="no-such-model")


def with_code_of_its_own(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('executed')\n")
    edit(folder / "config.json", auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Config"})


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def with_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def for_short_texts(folder: Path) -> None:
    write_small_encoder(folder, most_pieces=8)


MISTAKES: dict[str, tuple[Callable[[Path], None], str]] = {
    "gone": (shutil.rmtree, "must be a folder, but there is none"),
    "damaged": (damage_weights, "must hold an encoder of transformers"),
    "pickle": (only_a_pickle, "'pytorch_model.bin' is a pickle, which executes the code in it"),
    "shape": (widen, "must be those of the model in its config"),
    "other library": (of_another_library, "must hold an encoder of transformers"),
    "code": (with_code_of_its_own, "names code of its own"),
    "no tokenizer": (without_tokenizer, "has no tokenizer.json"),
    "broken tokenizer": (with_a_broken_tokenizer, "must hold a tokenizer"),
    "short": (for_short_texts, "may have 8 word pieces at most"),
}


@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_folder_that_will_not_do_is_refused_before_anything_is_made(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, law = MISTAKES[name]
    spoil(folder)
    for _ in range(2):  # nothing of a first try is kept that would let a second one through
        assert main(["run", "toy-tokens", "huggingface", "--family.folder", str(folder)]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert law in said
        assert "Traceback" not in said
    assert not Path("runs").exists()


def test_a_name_of_the_hub_is_looked_up_on_this_machine_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toys: dict[str, type[Task]]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UserError, match="must be in the hub's local cache, but is not"):
        HuggingFace(hub_name="someone/encoder")
    with pytest.raises(UserError, match="must be a name such as"):
        HuggingFace(hub_name="no name/at all")
    with pytest.raises(UserError, match="not both"):
        HuggingFace(hub_name="someone/encoder", folder=str(folder))
    kept = tmp_path / "hub" / "models--someone--encoder"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, kept / "snapshots" / ("0" * 40))
    by_name = HuggingFace(hub_name="someone/encoder")
    assert by_name.changed() == HuggingFace(folder=str(folder)).changed()
    assert by_name.misfit(toys["toy-tokens"]().card()) is None


@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize(("task", "reason"), [("toy-text", "no characters"), ("toy-vector", "no characters")])
def test_a_task_that_is_no_text_for_one_answer_is_refused(task: str, reason: str, folder: Path) -> None:
    spec = RunSpec.from_mapping({"task": task, "family": {"name": "huggingface", "folder": str(folder)}})
    with pytest.raises(UserError, match=reason):
        prepare(spec, Execution(device="cpu", threads=1))
