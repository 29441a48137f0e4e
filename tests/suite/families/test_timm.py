"""Image models of timm; skipped where it is not installed, for `make install` leaves it out."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from suite.cli import main
from suite.errors import UserError
from suite.families.timm import Timm
from suite.seeds import seed_torch
from suite.task import Task

needs_timm = pytest.mark.skipif(
    not all(importlib.util.find_spec(package) for package in Timm.packages), reason="timm or torchvision is missing"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return weights of a small model for three channels, as the library saves them for the hub."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    made = tmp_path / "weights"
    made.mkdir()
    save_file(model.state_dict(), made / "model.safetensors")
    (made / "config.json").write_text(json.dumps({"architecture": "test_resnet", "num_classes": 7}))
    return made


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_without_the_package_the_command_says_what_brings_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "digits", "timm"]) == 2
    assert "pip install 'boltbench[vision]'" in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


@needs_timm
def test_a_folders_weights_are_taken_over_and_its_model_with_them(folder: Path, toys: dict[str, type[Task]]) -> None:
    from safetensors.torch import load_file

    seed_torch(0)
    family = Timm(folder=str(folder))
    assert family.model == "test_resnet"
    assert family.changed() == {"model": "test_resnet", "weights": family.changed()["weights"]}
    learner = family.build(toys["toy-image"]().card())
    saved, taken = load_file(folder / "model.safetensors"), learner.model.state_dict()
    assert set(taken) == {name for name in saved if not name.startswith("fc.")}
    assert all(torch.equal(saved[name], item) for name, item in taken.items())
    assert learner.output.out_features == 4


@needs_timm
@pytest.mark.parametrize("model", ["test_vit", "swin_tiny_patch4_window7_224", "convnext_atto"])
def test_a_model_drops_nothing_of_its_own(model: str, toys: dict[str, type[Task]]) -> None:
    learner = Timm(model=model, image_size=32).build(toys["toy-image"]().card()).train()
    torch.manual_seed(0)
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(learner(images), learner(images))


@needs_timm
def test_other_channels_get_the_sum_of_the_folders(folder: Path, toys: dict[str, type[Task]]) -> None:
    from safetensors.torch import load_file

    learner = Timm(folder=str(folder)).build(toys["toy-pictures"]().card())
    saved = load_file(folder / "model.safetensors")["conv1.0.weight"]
    torch.testing.assert_close(learner.model.state_dict()["conv1.0.weight"], saved.sum(dim=1, keepdim=True))


@needs_timm
@pytest.mark.usefixtures("registered_toys")
def test_a_vision_transformer_is_built_for_the_tasks_size(run_quickly: Callable[..., Any]) -> None:
    family = {"name": "timm", "model": "test_vit", "image_size": 32}
    result, _ = run_quickly({"task": "toy-image", "family": family}, steps=2)
    assert result["status"] == "completed"


@needs_timm
@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize(
    ("flags", "law"),
    [
        (["--family.model", "test_resnett"], "Did you mean 'test_resnet'?"),
        (["--family.model", "vit_tiny_patch16_224"], "must go with images of shape (3, 8, 8)"),
        (["--family.model", "test_resnet", "--optimization.precision", "bf16"], "gradients are not sound there"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(flags: list[str], law: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "toy-image", "timm", *flags]) == 2
    assert law in " ".join(capsys.readouterr().err.split())
    assert not Path("runs").exists()


@needs_timm
@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize("spoilt", ["damaged", "other model", "prefixed", "half", "five channels"])
def test_weights_that_will_not_do_are_found_before_a_run_begins(
    spoilt: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm
    from safetensors.torch import load_file, save_file

    weights = folder / "model.safetensors"
    saved = load_file(weights)
    if spoilt == "damaged":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif spoilt == "other model":
        (folder / "config.json").write_text(json.dumps({"architecture": "test_convnext"}))
    elif spoilt == "prefixed":
        save_file({f"module.{name}": item for name, item in saved.items()}, weights)
    elif spoilt == "half":
        save_file({name: item for name, item in saved.items() if not name.startswith("layer3.")}, weights)
    else:
        save_file(timm.create_model("test_resnet", num_classes=7, in_chans=5).state_dict(), weights)
    for _ in range(2):
        assert main(["run", "toy-image", "timm", "--family.folder", str(folder)]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "and with its weights, but:" in said or "must be those of the timm model" in said
    assert not Path("runs").exists()


@needs_timm
def test_a_folder_of_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="are of the model 'test_resnet', but got"):
        Timm(folder=str(folder), model="resnet18")
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="must name its timm model"):
        Timm(folder=str(folder))
