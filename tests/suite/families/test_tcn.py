"""TCN: what an output rests on, and weight norm."""

import copy
import dataclasses

import pytest
import torch

from suite.families.tcn import TCN, CausalConvolution
from suite.layers import Dropout, DropPath
from suite.task import Card, Task


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-signal"]().card()


def answers_each_step(card: Card, length: int) -> Card:
    return dataclasses.replace(card, input_shape=(2, length), output_shape=(length, 4), is_causal=True)


@pytest.mark.parametrize(("levels", "kernel", "field"), [(1, 2, 3), (2, 3, 13), (3, 3, 29), (3, 5, 57)])
def test_an_output_rests_on_exactly_the_receptive_field(levels: int, kernel: int, field: int, card: Card) -> None:
    family = TCN(channels=3, num_levels=levels, kernel_size=kernel)
    assert family.receptive_field() == field
    learner = family.build(answers_each_step(card, 70))
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.abs_()  # no unit is at rest, so that every path carries a gradient
    inputs = torch.ones(1, 2, 70, requires_grad=True)
    learner(inputs)[0, -1].sum().backward()
    assert inputs.grad is not None
    assert (inputs.grad[0].abs().sum(dim=0) > 0).nonzero().flatten().tolist() == list(range(70 - field, 70))


def test_later_inputs_leave_earlier_answers_as_they_are(card: Card) -> None:
    learner = TCN().build(answers_each_step(card, 24)).eval()
    one, other = torch.randn(3, 2, 24), torch.randn(3, 2, 24)
    other[:, :, :10] = one[:, :, :10]
    first, second = learner(one), learner(other)
    assert first.shape == (3, 24, 4)
    assert torch.equal(first[:, :10], second[:, :10])
    assert not (first[:, 10:] == second[:, 10:]).any()


def test_the_one_answer_is_the_last_steps_and_sees_the_first_input(card: Card) -> None:
    torch.manual_seed(0)
    each = TCN().build(answers_each_step(card, 24)).eval()
    one = TCN().build(card).eval()
    one.load_state_dict(each.state_dict())
    inputs = torch.randn(3, 2, 24)
    torch.testing.assert_close(one(inputs), each(inputs)[:, -1])
    changed = inputs.clone()
    changed[:, :, 0] += 1
    assert not (one(inputs) == one(changed)).any()


def test_any_length_is_read(card: Card) -> None:
    assert TCN().supports(dataclasses.replace(card, is_length_fixed=False)) is None
    learner = TCN().build(answers_each_step(card, 24)).eval()
    longer = torch.randn(2, 2, 90)
    torch.testing.assert_close(learner(longer)[:, :24], learner(longer[:, :, :24]))


def test_a_convolution_is_torchs_over_zeros_and_its_weight_has_the_stated_length_and_direction() -> None:
    layer = CausalConvolution(3, 5, kernel_size=4, dilation=2)
    with torch.no_grad():
        layer.convolution.parametrizations.weight.original0.mul_(torch.rand(5, 1, 1) + 0.5)
    length = layer.convolution.parametrizations.weight.original0
    direction = layer.convolution.parametrizations.weight.original1
    weight = length * direction / direction.flatten(1).norm(dim=1).reshape(5, 1, 1)
    torch.testing.assert_close(layer.convolution.weight, weight)
    x = torch.randn(2, 3, 10)
    padded = torch.cat([torch.zeros(2, 3, 6), x], dim=2)
    expected = torch.nn.functional.conv1d(padded, weight, layer.convolution.bias, dilation=2)
    torch.testing.assert_close(layer(x), expected)


def test_a_copy_is_a_model_of_its_own(card: Card) -> None:
    learner = TCN().build(card).eval()
    twin = copy.deepcopy(learner)
    inputs = torch.randn(2, 2, 24)
    before = learner(inputs)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.1)
    assert torch.equal(learner(inputs), before)
    assert not torch.equal(twin(inputs), before)
    learner.load_state_dict(twin.state_dict())
    assert torch.equal(learner(inputs), twin(inputs))


def test_each_block_has_two_places_for_dropout_and_one_to_drop_its_branch(card: Card) -> None:
    modules = list(TCN(num_levels=4).build(card).modules())
    assert sum(isinstance(module, Dropout) for module in modules) == 8
    assert sum(isinstance(module, DropPath) for module in modules) == 4


def test_answers_of_another_number_than_steps_are_refused(card: Card) -> None:
    for shape in [(23, 4), (24, 2, 2)]:
        assert "another number" in str(TCN().supports(dataclasses.replace(card, output_shape=shape)))


def test_batch_norm_is_refused_where_an_answer_may_not_see_later_steps(toys: dict[str, type[Task]]) -> None:
    text = toys["toy-text"]().card()
    assert "statistics over all steps" in (TCN(norm="batch").supports(text) or "")
    assert TCN(norm="layer").supports(text) is None
    assert TCN(norm="batch").supports(dataclasses.replace(text, is_causal=False)) is None
