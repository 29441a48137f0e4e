"""Which layers a model has, what they inherit and when they train."""

import dataclasses
from typing import Any

import pytest
import torch

from suite.batch import Batch
from suite.depth import apply_depth, layers_of
from suite.errors import UserError
from suite.families.autoencoder import Autoencoder
from suite.families.cnn import CNN
from suite.families.mlp import MLP
from suite.families.resnet import ResNet
from suite.families.rnn import RNN
from suite.families.tcn import TCN
from suite.families.transformer import Transformer
from suite.inheritance import inherit
from suite.learner import Learner
from suite.probe import computed_layers
from suite.task import Task
from suite.transfer import Transfer
from tests.small import small

Toys = dict[str, type[Task]]


def names(learner: Learner) -> list[str]:
    return [layer.name for layer in layers_of(learner)]


def test_layers_are_the_members_of_numbered_lists_with_the_norms_behind_them(toys: Toys) -> None:
    image, tokens = toys["toy-image"]().card(), toys["toy-tokens"]().card()
    assert names(CNN(channels=(4, 8), dense=(8,), norm="batch").build(image)) == [
        *("convolutions.0", "convolutions.4", "dense.1", "output")
    ]
    assert names(MLP(norm="layer").build(image)) == ["hidden.0", "hidden.1", "output"]
    assert names(Transformer().build(tokens)) == ["embedding", "blocks.0", "blocks.1", "output"]
    assert names(RNN(num_layers=2).build(tokens)) == ["sequence.embedding", "recurrent.0", "recurrent.1", "output"]
    assert names(ResNet(channels=(4,), blocks=(2,)).build(image)) == ["stem.0", "blocks.0", "blocks.1", "output"]
    assert names(TCN(num_levels=2).build(tokens)) == ["sequence.embedding", "blocks.0", "blocks.1", "output"]


def test_every_parameter_is_in_one_layer(pair: tuple[str, str], toys: Toys) -> None:
    learner = small(pair[0]).build(toys[pair[1]]().card())
    listed = [name for layer in layers_of(learner) for name in layer.parameters]
    assert sorted(listed) == sorted(name for name, _ in learner.named_parameters())


def test_the_head_is_what_is_computed_last(pair: tuple[str, str], toys: Toys) -> None:
    """A linear probe trains the last layer that a family lists, so that must be the last one that it computes."""
    card = toys[pair[1]]().card()
    if card.objective != "cross-entropy":
        pytest.skip("a linear probe tells classes apart")
    learner = small(pair[0]).build(card)
    last = computed_layers(learner)[-1][0]
    assert {f"{last}.weight"} <= set(layers_of(learner)[-1].parameters)


def test_layers_further_from_the_output_learn_more_slowly(toys: Toys) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    apply_depth(learner, Transfer(layer_decay=0.5), steps_per_epoch=1)
    factors = {name: learner.lr_factors[parameter] for name, parameter in learner.named_parameters()}
    assert factors["hidden.0.0.weight"] == factors["hidden.0.0.bias"] == 0.25
    assert (factors["hidden.1.0.weight"], factors["output.weight"]) == (0.5, 1.0)


def test_layers_thaw_one_by_one_from_the_output(toys: Toys) -> None:
    learner = MLP(width=8, norm="batch").build(toys["toy-vector"]().card())
    apply_depth(learner, Transfer(train="gradual", thaw_every_steps=3), steps_per_epoch=100)
    (thaw,) = learner.before_step

    def trained() -> set[str]:
        return {name.rpartition(".")[0] for name, item in learner.named_parameters() if item.requires_grad}

    seen = []
    for step in (0, 2, 3, 5, 6, 100, 4):  # the last as after a resume: a function of the step alone
        thaw(step)
        norms = [module.training for name, module in learner.named_modules() if name in ("hidden.0.1", "hidden.1.1")]
        seen.append((sorted(trained()), norms))
    one, two = ["output"], ["hidden.1.0", "hidden.1.1", "output"]
    three = ["hidden.0.0", "hidden.0.1", *two]
    assert [names for names, _ in seen] == [one, one, two, two, three, three, two]
    assert [norms for _, norms in seen] == [[False, False]] * 2 + [[False, True]] * 2 + [[True, True]] * 2 + [
        [False, True]
    ]


def test_gradual_thaws_a_layer_each_epoch_by_itself(toys: Toys) -> None:
    learner = MLP(width=8).build(toys["toy-vector"]().card())
    apply_depth(learner, Transfer(train="gradual"), steps_per_epoch=7)
    learner.before_step[0](6)
    assert not learner.get_parameter("hidden.1.0.weight").requires_grad
    learner.before_step[0](7)
    assert learner.get_parameter("hidden.1.0.weight").requires_grad


def test_rows_of_an_embedding_follow_the_names_of_their_tokens(toys: Toys) -> None:
    plain = toys["toy-tokens"]().card()
    one = dataclasses.replace(plain, token_names=tuple("abcdefg"))
    other = dataclasses.replace(plain, vocabulary=4, token_names=("pad", "c", "a", "x"))
    source, learner = RNN(hidden_size=8).build(one), RNN(hidden_size=8).build(other)
    fresh = learner.sequence.embedding.weight.detach().clone()  # type: ignore[union-attr]  # tokens are embedded
    found = inherit(learner, source, run_id="some-run")
    mine = learner.sequence.embedding.weight  # type: ignore[union-attr]
    theirs = source.sequence.embedding.weight  # type: ignore[union-attr]
    assert torch.equal(mine[1], theirs[2])
    assert torch.equal(mine[2], theirs[0])
    assert torch.equal(mine[[0, 3]], fresh[[0, 3]])
    assert found.tokens == {"sequence.embedding": "2 of 4"}
    assert "sequence.embedding" in found.matched


def test_an_embedding_of_unnamed_tokens_is_taken_over_by_shape_alone(toys: Toys) -> None:
    card = toys["toy-tokens"]().card()
    source, learner = RNN().build(card), RNN().build(card)
    assert "sequence.embedding" in inherit(learner, source, run_id="some-run").matched
    smaller = RNN().build(dataclasses.replace(card, vocabulary=6))
    assert "sequence.embedding" in inherit(smaller, source, run_id="some-run").fresh


def test_a_weight_norm_is_taken_over_with_its_layer(toys: Toys) -> None:
    card = toys["toy-signal"]().card()
    source, learner = TCN().build(card), TCN().build(card)
    assert inherit(learner, source, run_id="some-run").fresh == ()
    batch = Batch(torch.randn(3, 2, 24), torch.zeros(3, dtype=torch.long))
    assert torch.equal(source.eval().predict(batch), learner.eval().predict(batch))


def test_an_encoder_that_rebuilds_serves_one_that_classifies(toys: Toys) -> None:
    rebuilt = toys["toy-reconstruction"]().card()
    classes: Any = dataclasses.replace(rebuilt, objective="cross-entropy", output_shape=(4,))
    source, learner = Autoencoder().build(rebuilt), Autoencoder().build(classes)
    found = inherit(learner, source, run_id="some-run")
    assert found.matched == ("encoder.layers.1", "encoder.layers.4")
    assert found.fresh == ("output",)
    assert all(name.startswith("decoder.") for name in found.unused)
    inputs = torch.randn(3, 1, 6, 6)
    assert torch.equal(source.encode(inputs), learner.encoder(inputs))


def test_a_block_is_one_layer_with_the_norm_that_it_begins_with(toys: Toys) -> None:
    learner = Transformer().build(toys["toy-tokens"]().card())
    for layer in layers_of(learner):
        inside = {name for name, _ in learner.named_parameters() if name.startswith(f"{layer.name}.")}
        assert inside <= set(layer.parameters)
        assert not any(name.startswith("blocks.") for name in set(layer.parameters) - inside)


def test_layers_that_share_a_weight_cannot_train_apart(toys: Toys) -> None:
    learner = Transformer(tie_weights=True).build(toys["toy-text"]().card())
    with pytest.raises(UserError, match=r"output\.weight is that of another layer. Leave family\.tie_weights off"):
        apply_depth(learner, Transfer(train="head"), steps_per_epoch=1)
    apply_depth(learner, Transfer(), steps_per_epoch=1)
