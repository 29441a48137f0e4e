"""What each regulariser does to a learner, where the conformance tests cannot know it."""

from typing import Any

import pytest
import torch

from suite.batch import Batch
from suite.errors import UserError
from suite.families.linear import Linear
from suite.families.mlp import MLP
from suite.layers import Dropout
from suite.learner import Learner
from suite.regularization.augmentation import CHANGES
from suite.regularization.cutmix import CutMix
from suite.regularization.dropout import Dropout as DropoutRegularizer
from suite.regularization.early_stopping import EarlyStopping
from suite.regularization.gradient_clipping import GradientClipping
from suite.regularization.label_smoothing import LabelSmoothing
from suite.regularization.mixup import Mixup
from suite.regularization.weight_decay import WeightDecay
from suite.spec import RunSpec
from suite.task import Task


@pytest.fixture
def learner(toys: dict[str, type[Task]]) -> Learner:
    return MLP(width=8).build(toys["toy-vector"]().card())


def gradient_norm(learner: Learner) -> float:
    return torch.cat([p.grad.flatten() for p in learner.parameters() if p.grad is not None]).norm().item()


@pytest.mark.parametrize(("largest", "factor"), [(1e-3, None), (1e3, 1.0)])
def test_clipping_bounds_the_norm_of_the_whole_gradient_and_keeps_its_direction(
    learner: Learner, largest: float, factor: float | None
) -> None:
    GradientClipping(gradient_clipping=largest).attach(learner)
    learner.losses(Batch(torch.randn(9, 20), torch.zeros(9, dtype=torch.int64)))["total"].backward()
    before = [parameter.grad.clone() for parameter in learner.parameters() if parameter.grad is not None]
    norm = gradient_norm(learner)
    (clip,) = learner.after_backward
    clip()
    assert gradient_norm(learner) == pytest.approx(min(norm, largest), rel=1e-3)
    scale = factor or largest / norm
    for old, parameter in zip(before, learner.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, old * scale, rtol=1e-3, atol=1e-9)


def test_dropout_switches_every_place_on(learner: Learner) -> None:
    DropoutRegularizer(dropout=0.4).attach(learner)
    places = [module for module in learner.modules() if isinstance(module, Dropout)]
    assert len(places) == 2
    assert all(place.is_on and place.rate.item() == pytest.approx(0.4) for place in places)


def test_dropout_on_a_model_without_hidden_layers_is_an_error_with_a_way_out(toys: dict[str, type[Task]]) -> None:
    with pytest.raises(UserError, match=r"needs a hidden layer to act on.*Set regularization\.dropout=0"):
        DropoutRegularizer(dropout=0.4).attach(Linear().build(toys["toy-vector"]().card()))


def test_label_smoothing_of_a_regression_is_an_error(toys: dict[str, type[Task]]) -> None:
    with pytest.raises(UserError, match="needs a classification objective, but this task trains on squared-error"):
        LabelSmoothing(label_smoothing=0.1).attach(Linear().build(toys["toy-regression"]().card()))


def test_strengths_reach_the_learner(learner: Learner) -> None:
    LabelSmoothing(label_smoothing=0.2).attach(learner)
    assert learner.weight_decay_scope == "all"
    WeightDecay(weight_decay=0.3, weight_decay_scope="matrices").attach(learner)
    EarlyStopping(early_stopping=4, early_stopping_min_improvement=0.01).attach(learner)
    assert learner.smooths_labels
    assert learner.label_smoothing.item() == pytest.approx(0.2)
    assert (learner.weight_decay, learner.weight_decay_scope) == (0.3, "matrices")
    assert (learner.patience, learner.min_improvement) == (4, 0.01)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_augmentation_grows_from_nothing(name: str) -> None:
    shape = (64, 2, 24) if name in ("level", "roll", "slope") else (64, 2, 8, 8)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 3
    changed = []
    for strength in (0.0, 1e-3, 1.0):
        torch.manual_seed(0)
        changed.append((CHANGES[name](inputs, torch.tensor(strength)) - inputs).abs())
    assert changed[0].max() < 1e-5  # the roll takes a line away and adds it again
    assert (changed[1] > 0.05).float().mean() < 0.01
    assert (changed[2] > 0.05).float().mean() > 0.05


def test_mixup_and_cutmix_are_refused_beside_each_other() -> None:
    with pytest.raises(
        UserError, match=r"`mixup=0.0` must hold beside regularization.cutmix, but got .cutmix=0.2, mixup=0.4"
    ):
        RunSpec.from_mapping({"task": "digits", "family": "mlp", "regularization": {"mixup": 0.4, "cutmix": 0.2}})


@pytest.mark.parametrize("cls", [Mixup, CutMix])
def test_shares_that_fp32_cannot_draw_are_refused(cls: Any, toys: dict[str, type[Task]]) -> None:
    learner = MLP(width=8).build(toys["toy-image"]().card())
    field = cls.name
    with pytest.raises(UserError, match=f"`{field} = 0 or {field} >= 0.01` must hold"):
        cls(**{field: 1e-3}).attach(learner)
    cls(**{field: 0.01}).attach(learner)


def test_smoothed_labels_lose_no_digits_under_autocast(toys: dict[str, type[Task]]) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    outputs, targets = torch.randn(9, 4).bfloat16(), torch.arange(9) % 4
    plain = learner.objective(outputs, targets)
    LabelSmoothing(label_smoothing=0.2).attach(learner)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        smoothed = learner.objective(outputs, targets)
    expected = torch.nn.functional.cross_entropy(outputs.float(), targets, label_smoothing=0.2)
    assert smoothed.dtype == torch.float32
    torch.testing.assert_close(smoothed, expected)
    assert smoothed != plain
