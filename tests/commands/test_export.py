"""`boltbench export` through the front door: what a file holds, what it computes, and what is refused."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch

from suite.format import FORMATS
from tests.commands.front import QUICK, Front, environment, make_front, read_json, snapshot

needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in FORMATS.get("onnx").packages),
    reason="an extra that `make install` leaves out",
)


def onnx_about(path: Path) -> Mapping[str, str]:
    import onnx

    return {item.key: item.value for item in onnx.load(path).metadata_props}


def program_about(path: Path) -> Mapping[str, str]:
    extra = {f"boltbench/{name}": "" for name in ("run_id", "card", "input", "output", "preprocessing", "spec")}
    torch.export.load(path, extra_files=extra)
    return {name.removeprefix("boltbench/"): text for name, text in extra.items()}


def weights_about(path: Path) -> Mapping[str, str]:
    with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]  # it has no annotations
        return dict(file.metadata())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Path:
    """Return a root that holds one finished run of digits and mlp."""
    root = tmp_path_factory.mktemp("export") / "root"
    assert make_front(root, migrated_store)("run", "digits", "mlp", *QUICK).code == 0
    return root


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Front:
    """The command over a copy of that root."""
    shutil.copytree(finished, tmp_path / "root")
    return Front(tmp_path / "root")


ABOUT: list[Any] = [
    pytest.param("onnx", onnx_about, marks=needs_onnx),
    ("exported-program", program_about),
    ("safetensors", weights_about),
]


def exported(front: Front, format: str) -> Path:
    return front.root / "exports" / f"{front.only().run_id}{FORMATS.get(format).suffix}"


def stored_test_inputs() -> np.ndarray[Any, Any]:
    """Return the pictures of the test split as the task stores them: bytes from 0 to 16."""
    from suite.task import TASKS

    inputs = TASKS.get("digits")().load(["test"])["test"].inputs
    assert inputs.dtype == torch.uint8
    return inputs.numpy().astype(np.float32)


def recorded(front: Front) -> np.ndarray[Any, Any]:
    with np.load(front.only().path / "predictions.npz") as archive:
        predictions: np.ndarray[Any, Any] = archive["predictions"]
        return predictions


@pytest.mark.parametrize(("format", "about"), ABOUT)
def test_a_file_says_what_it_is_and_what_goes_in_and_comes_out(
    done: Front, format: str, about: Callable[[Path], Mapping[str, str]]
) -> None:
    outcome = done("export", "digits-mlp-s0", "--format", format)
    assert outcome.code == 0, outcome.text
    assert "360 examples of the test split" in outcome.out
    assert f"{done.result()['scores']['test/accuracy']:.4f} (the run:" in outcome.out
    found = about(exported(done, format))
    assert found["run_id"] == done.only().run_id
    assert json.loads(found["card"])["licence"] == "CC BY 4.0"
    assert json.loads(found["spec"]) == done.result()["spec"]
    assert json.loads(found["input"])["shape"] == ["batch", 1, 8, 8]
    assert json.loads(found["output"]) == {
        "name": "predictions",
        "type": "float32",
        "shape": ["batch", 10],
        "meaning": "logits; the largest one names the class",
    }
    preprocessing = json.loads(found["preprocessing"])
    assert preprocessing["done_by"] == ("the caller" if format == "safetensors" else "the file")
    assert 4 < preprocessing["mean"][0][0][0] < 6 < preprocessing["std"][0][0][0] < 7


@needs_onnx
def test_an_onnx_file_runs_in_onnxruntime_on_any_number_of_stored_pictures(done: Front) -> None:
    import onnxruntime

    assert done("export", "digits-mlp-s0", "--format", "onnx").code == 0
    session = onnxruntime.InferenceSession(exported(done, "onnx"))
    assert [item.shape for item in session.get_inputs()] == [["batch", 1, 8, 8]]
    pictures, wanted = stored_test_inputs(), recorded(done)
    for count in (1, 7, 360):
        (found,) = session.run(["predictions"], {"inputs": pictures[:count]})
        np.testing.assert_allclose(found, wanted[:count], atol=1e-4)


@pytest.mark.slow
def test_a_program_needs_no_code_of_this_project(done: Front, tmp_path: Path) -> None:
    assert done("export", "digits-mlp-s0", "--format", "exported-program", "--output", tmp_path / "model.pt2").code == 0
    np.save(tmp_path / "pictures.npy", stored_test_inputs())
    script = (
        "import numpy, sys, torch; program = torch.export.load('model.pt2').module();"
        "found = program(torch.from_numpy(numpy.load('pictures.npy')));"
        "assert not {'suite', 'tasks'} & set(sys.modules); numpy.save('found.npy', found.detach().numpy())"
    )
    subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment(PYTHONPATH=""), check=True, timeout=120
    )
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), recorded(done))


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=pytest.mark.slow), "exported-program", "safetensors"])
def test_the_same_run_gives_the_same_bytes_and_none_that_name_this_machine(done: Front, format: str) -> None:
    if not all(importlib.util.find_spec(name) for name in FORMATS.get(format).packages):
        pytest.skip("an extra that `make install` leaves out")
    assert done("export", "digits-mlp-s0", "--format", format).code == 0
    first = exported(done, format).read_bytes()
    assert done("export", "digits-mlp-s0", "--format", format, "--force").code == 0
    assert exported(done, format).read_bytes() == first
    assert str(Path(__file__).parents[2]).encode() not in first


def test_a_file_whose_predictions_differ_is_not_left(done: Front, tmp_path: Path) -> None:
    plugin = tmp_path / "halved.py"
    plugin.write_text(
        "import dataclasses, safetensors.torch\n"
        "from suite.format import FORMATS\n"
        "@dataclasses.dataclass(frozen=True, kw_only=True)\n"
        "class Halved(FORMATS.get('safetensors')):\n"
        "    name = 'halved'\n"
        "    def encode(self, item):\n"
        "        tensors = safetensors.torch.load(super().encode(item))\n"
        "        return safetensors.torch.save({name: tensor / 2 for name, tensor in tensors.items()})\n"
    )
    before = snapshot(done.root)
    outcome = done("export", "digits-mlp-s0", "--format", "halved", "--plugin", plugin)
    FORMATS.remove("halved")
    assert outcome.code == 1
    assert "Nothing was written" in outcome.err
    assert snapshot(done.root) == before


@needs_onnx
@pytest.mark.slow
def test_the_tolerance_can_be_set(done: Front) -> None:
    assert done("export", "digits-mlp-s0", "--format", "onnx", "--tolerance", "0").code == 1
    assert not exported(done, "onnx").exists()
    assert done("export", "digits-mlp-s0", "--format", "safetensors", "--tolerance", "0").code == 0


def test_weights_in_place_of_a_program_are_those_of_the_run(done: Front) -> None:
    assert done("export", "digits-mlp-s0", "--format", "safetensors").code == 0
    found = safetensors.torch.load(exported(done, "safetensors").read_bytes())
    kept = safetensors.torch.load((done.only().path / "checkpoints" / "selected.safetensors").read_bytes())
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], kept[name]) for name in kept)


def test_the_weights_of_a_generator_are_exported_and_its_samples_are_no_graph(front: Front) -> None:
    assert front("run", "ring", "gan", "--budget.steps", "2", "--execution.device", "cpu").code == 0
    before = snapshot(front.root)
    outcome = front("export", "ring-gan", "--format", "exported-program")
    assert outcome.code == 2
    assert "samples, drawn anew each time" in outcome.err
    assert "--format safetensors" in outcome.err
    assert snapshot(front.root) == before
    assert front("export", "ring-gan", "--format", "safetensors").code == 0


def test_a_trial_that_never_looked_at_test_is_checked_on_val(front: Front) -> None:
    assert front("run", "digits", "mlp", *QUICK, "--evaluation.test", "false").code == 0
    outcome = front("export", "digits-mlp", "--format", "safetensors")
    assert outcome.code == 0
    assert "180 examples of the val split" in outcome.out


def test_gaps_are_dealt_with_as_the_run_did(front: Front) -> None:
    settings = ("--data.missing_rate", "0.2", "--data.missing_strategy", "indicator")
    assert front("run", "digits", "mlp", *QUICK, *settings).code == 0
    outcome = front("export", "digits-mlp", "--format", "exported-program")
    assert outcome.code == 0, outcome.text
    assert "100.00%" in outcome.out


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no format": ((), "--format must be given. Known: exported-program, onnx, safetensors."),
    "an unknown format": (("--format", "safetensor"), "Did you mean 'safetensors'?"),
    "a folder that is not there": (("--format", "safetensors", "--output", "there/model"), "Create it first"),
    "a folder as the file": (("--format", "safetensors", "--output", "."), "is a folder"),
    "a negative tolerance": (("--format", "safetensors", "--tolerance", "-1"), "`--tolerance >= 0` must hold"),
    "an endless tolerance": (("--format", "safetensors", "--tolerance", "inf"), "must be finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused_before_anything_is_created(done: Front, case: str) -> None:
    arguments, message = BAD[case]
    before = snapshot(done.root)
    outcome = done("export", "digits-mlp-s0", *arguments)
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert "Traceback" not in outcome.err
    assert snapshot(done.root) == before


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(done: Front, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("precious")
    outcome = done("export", "digits-mlp-s0", "--format", "safetensors", "--output", tmp_path / "model")
    assert outcome.code == 2
    assert "is there already" in outcome.err
    assert (tmp_path / "model").read_text() == "precious"
    assert (
        done("export", "digits-mlp-s0", "--format", "safetensors", "--output", tmp_path / "model", "--force").code == 0
    )
    assert (tmp_path / "model").read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "result.json").unlink(), "Only a completed run can be exported"),
        (lambda path: (path / "checkpoints" / "selected.safetensors").write_bytes(b"?"), "must match the sha256"),
        (lambda path: shutil.rmtree(path / "checkpoints"), "must match the sha256"),
        (lambda path: (path / "result.json").write_text("{"), "is damaged"),
    ],
    ids=["unfinished", "damaged weights", "no weights", "damaged result"],
)
def test_a_run_that_is_not_whole_is_refused(done: Front, damage: Callable[[Path], object], message: str) -> None:
    damage(done.only().path)
    before = snapshot(done.root)
    outcome = done("export", "digits-mlp-s0", "--format", "safetensors")
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert snapshot(done.root) == before


def test_a_missing_extra_is_named_with_the_way_to_get_it(done: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "onnx" else find(name, *rest))
    outcome = done("export", "digits-mlp-s0", "--format", "onnx")
    assert outcome.code == 2
    assert "boltbench[export]" in outcome.err
    assert not (done.root / "exports").exists()


def test_a_quantised_model_says_why_its_weights_are_no_plain_tensors(done: Front) -> None:
    pytest.importorskip("torchao", reason="an extra that `make install` leaves out")
    assert done("compress", "digits-mlp-s0", "--method", "quantize").code == 0
    outcome = done("export", "digits-mlp-quantize", "--format", "safetensors")
    assert outcome.code == 2
    assert "was quantised" in outcome.err
    assert read_json(done.folders()[0].path / "result.json")["status"] == "completed"
