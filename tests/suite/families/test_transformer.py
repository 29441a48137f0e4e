"""Transformer: what attention sees, positions, patches, initial weights and tied weights."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.families.transformer import Block, Transformer, TransformerLearner
from suite.layers import Dropout, DropPath, count_parameters
from suite.runs.execute import execute
from suite.runs.folder import WEIGHTS, RunFolder, Store
from suite.runs.prepare import Prepared, prepare
from suite.runs.replay import prepare_replay, replay
from suite.spec import RunSpec
from suite.targets import NO_TARGET
from suite.task import Card, Task

POSITIONS = pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-signal"]().card()


@pytest.fixture
def text(card: Card) -> Card:
    """A language model's task: 16 positions of 8 tokens."""
    return dataclasses.replace(card, input_shape=(16,), output_shape=(16, 8), vocabulary=8, is_causal=True)


def tokens(count: int, card: Card, seed: int = 0) -> Tensor:
    assert card.vocabulary is not None
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(card.vocabulary, (count, *card.input_shape), generator=generator)


# -- what attention sees


@POSITIONS
@pytest.mark.parametrize("is_causal", [True, False])
def test_the_weights_that_are_read_back_are_those_that_values_are_summed_with(
    positions: Any, is_causal: bool, text: Card
) -> None:
    torch.manual_seed(0)
    learner = Transformer(positions=positions).build(dataclasses.replace(text, is_causal=is_causal)).eval()
    block = learner.blocks[1]
    assert isinstance(block, Block)
    attention = block.attention
    x = torch.randn(3, 16, 32)
    turns = learner._waves(16) if positions == "rotary" else None
    weights = attention.weights(x, turns)
    torch.testing.assert_close(weights.sum(dim=3), torch.ones(3, 2, 16))
    assert bool((weights.triu(diagonal=1) == 0).all()) is is_causal
    value = attention._split(x, turns)[2]
    summed = attention.branch_output((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(summed, attention(x, turns), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_maps_are_those_of_every_layer_on_the_features_that_it_sees(norm_first: bool, text: Card) -> None:
    torch.manual_seed(0)
    learner = Transformer(norm_first=norm_first, num_layers=3).build(text).eval()
    inputs = tokens(2, text)
    seen: list[Tensor] = []
    for block in learner.blocks:
        assert isinstance(block, Block)
        block.attention.register_forward_pre_hook(lambda module, given: seen.append(module.weights(*given)))
    learner(inputs)
    assert torch.equal(learner.attention_maps(Batch(inputs, inputs)), torch.stack(seen[:3], dim=1))


@POSITIONS
@pytest.mark.parametrize("norm_first", [True, False])
def test_later_tokens_leave_earlier_answers_of_a_language_model_as_they_are(
    positions: Any, norm_first: bool, text: Card
) -> None:
    torch.manual_seed(0)
    learner = Transformer(positions=positions, norm_first=norm_first).build(text).eval()
    one, other = tokens(4, text, 1), tokens(4, text, 2)
    other[:, :7] = one[:, :7]
    other[:, 7] = (one[:, 7] + 1) % 8
    first, second = learner(one), learner(other)
    assert first.shape == (4, 16, 8)
    assert torch.equal(first[:, :7], second[:, :7])
    assert not (first[:, 7:] == second[:, 7:]).all(dim=2).any()


@pytest.mark.parametrize("readout", ["mean", "last", "class-token"])
@POSITIONS
def test_an_encoders_one_answer_sees_every_patch(positions: Any, readout: Any, card: Card) -> None:
    torch.manual_seed(0)
    learner = Transformer(positions=positions, readout=readout).build(card).eval()
    inputs = torch.randn(2, 2, 24)
    for step in (0, 11, 23):
        changed = inputs.clone()
        changed[:, :, step] += 1
        assert not torch.allclose(learner(inputs), learner(changed), atol=1e-7)


def test_readouts_take_the_positions_that_they_name(card: Card) -> None:
    features = torch.randn(2, 6, 32)
    read = {name: Transformer(readout=name).build(card)._read_out(features) for name in ("mean", "last", "class-token")}  # type: ignore[arg-type]
    torch.testing.assert_close(read["mean"], features.sum(dim=1) / 6)
    assert torch.equal(read["last"], features[:, 5])
    assert torch.equal(read["class-token"], features[:, 0])


# -- positions


def test_sinusoids_are_those_of_the_paper(card: Card) -> None:
    learner = Transformer(positions="sinusoidal", width=6, num_heads=1).build(card)
    nn.init.zeros_(learner.embedding.projection.weight)
    added = learner._embed(torch.zeros(1, 2, 24))[0]
    for position in range(6):
        angles = [position / 10_000 ** (2 * pair / 6) for pair in range(3)]
        expected = torch.tensor([*map(math.cos, angles), *map(math.sin, angles)])
        torch.testing.assert_close(added[position], expected)


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
def test_positions_that_are_computed_take_any_length_and_learned_ones_refuse(positions: Any, text: Card) -> None:
    free = dataclasses.replace(text, is_length_fixed=False)
    assert Transformer(positions=positions).supports(free) is None
    assert "learned vector per position" in str(Transformer().supports(free))
    learner = Transformer(positions=positions).build(free).eval()
    longer = tokens(3, dataclasses.replace(text, input_shape=(50,)))
    torch.testing.assert_close(learner(longer)[:, :16], learner(longer[:, :16]))


@POSITIONS
def test_the_order_of_positions_matters(positions: Any, card: Card) -> None:
    torch.manual_seed(0)
    learner = Transformer(positions=positions).build(card).eval()
    inputs = torch.randn(2, 2, 24)
    assert not torch.allclose(learner(inputs), learner(inputs.roll(8, dims=2)), atol=1e-6)


@POSITIONS
def test_bf16_keeps_queries_keys_and_values_of_one_type(positions: Any, card: Card) -> None:
    learner = Transformer(positions=positions).build(card)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert bool(learner(torch.randn(2, 2, 24)).isfinite().all())


# -- sizes, initial weights, places


def test_nanogpts_small_model_has_its_number_of_parameters(text: Card) -> None:
    shakespeare = dataclasses.replace(text, input_shape=(64,), output_shape=(64, 65), vocabulary=65)
    recipe = Transformer(width=128, num_layers=4, num_heads=4, bias=False, tie_weights=True)
    learner = recipe.build(shakespeare)
    assert count_parameters(learner) - 64 * 128 == 795_904  # "0.80M", which leaves the positions out
    assert [name for name, _ in learner.named_parameters() if name.endswith("bias")] == []


def test_initial_weights_are_those_of_gpt_2(text: Card) -> None:
    torch.manual_seed(0)
    learner = Transformer(width=128, num_layers=8).build(text)
    for name, parameter in learner.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert bool((parameter == 1).all()), name
        else:
            expected = 0.02 / 4 if name.endswith("branch_output.weight") else 0.02
            assert parameter.std().item() == pytest.approx(expected, rel=0.15), name


def test_places_for_dropout_are_the_embedding_and_both_branches_which_can_be_dropped_too(card: Card) -> None:
    modules = list(Transformer(num_layers=3).build(card).modules())
    assert sum(isinstance(module, Dropout) for module in modules) == 1 + 2 * 3
    assert sum(isinstance(module, DropPath) for module in modules) == 2 * 3


@pytest.mark.parametrize(
    ("shape", "patch_size", "count"), [((1, 28, 28), 4, 49), ((3, 8, 8), 2, 16), ((3, 4, 8), 4, 2), ((1, 40), 4, 10)]
)
def test_inputs_are_cut_into_patches(shape: tuple[int, ...], patch_size: int, count: int, card: Card) -> None:
    family, cut = Transformer(patch_size=patch_size), dataclasses.replace(card, input_shape=shape)
    assert family.num_positions(cut) == count
    learner = family.build(cut)
    seen: list[torch.Size] = []
    learner.blocks[0].register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape))
    learner(torch.zeros(2, *shape))
    assert seen == [(2, count, 32)]


@pytest.mark.parametrize(
    ("settings", "law"),
    [
        ({"width": 30, "num_heads": 4}, "multiple of family.num_heads, but got 30 and 4"),
        ({"width": 6, "num_heads": 2, "positions": "rotary"}, "must be even under rotary"),
        ({"width": 7, "num_heads": 1, "positions": "sinusoidal"}, "must be even under sinusoidal"),
    ],
)
def test_impossible_widths_are_refused_with_their_law(settings: dict[str, Any], law: str) -> None:
    with pytest.raises(UserError, match=law):
        Transformer(**settings)


@pytest.mark.parametrize(
    ("settings", "changes", "reason"),
    [
        ({"patch_size": 5}, {}, "leaves a rest"),
        ({}, {"output_shape": (24, 4)}, "another number"),
        ({"patch_size": 1}, {"output_shape": (24, 2, 2)}, "another number"),
        ({"positions": "rotary"}, {"is_length_fixed": False}, "differ in length"),
        ({"tie_weights": True}, {}, "no tokens"),
        ({"readout": "class-token"}, {"is_causal": True}, "may not see what comes later"),
    ],
)
def test_tasks_that_do_not_fit_are_refused_with_a_reason(
    settings: dict[str, Any], changes: dict[str, Any], reason: str, card: Card
) -> None:
    assert reason in str(Transformer(**settings).supports(dataclasses.replace(card, **changes)))
    assert Transformer(patch_size=1).supports(dataclasses.replace(card, output_shape=(24, 4))) is None


# -- tied weights, through a run


def test_tied_weights_are_one_parameter(text: Card) -> None:
    tied, untied = (Transformer(tie_weights=tie).build(text) for tie in (True, False))
    assert tied.output.weight is tied.embedding.weight
    assert count_parameters(untied) - count_parameters(tied) == 8 * 32
    assert TransformerLearner.load_state_dict(tied, untied.state_dict()).missing_keys == []


def prepare_tied(steps: int = 9) -> Prepared:
    mapping = {
        "task": "toy-text",
        "family": {"name": "transformer", "tie_weights": True},
        "data": {"batch_size": 32},
        "budget": {"steps": steps},
        "regularization": {"dropout": 0.2},
    }
    return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", block_steps=2))


@pytest.mark.usefixtures("registered_toys")
def test_a_tied_model_is_saved_resumed_and_replayed_to_the_bit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    unbroken, cut = RunFolder(store.runs / "unbroken"), RunFolder(store.runs / "cut")
    result, _ = execute(prepare_tied(), unbroken)
    stops = iter([False, True])
    interrupted, _ = execute(prepare_tied(), cut, should_stop=lambda: next(stops))
    assert (result["status"], interrupted["status"]) == ("completed", "interrupted")
    resumed, _ = execute(prepare_tied(), cut)
    assert resumed["digests"] == result["digests"]

    saved = safetensors.torch.load_file(unbroken.path / WEIGHTS)
    assert torch.equal(saved["output.weight"], saved["embedding.weight"])
    learner = prepare_tied().build_learner()
    learner.load_state_dict(saved)
    assert torch.equal(learner.output.weight, saved["output.weight"])

    verdict = replay(prepare_replay(unbroken), unbroken, store)
    assert verdict is not None
    assert verdict.grade == "bit-exact"


@pytest.mark.slow
def test_a_language_model_learns_to_go_on_with_what_it_has_seen_before(text: Card) -> None:
    """The second half of each fresh sequence repeats its first: only looking back can tell the next token."""
    torch.manual_seed(0)
    learner = Transformer(positions="rotary", tie_weights=True).build(text)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-3)

    def draw(seed: int) -> Batch:
        half = tokens(64, dataclasses.replace(text, input_shape=(9,)), seed)
        whole = torch.cat([half[:, :8], half[:, :8], half[:, :1]], dim=1)
        targets = whole[:, 1:].clone()
        targets[:, :8] = NO_TARGET
        return Batch(whole[:, :-1], targets)

    for step in range(400):
        optimizer.zero_grad()
        learner.losses(draw(step))["total"].backward()
        optimizer.step()
    fresh = draw(10_000)
    answers = learner.predict(fresh).argmax(dim=-1)[:, 8:]
    accuracy = (answers == fresh.targets[:, 8:]).float().mean().item()
    assert accuracy > 0.95
