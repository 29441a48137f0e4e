"""Attention: weights that can be read back, and what they weigh."""

import dataclasses
import math
from typing import Any

import pytest
import torch

from suite.batch import Batch
from suite.families.attention import Attention, AttentionLearner
from suite.layers import Dropout
from suite.task import Card, Task


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-signal"]().card()


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(3, 2, 24, generator=torch.Generator().manual_seed(1))


SCORES = pytest.mark.parametrize("score", ["additive", "scaled-dot"])


@SCORES
@pytest.mark.parametrize(("cell", "bidirectional", "num_layers"), [("lstm", True, 1), ("gru", False, 2)])
def test_the_answer_is_the_output_of_the_states_weighed_by_what_is_read_back(
    score: Any, cell: Any, bidirectional: bool, num_layers: int, card: Card, inputs: torch.Tensor
) -> None:
    torch.manual_seed(0)
    family = Attention(score=score, cell=cell, bidirectional=bidirectional, num_layers=num_layers, hidden_size=6)
    learner = family.build(card)
    weights = learner.attention_weights(inputs)
    assert weights.shape == (3, 24)
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert weights.std() > 0
    states = inputs.transpose(1, 2)
    for layer in learner.recurrent:
        states, _ = layer(states)
    summary = sum(weights[:, step, None] * states[:, step] for step in range(24))
    torch.testing.assert_close(learner(inputs), learner.output(summary))


def weighed_by_hand(learner: AttentionLearner, inputs: torch.Tensor, score: str) -> torch.Tensor:
    states = learner.recurrent[0](inputs.transpose(1, 2))[0]
    rows = []
    for state in states.flatten(0, 1):
        key = learner.key.weight @ state
        if score == "additive":
            rows.append(learner.query @ torch.tanh(key + learner.key.bias))
        else:
            rows.append(learner.query @ key / math.sqrt(len(key)))
    exponents = torch.stack(rows).reshape(states.shape[:2]).exp()
    return exponents / exponents.sum(dim=1, keepdim=True)


@SCORES
def test_weights_are_those_of_the_papers_formula(score: Any, card: Card, inputs: torch.Tensor) -> None:
    torch.manual_seed(0)
    learner = Attention(score=score, hidden_size=6, attention_size=5).build(card)
    torch.testing.assert_close(learner.attention_weights(inputs), weighed_by_hand(learner, inputs, score))


def test_maps_are_the_weights_as_one_head_of_one_layer(card: Card, inputs: torch.Tensor) -> None:
    learner = Attention(num_layers=2).build(card).eval()
    maps = learner.attention_maps(Batch(inputs, inputs))
    assert maps.shape == (3, 1, 1, 1, 24)
    assert torch.equal(maps.flatten(1), learner.attention_weights(inputs))


def test_a_query_of_zeros_takes_the_mean_over_steps(card: Card, inputs: torch.Tensor) -> None:
    learner = Attention().build(card)
    torch.nn.init.zeros_(learner.query)
    torch.testing.assert_close(learner.attention_weights(inputs), torch.full((3, 24), 1 / 24))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_answer_sees_the_first_step_and_the_last(bidirectional: bool, card: Card, inputs: torch.Tensor) -> None:
    learner = Attention(bidirectional=bidirectional).build(card)
    for step in (0, -1):
        changed = inputs.clone()
        changed[:, :, step] += 1
        assert not (learner(inputs) == learner(changed)).any()


def test_dropout_acts_on_weights_and_outputs_and_not_on_what_is_read_back(card: Card, inputs: torch.Tensor) -> None:
    learner = Attention().build(card).train()
    plain, weights = learner(inputs), learner.attention_weights(inputs)
    places = [module for module in learner.modules() if isinstance(module, Dropout)]
    assert places == [learner.weight_dropout, learner.output_dropout]
    for place in places:
        place.switch_on(0.5)
        assert not torch.equal(learner(inputs), plain)
        place.is_on = False
    learner.weight_dropout.switch_on(0.5)
    assert torch.equal(learner.attention_weights(inputs), weights)


def test_more_than_one_answer_is_refused(card: Card) -> None:
    reason = Attention().supports(dataclasses.replace(card, output_shape=(24, 4)))
    assert "several" in str(reason)
    assert Attention().supports(dataclasses.replace(card, is_length_fixed=False)) is None
