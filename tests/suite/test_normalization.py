"""Normalisation as a choice: each choice is the torch layer of its name, in every family that offers it."""

import dataclasses
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from suite.batch import Batch
from suite.errors import UserError
from suite.families.autoencoder import Autoencoder
from suite.families.cnn import CNN
from suite.families.mlp import MLP
from suite.families.resnet import ResNet
from suite.families.tcn import TCN
from suite.families.vae import VAE
from suite.family import Family
from suite.normalization import BatchNorm, GroupNorm, NormName, PerStep, normalization
from suite.task import Task

SHAPES = ((6, 8), (6, 8, 5), (6, 8, 5, 7))


def torchs(name: NormName, x: Tensor) -> Any:
    """Return the layer of torch that ``name`` stands for on inputs like ``x``, of 8 channels."""
    if name == "batch":
        return (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[x.ndim - 2](8)
    if name == "layer":
        return nn.LayerNorm(8) if x.ndim == 2 else nn.GroupNorm(1, 8)
    return nn.GroupNorm(4, 8) if name == "group" else nn.Identity()


@pytest.mark.parametrize("name", get_args(NormName))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_choice_is_torchs_layer_in_training_and_in_scoring(name: NormName, shape: tuple[int, ...]) -> None:
    ours = normalization(name, 8, num_groups=4)
    x = 3 * torch.randn(shape) + 1
    theirs = torchs(name, x)
    for part, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        with torch.no_grad():
            reference.copy_(part.uniform_(0.5, 2))
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_one_vector_alone_is_normalised_by_the_running_statistics_where_torch_raises() -> None:
    ours = BatchNorm(8)
    ours(torch.randn(16, 8))
    alone = torch.randn(1, 8)
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(8)(alone)
    trained = ours(alone)
    torch.testing.assert_close(trained, ours.eval()(alone))


@pytest.mark.parametrize("inner", [nn.LayerNorm(8), nn.GroupNorm(2, 8)], ids=lambda layer: type(layer).__name__)
def test_a_norm_per_step_is_the_norm_of_each_step(inner: nn.Module) -> None:
    x = torch.randn(3, 8, 5)
    torch.testing.assert_close(PerStep(inner)(x), torch.stack([inner(x[:, :, t]) for t in range(5)], dim=2))


CASES: list[tuple[Family, str, int]] = [
    (MLP(width=8), "toy-vector", 2),
    (CNN(channels=(8, 16)), "toy-signal", 2),
    (CNN(channels=(8, 16)), "toy-image", 2),
    (ResNet(channels=(8,)), "toy-image", 3),
    (TCN(channels=8), "toy-signal", 4),
    (Autoencoder(hidden=(16, 8)), "toy-reconstruction", 4),
    (Autoencoder(form="convolutional", channels=(8, 16)), "toy-reconstruction", 3),
    (VAE(hidden=(16,)), "toy-reconstruction", 2),
]


@pytest.mark.parametrize("name", get_args(NormName))
@pytest.mark.parametrize(("family", "toy", "count"), CASES, ids=lambda value: getattr(value, "name", str(value)))
def test_a_family_has_the_norm_after_each_hidden_layer_and_learns_with_it(
    family: Family, toy: str, count: int, name: NormName, toys: dict[str, type[Task]]
) -> None:
    card = toys[toy]().card()
    chosen = dataclasses.replace(family, norm=name, num_groups=4)  # type: ignore[call-arg]  # each of these has both
    learner = chosen.build(card)
    found = [module for module in learner.modules() if isinstance(module, BatchNorm | GroupNorm)]
    count += len(getattr(family, "channels", ())) - 1 if isinstance(family, ResNet) else 0
    kinds = {"batch": {BatchNorm}, "layer": {GroupNorm}, "group": {GroupNorm}, "none": set()}[name]
    assert {type(module) for module in found} == kinds
    if kinds:
        assert len(found) == count
    assert {module.num_groups for module in found if isinstance(module, nn.GroupNorm)} == (
        {"layer": {1}, "group": {4}}.get(name, set())
    )
    has_classes = card.objective == "cross-entropy"
    targets = torch.arange(5) % 4 if has_classes else torch.randn(5, *card.output_shape)
    learner.losses(Batch(torch.randn(5, *card.input_shape), targets))["total"].backward()
    assert all(module.weight.grad is not None for module in found)


def test_no_norm_of_a_causal_network_knows_of_later_steps(toys: dict[str, type[Task]]) -> None:
    card = toys["toy-text"]().card()
    tokens = torch.randint(0, 16, (4, 12))
    changed = tokens.clone()
    changed[:, 7:] = (changed[:, 7:] + 3) % 16
    for norm in ("weight", "layer", "group", "none"):
        learner = TCN(channels=8, norm=norm).build(card)
        torch.testing.assert_close(learner(tokens)[:, :7], learner(changed)[:, :7])
        assert not torch.allclose(learner(tokens)[:, 7:], learner(changed)[:, 7:])
    learner = TCN(channels=8, norm="batch").build(card)
    learner(tokens)  # in training it sees the whole batch, and when it predicts no other step
    learner.eval()
    torch.testing.assert_close(learner(tokens)[:, :7], learner(changed)[:, :7])


@pytest.mark.parametrize(
    ("family", "settings", "field"),
    [
        (MLP, {"width": 12}, "width"),
        (MLP, {"widths": (16, 12)}, "widths"),
        (CNN, {"channels": (8, 12)}, "channels"),
        (ResNet, {"channels": (8, 12)}, "channels"),
        (TCN, {"channels": 12}, "channels"),
        (Autoencoder, {"hidden": (12,)}, "hidden"),
        (VAE, {"form": "convolutional", "channels": (12,)}, "channels"),
    ],
)
def test_groups_that_do_not_divide_the_channels_are_refused(family: Any, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError, match=rf"Each of family\.{field} must be a multiple .* num_groups=8"):
        family(norm="group", **settings)
    family(norm="layer", **settings)


def test_a_norm_beside_a_sparse_code_is_refused() -> None:
    with pytest.raises(UserError, match=r"norm = none` must hold under family\.sparsity"):
        Autoencoder(norm="batch", sparsity=0.1)


@pytest.mark.parametrize("num_groups", [1, 8])
def test_group_norm_takes_a_single_value_per_group_as_it_does_in_a_larger_batch(num_groups: int) -> None:
    channels = num_groups
    norm = normalization("group", channels, num_groups=num_groups)
    assert isinstance(norm, GroupNorm)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, channels)
    torch.testing.assert_close(norm(x[:1]), norm(x)[:1], rtol=1e-4, atol=1e-4)  # torch leaves x - x of its mean
