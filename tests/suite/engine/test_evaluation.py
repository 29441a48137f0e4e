"""Scoring a split: in evaluation mode, whatever the batch, leaving the learner as it was."""

from typing import Any

import pytest
import torch

from suite.engine.data import ResidentSplit
from suite.engine.evaluation import evaluate
from suite.families.mlp import MLP
from suite.layers import Dropout
from suite.learner import Learner
from suite.task import Card, Task


def evaluated(learner: Learner, split: ResidentSplit, toys: dict[str, type[Task]], *, batch_size: int) -> Any:
    return evaluate(learner, split, batch_size=batch_size, score=toys["toy-vector"]().score, noise_seed=3)


@pytest.fixture
def val(toys: dict[str, type[Task]]) -> ResidentSplit:
    splits = toys["toy-vector"]().load(("val",))
    return ResidentSplit.place(splits["val"], splits, torch.device("cpu"))


@pytest.mark.parametrize("was_training", [True, False])
def test_evaluation_switches_dropout_off_and_leaves_the_mode_as_it_was(
    val: ResidentSplit, toys: dict[str, type[Task]], was_training: bool
) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    for module in learner.modules():
        if isinstance(module, Dropout):
            module.switch_on(0.5)
    learner.train(was_training)
    first, predictions = evaluated(learner, val, toys, batch_size=10)
    assert evaluated(learner, val, toys, batch_size=10)[0] == first
    assert learner.training is was_training
    assert not predictions.requires_grad
    assert len(predictions) == len(val)


def test_scores_do_not_depend_on_the_batch_size(val: ResidentSplit, toys: dict[str, type[Task]]) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    scores = [evaluated(learner, val, toys, batch_size=size)[0] for size in (1, 7, 1000)]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[1] == pytest.approx(scores[2])
    hits = (learner(val.gather(slice(0, len(val))).inputs).argmax(dim=1) == val.targets).double().mean().item()
    assert scores[0]["accuracy"] == pytest.approx(hits)


def test_the_mode_comes_back_also_after_an_error(val: ResidentSplit, toys: dict[str, type[Task]]) -> None:
    learner = MLP(width=8).build(toys["toy-signal"]().card())
    with pytest.raises(RuntimeError):
        evaluated(learner, val, toys, batch_size=10)
    assert learner.training


class Scored(MLP):
    """An MLP with a score of its own: the first input value of each example."""

    def build(self, card: Card) -> Learner:
        learner = super().build(card)
        learner.scores = lambda batch: {"first": batch.inputs[:, 0]}  # type: ignore[method-assign]
        return learner


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_a_learners_own_scores_are_means_over_examples_beside_the_metrics(
    val: ResidentSplit, toys: dict[str, type[Task]], batch_size: int
) -> None:
    learner = Scored(width=8).build(toys["toy-vector"]().card())
    scores, _ = evaluated(learner, val, toys, batch_size=batch_size)
    inputs = val.gather(slice(0, len(val))).inputs
    assert scores["first"] == pytest.approx(inputs[:, 0].double().mean().item())
    assert "accuracy" in scores


def test_a_score_under_a_metrics_name_is_refused(val: ResidentSplit, toys: dict[str, type[Task]]) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    learner.scores = lambda batch: {"accuracy": batch.inputs[:, 0]}  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="accuracy is the name of a metric"):
        evaluated(learner, val, toys, batch_size=100)
