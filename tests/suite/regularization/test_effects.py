"""What each regulariser does to a learner, where the conformance tests cannot know it."""

import pytest
import torch

from suite.batch import Batch
from suite.errors import UserError
from suite.families.linear import Linear
from suite.families.mlp import MLP
from suite.layers import Dropout
from suite.learner import Learner
from suite.regularization.dropout import Dropout as DropoutRegularizer
from suite.regularization.early_stopping import EarlyStopping
from suite.regularization.gradient_clipping import GradientClipping
from suite.regularization.label_smoothing import LabelSmoothing
from suite.regularization.weight_decay import WeightDecay
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
