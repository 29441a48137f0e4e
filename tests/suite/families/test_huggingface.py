"""Encoders of transformers: what is read from a folder, what a text becomes, and what is refused."""

import dataclasses
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
from suite.runs.explain import open_case
from suite.runs.prepare import prepare
from suite.runs.source import open_source
from suite.seeds import seed_torch
from suite.spec import RunSpec
from suite.task import TASKS, Task

pytest.importorskip("transformers", reason="an extra; `make install` brings it for the tests")
from suite.families.huggingface import HuggingFace
from suite.networks.text_encoder import write_small_encoder


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


@pytest.mark.usefixtures("registered_toys")
def test_what_reads_characters_and_what_reads_word_pieces_do_not_meet(
    folder: Path, run_quickly: Callable[..., Any]
) -> None:
    family = {"name": "huggingface", "folder": str(folder)}
    _, written = run_quickly({"task": "toy-tokens", "family": family}, steps=2)
    source = open_source(written, purpose="compressed")
    with pytest.raises(UserError, match="reads inputs in a form of its own"):
        open_case(source, 2)
    parent = {
        "run_id": written.path.name,
        "config_id": source.result["config_id"],
        "weights": source.weights_sha256,
        "model": source.text(),
    }
    student = {"task": "toy-tokens", "family": "rnn", "compression": "distill", "parent": parent}
    with pytest.raises(UserError, match="reads them in another form than 'huggingface'"):
        prepare(RunSpec.from_mapping(student), Execution(device="cpu", threads=1), runs=written.path.parent)
    alike = {**student, "family": family}
    prepare(RunSpec.from_mapping(alike), Execution(device="cpu", threads=1), runs=written.path.parent)


@pytest.mark.usefixtures("registered_toys")
def test_a_search_does_not_choose_which_encoder_is_meant(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "toy-tokens", "huggingface", "--family.folder", str(folder), "--trials", "2"]
    assert main([*words, "--space.family.folder", f"{folder},elsewhere"]) == 2
    assert "cannot be searched: it says what the family is" in " ".join(capsys.readouterr().err.split())
    assert not Path("studies").exists()


@pytest.mark.usefixtures("registered_toys")
def test_a_test_text_that_is_too_long_is_found_before_the_training(folder: Path, toys: dict[str, type[Task]]) -> None:
    class Longer(toys["toy-tokens"]):  # type: ignore[misc]
        """The same texts for training, and longer ones for the test."""

        name = "longer-tk"

        def card(self) -> Any:
            return dataclasses.replace(super().card(), name=self.name)

        def load(self, splits: Any = ("train", "val", "test")) -> Any:
            loaded = super().load(splits)
            found = dict(loaded.by_name)
            if "test" in found:
                found["test"] = dataclasses.replace(found["test"], inputs=torch.ones((32, 60), dtype=torch.int64))
            return dataclasses.replace(loaded, by_name=found)

    TASKS.add(Longer)
    try:
        spec = RunSpec.from_mapping({"task": "longer-tk", "family": {"name": "huggingface", "folder": str(folder)}})
        with pytest.raises(UserError, match="must have from 1 to 40 word pieces, but that of example 0 has 62"):
            prepare(spec, Execution(device="cpu", threads=1))
    finally:
        TASKS.remove("longer-tk")


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


def in_several_files(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("{}")


def that_looks_back_only(folder: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 40}
    GPT2Model(GPT2Config(vocab_size=30, pad_token_id=0, **sizes)).save_pretrained(folder)


def that_looks_at_a_window(folder: Path) -> None:
    from transformers import ModernBertConfig, ModernBertModel

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = ModernBertConfig(
        vocab_size=30,
        pad_token_id=0,
        local_attention=4,
        global_attn_every_n_layers=2,
        max_position_embeddings=40,
        **sizes,
    )
    ModernBertModel(config).save_pretrained(folder)


def without_padding(folder: Path) -> None:
    edit(folder / "config.json", pad_token_id=None)


def with_pieces_that_have_no_embedding(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["a"] = 99
    (folder / "tokenizer.json").write_text(json.dumps(content))


def for_short_texts(folder: Path) -> None:
    write_small_encoder(folder, most_pieces=8)


MISTAKES: dict[str, tuple[Callable[[Path], None], str]] = {
    "gone": (shutil.rmtree, "must be a folder, but there is none"),
    "damaged": (damage_weights, "must hold an encoder of transformers"),
    "pickle": (only_a_pickle, "'pytorch_model.bin' is a pickle, which executes the code in it"),
    "shape": (widen, "must be those of the model in its config"),
    "other library": (of_another_library, "must hold an encoder of transformers"),
    "code": (with_code_of_its_own, "and no code of its own, but it has 'auto_map'"),
    "no tokenizer": (without_tokenizer, "has no tokenizer.json"),
    "broken tokenizer": (with_a_broken_tokenizer, "must hold a tokenizer"),
    "several files": (in_several_files, "must hold its weights in model.safetensors alone"),
    "looks back": (that_looks_back_only, "must attend to the whole text from every word piece"),
    "window": (that_looks_at_a_window, "must attend to the whole text from every word piece"),
    "no padding": (without_padding, "but says no pad_token_id"),
    "pieces": (with_pieces_that_have_no_embedding, "must number word pieces below 30"),
    "short": (for_short_texts, "must have from 1 to 8 word pieces"),
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
