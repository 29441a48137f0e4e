"""ResNet: sizes, parameters, norms and residual branches."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.families.resnet import ResNet
from suite.layers import DropPath, count_parameters
from suite.normalization import BatchNorm
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec
from suite.task import Card, Task


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-image"]().card()


def features_of(learner: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return what leaves the last block."""
    seen: list[torch.Tensor] = []
    handle = learner.blocks.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    learner(inputs)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize(("preset", "count"), [("resnet-18", 11_173_962), ("resnet-34", 21_282_122)])
def test_presets_have_the_known_number_of_parameters_for_ten_classes_and_a_3x3_stem(
    preset: Any, count: int, card: Card
) -> None:
    cifar = dataclasses.replace(card, input_shape=(3, 32, 32), output_shape=(10,))
    with torch.device("meta"):
        assert count_parameters(ResNet(preset=preset).build(cifar)) == count


def test_resnet_20_is_the_papers_but_for_its_two_shortcuts_that_change_shape(card: Card) -> None:
    cifar = dataclasses.replace(card, input_shape=(3, 32, 32), output_shape=(10,))
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count_parameters(ResNet(preset="resnet-20").build(cifar)) == 269_722 + shortcuts


def test_a_preset_stands_for_its_fields_and_admits_no_others_beside_it() -> None:
    family = ResNet(preset="resnet-34", norm="group")
    assert [blocks for _, blocks in family.stages()] == [3, 4, 6, 3]
    assert family.changed() == {"preset": "resnet-34", "norm": "group"}
    with pytest.raises(UserError, match=r"sets family\.channels=\[64, 128, 256, 512\], but got \[8\] beside it"):
        ResNet(preset="resnet-18", channels=(8,))


@pytest.mark.parametrize(
    ("shape", "stem_stride", "sizes"),
    [
        ((1, 28, 28), 1, (7, 7)),
        ((1, 28, 28), 2, (4, 4)),
        ((3, 8, 8), 1, (2, 2)),
        ((3, 5, 9), 1, (2, 3)),
        ((1, 40), 1, (10,)),
        ((2, 1), 2, (1,)),
    ],
)
def test_each_stage_after_the_first_halves_the_positions_of_images_and_signals(
    shape: tuple[int, ...], stem_stride: int, sizes: tuple[int, ...], card: Card
) -> None:
    learner = ResNet(channels=(4, 6, 8), stem_stride=stem_stride).build(dataclasses.replace(card, input_shape=shape))
    assert features_of(learner, torch.randn(2, *shape)).shape == (2, 8, *sizes)


def test_tokens_are_read_as_a_signal_of_their_embeddings(card: Card) -> None:
    tokens = dataclasses.replace(card, input_shape=(12,), vocabulary=7)
    learner = ResNet(channels=(4,), embedding_size=5).build(tokens)
    assert learner.stem[0].in_channels == 5
    one, other = torch.zeros(1, 12, dtype=torch.long), torch.zeros(1, 12, dtype=torch.long)
    other[0, 11] = 3
    assert not torch.equal(learner.eval()(one), learner(other))


@pytest.mark.parametrize(
    ("norm", "kind", "count"),
    [("batch", BatchNorm, 6), ("layer", nn.GroupNorm, 6), ("group", nn.GroupNorm, 6), ("none", nn.Identity, 6)],
)
def test_every_convolution_has_the_norm_that_is_asked_for(norm: Any, kind: type, count: int, card: Card) -> None:
    learner = ResNet(channels=(8, 16), norm=norm, num_groups=4).build(card)
    found = [module for module in learner.modules() if isinstance(module, kind)]
    convolutions = [module for module in learner.modules() if isinstance(module, nn.Conv2d)]
    assert len(found) == len(convolutions) == count
    assert all((convolution.bias is None) == (norm != "none") for convolution in convolutions)
    if kind is nn.GroupNorm:
        assert {module.num_groups for module in found} == {4 if norm == "group" else 1}


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_branch_that_starts_at_zero_leaves_the_shortcut_alone(norm: Any, card: Card) -> None:
    x = torch.randn(4, 8, 6, 6)
    for zero_init in (True, False):
        block = ResNet(channels=(8,), norm=norm, zero_init=zero_init).build(card).blocks[0]
        assert torch.equal(block(x), torch.relu(x)) == zero_init


def test_batch_norm_is_torchs_also_in_what_it_keeps() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    x = torch.randn(5, 4, 3, 3)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_an_example_alone_with_one_position_is_normalised_by_the_running_statistics() -> None:
    norm = BatchNorm(4)
    norm(3 + torch.randn(64, 4, 2, 2))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = torch.randn(1, 4, 1, 1)
    alone = norm.train()(x)
    assert torch.equal(alone, norm.eval()(x))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.usefixtures("registered_toys")
def test_running_statistics_go_through_a_stop_and_come_back_to_the_bit(tmp_path: Path) -> None:
    def prepared() -> Prepared:
        mapping = {"task": "toy-image", "family": "resnet", "budget": {"steps": 9}, "data": {"batch_size": 32}}
        return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", block_steps=2))

    result, _ = execute(prepared(), RunFolder(tmp_path / "runs" / "unbroken"))
    stops = iter([False, True])
    cut = RunFolder(tmp_path / "runs" / "cut")
    interrupted, _ = execute(prepared(), cut, should_stop=lambda: next(stops))
    assert (result["status"], interrupted["status"]) == ("completed", "interrupted")
    resumed, _ = execute(prepared(), cut)
    assert resumed["digests"] == result["digests"]


def test_each_residual_branch_is_a_place_to_drop_it_for_an_example(card: Card) -> None:
    learner = ResNet(channels=(8, 16), blocks=(2, 1)).build(card)
    places = [module for module in learner.modules() if isinstance(module, DropPath)]
    assert places == [block.drop_path for block in learner.blocks]
    block, x = learner.blocks[1].eval(), torch.randn(64, 8, 4, 4)
    branch = block.second_norm(block.second(torch.relu(block.first_norm(block.first(x)))))
    block.drop_path.switch_on(0.5)
    block.drop_path.train()
    kept, dropped = torch.relu(x + 2 * branch), torch.relu(x)
    found = block(x)
    num_dropped = sum(torch.equal(found[index], dropped[index]) for index in range(64))
    assert 16 < num_dropped < 48
    assert sum(torch.allclose(found[index], kept[index]) for index in range(64)) == 64 - num_dropped


@pytest.mark.parametrize(
    ("settings", "law"),
    [
        ({"blocks": (1, 1, 1), "channels": (8, 8)}, "number of family.blocks"),
        ({"kernel_size": 4}, "must be odd"),
        ({"norm": "group", "num_groups": 5}, "must be a multiple of family.num_groups"),
    ],
)
def test_impossible_settings_are_refused_with_their_law(settings: dict[str, Any], law: str) -> None:
    with pytest.raises(UserError, match=law):
        ResNet(**settings)


def test_tasks_that_want_more_than_one_answer_or_forbid_looking_ahead_are_refused(card: Card) -> None:
    assert "several" in str(ResNet().supports(dataclasses.replace(card, output_shape=(5, 4))))
    assert "earlier positions" in str(ResNet().supports(dataclasses.replace(card, is_causal=True)))
    assert ResNet().supports(dataclasses.replace(card, is_length_fixed=False)) is None
