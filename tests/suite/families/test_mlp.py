"""MLP and linear: the layers that the settings ask for."""

import dataclasses
from typing import Any

import pytest
import torch

from suite.errors import UserError
from suite.families.linear import Linear
from suite.families.mlp import MLP
from suite.layers import Dropout, count_parameters
from suite.task import Card, Task


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-vector"]().card()


def test_parameters_are_those_of_the_widths(card: Card) -> None:
    assert count_parameters(Linear().build(card)) == 21 * 4
    assert count_parameters(MLP(width=7, num_layers=3).build(card)) == 21 * 7 + 8 * 7 + 8 * 7 + 8 * 4


def test_the_papers_mlp_on_mnist1d_has_two_hidden_layers_of_256(card: Card) -> None:
    mnist1d = dataclasses.replace(card, input_shape=(1, 40), output_shape=(10,))
    learner = MLP(width=256, num_layers=2, residual=True).build(mnist1d)
    assert count_parameters(learner) == 41 * 256 + 257 * 256 + 257 * 10


def test_widths_are_those_of_the_layers_in_their_order(card: Card) -> None:
    learner = MLP(widths=(9, 5)).build(card)
    assert [layer[0].out_features for layer in learner.hidden] == [9, 5]
    assert count_parameters(learner) == 21 * 9 + 10 * 5 + 6 * 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 32}, "family.widths says how many layers there are and how wide, but got family.width beside it"),
        ({"num_layers": 3}, "but got family.num_layers beside it"),
        ({"residual": True}, r"All of family.widths must be equal under family.residual, but got \[9, 5\]"),
    ],
)
def test_widths_beside_what_they_contradict_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MLP(widths=(9, 5), **settings)


def test_residual_adds_the_input_of_every_hidden_layer_but_the_first(card: Card) -> None:
    learner = MLP(width=6, num_layers=3, residual=True, activation="tanh").build(card)
    x = torch.randn(5, 20)
    first, second, third = learner.hidden
    h = first(x)
    h = h + second(h)
    h = h + third(h)
    torch.testing.assert_close(learner(x), learner.output(h))


def test_each_hidden_layer_has_a_place_for_dropout_and_a_linear_map_has_none(card: Card) -> None:
    def places(learner: torch.nn.Module) -> int:
        return sum(isinstance(module, Dropout) for module in learner.modules())

    assert places(MLP(num_layers=3).build(card)) == 3
    assert places(Linear().build(card)) == 0
