"""Gradient clipping: what torch does, to the bit, with a norm that is a tensor."""

import copy

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from suite.families.mlp import MLP
from suite.regularization.gradient_clipping import GradientClipping
from tasks.digits import Digits


@pytest.mark.parametrize("largest", [0.1, 0.7, 1e6])
def test_gradients_are_clipped_as_torch_clips_them(largest: float) -> None:
    learner = MLP(width=8).build(Digits().card())
    GradientClipping(gradient_clipping=largest).attach(learner)
    parameters = list(learner.parameters())
    for parameter in parameters[:-1]:  # one has no gradient, as in a player of a GAN that waits
        parameter.grad = torch.randn_like(parameter)
    expected = [copy.deepcopy(parameter.grad) for parameter in parameters]
    twins = [torch.nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    for twin, gradient in zip(twins, expected, strict=True):
        twin.grad = gradient
    clip_grad_norm_(twins, largest)
    learner.after_backward[0]()
    for parameter, twin in zip(parameters, twins, strict=True):
        assert parameter.grad is twin.grad is None or torch.equal(parameter.grad, twin.grad)


def test_the_strengths_of_clipping_and_averaging_are_buffers_that_lanes_may_differ_in() -> None:
    from suite.regularization.weight_averaging import WeightAveraging

    learner = MLP(width=8).build(Digits().card())
    GradientClipping(gradient_clipping=0.5).attach(learner)
    WeightAveraging(weight_averaging=0.75).attach(learner)
    for name, value in (("gradient_clipping", 0.5), ("weight_averaging", 0.25)):
        assert learner.get_buffer(name).shape == ()
        assert learner.get_buffer(name).item() == value
    assert not {"gradient_clipping", "weight_averaging"} & set(learner.state_dict())
