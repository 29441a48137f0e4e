"""GAN: the losses against their formulas, packing, two players that move one at a time, and a resume of both."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch.nn import functional

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.engine.evaluation import evaluate
from suite.errors import UserError
from suite.families.gan import GAN, GANLearner, Loss
from suite.layers import count_parameters
from suite.networks.players import Maxout
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.prepare import Prepared, prepare
from suite.spec import RunSpec
from suite.task import Card, Task
from tasks.ring import Ring

SMALL = {"generator_width": 16, "generator_layers": 2, "discriminator_width": 8, "discriminator_layers": 2}
EASY: dict[str, Any] = {"name": "ring", "std": 0.1, "num_train": 2000}


def small(**settings: Any) -> GANLearner:
    torch.manual_seed(0)
    return GAN(**SMALL, **settings).build(Ring().card())


def prepared(
    family: dict[str, Any] | None = None, *, block_steps: int | None = None, task: Any = EASY, **groups: Any
) -> Prepared:
    mapping = {
        "task": task,
        "family": {"name": "gan", **SMALL, **(family or {})},
        "budget": {"steps": 24},
        "data": {"batch_size": 50},
        "evaluation": {"every_steps": 6},
        **groups,
    }
    return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", block_steps=block_steps))


def test_default_sizes_are_those_of_the_paper() -> None:
    learner = GAN().build(Ring().card())
    generator = 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2
    discriminator = 3 * 1000 + 2 * 201 * 1000 + 201
    assert count_parameters(learner.generator) == generator
    assert count_parameters(learner.discriminator) == discriminator
    assert count_parameters(GAN(packing=4).build(Ring().card()).discriminator) == discriminator + 6 * 1000
    weights = [module.weight.detach() for module in learner.modules() if isinstance(module, nn.Linear)]
    assert float(torch.cat([weight.flatten() for weight in weights]).std()) == pytest.approx(0.02, rel=0.01)


def test_a_maxout_unit_is_the_largest_of_its_pieces() -> None:
    layer, x = Maxout(3, 4, pieces=5), torch.randn(6, 3)
    pieces = functional.linear(x, layer.linear.weight, layer.linear.bias)
    assert torch.equal(layer(x), torch.stack([pieces[:, index::4].amax(dim=1) for index in range(4)], dim=1))


def test_the_losses_are_their_formulas() -> None:
    real, samples = torch.randn(7, 2), torch.randn(9, 2)
    for loss in get_args(Loss):
        learner = small(loss=loss).eval()
        judge = learner.discriminator
        on_real, on_samples = judge(real), judge(samples)
        expected = {
            "non-saturating": -on_real.sigmoid().log().mean() - (1 - on_samples.sigmoid()).log().mean(),
            "hinge": (1 - on_real).clamp(min=0).mean() + (1 + on_samples).clamp(min=0).mean(),
        }
        if loss in expected:
            torch.testing.assert_close(learner.discriminator_loss(real, samples), expected[loss])
        answer = -on_samples.sigmoid().log().mean() if loss == "non-saturating" else -on_samples.mean()
        torch.testing.assert_close(learner.generator_loss(samples), answer)


def test_the_gradient_penalty_holds_the_slope_between_data_and_samples_at_one() -> None:
    learner = small(loss="wasserstein-gp", gradient_penalty=4.0)
    slope = torch.tensor([[3.0, 4.0]])
    learner.discriminator = nn.Sequential(nn.Linear(2, 1, bias=False))
    learner.discriminator[0].weight = nn.Parameter(slope.clone())
    real, samples = torch.randn(7, 2), torch.randn(9, 2)
    loss = learner.discriminator_loss(real, samples)
    expected = (samples @ slope.T).mean() - (real @ slope.T).mean() + 4 * (5 - 1) ** 2
    torch.testing.assert_close(loss, expected)
    loss.backward()
    # The penalty's gradient is 2 * 4 * (5 - 1) along the slope's own direction.
    torch.testing.assert_close(
        learner.discriminator[0].weight.grad, samples.mean(0) - real.mean(0) + 32 * slope / 5, rtol=1e-4, atol=1e-4
    )


def test_spectral_norm_bounds_every_layer_of_the_hinge_discriminator() -> None:
    learner = small(loss="hinge", init_std=0.1)
    for _ in range(50):  # power iterations, one for each call in training
        learner.discriminator(torch.randn(4, 2))
    layers = [module for module in learner.discriminator.modules() if isinstance(module, nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=1e-3)


def test_packs_hold_all_examples_in_their_order_and_the_last_is_filled_up_from_the_start() -> None:
    learner = small(packing=3)
    examples = torch.arange(14.0).reshape(7, 2)
    packs = learner.packs(Batch(examples, examples))
    assert torch.equal(packs.reshape(-1, 2), torch.cat([examples, examples[:2]]))
    assert learner.sample_packs(Batch(examples, examples)).shape == (3, 6)
    assert learner.sample_packs(Batch(examples[:1], examples[:1])).shape == (2, 6)


def test_two_players_move_one_at_a_time_and_the_other_stays() -> None:
    run = prepared()
    learner = run.build_learner()
    learner.on_fit_start = lambda: None  # type: ignore[method-assign]
    optimizers = learner.configure_optimizers()
    assert isinstance(optimizers, list)
    learner._optimizer_steps = [optimizer.step for optimizer in optimizers]
    learner._trained = list(learner.parameters())
    assert isinstance(learner, GANLearner)
    seen: list[tuple[bool, bool]] = []
    players = (learner.discriminator, learner.generator)
    learner.after_backward.append(
        lambda: seen.append(
            tuple(any(p.grad is not None for p in player.parameters()) for player in players)  # type: ignore[arg-type]
        )
    )
    train = run.resident("train")
    assert train is not None
    before = [[p.detach().clone() for p in player.parameters()] for player in players]
    learner.optimize(train.gather(slice(0, 20)))
    assert seen == [(True, False), (False, True)]
    assert all(parameter.requires_grad for parameter in learner.parameters())
    for player, old in zip(players, before, strict=True):
        assert any(not torch.equal(p, q) for p, q in zip(player.parameters(), old, strict=True))


def test_discriminator_steps_are_taken_for_each_step_of_the_generator() -> None:
    run = prepared({"discriminator_steps": 3})
    learner = run.build_learner()
    optimizers = learner.configure_optimizers()
    assert isinstance(optimizers, list)
    moves: list[int] = []
    learner._optimizer_steps = [lambda: moves.append(0), lambda: moves.append(1)]
    learner._trained = list(learner.parameters())
    train = run.resident("train")
    assert train is not None
    learner.optimize(train.gather(slice(0, 20)))
    assert moves == [0, 0, 0, 1]


def test_clipping_acts_on_each_player_by_itself_and_penalties_on_the_one_that_moves(tmp_path: Path) -> None:
    results = [
        execute(prepared(regularization=regularization), RunFolder(tmp_path / name))[0]
        for name, regularization in {
            "plain": {},
            "clipped": {"gradient_clipping": 1e-3},
            "penalised": {"l2": 1e-2, "l1": 1e-3},
            "averaged": {"weight_averaging": 0.9},
            "decayed": {"weight_decay": 0.1},
        }.items()
    ]
    assert [result["status"] for result in results] == ["completed"] * 5
    assert len({result["digests"]["weights"] for result in results}) == 5


@pytest.mark.parametrize("regularization", [{"mixup": 0.2}, {"input_noise": 0.1}])
def test_what_changes_examples_is_refused_before_the_run(regularization: dict[str, float]) -> None:
    with pytest.raises(UserError, match="nothing may change the examples"):
        prepared(regularization=regularization)


@pytest.mark.parametrize(
    "family", [{"loss": "non-saturating", "packing": 2}, {"loss": "wasserstein-gp"}, {"loss": "hinge"}]
)
def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path: Path, family: dict[str, Any]) -> None:
    run = prepared(family, block_steps=4)
    whole, _ = execute(run, RunFolder(tmp_path / "whole"))
    assert whole["status"] == "completed"
    asked = iter([False, False, True])
    cut = RunFolder(tmp_path / "cut")
    first, _ = execute(run, cut, should_stop=lambda: next(asked))
    assert first["status"] == "interrupted"
    assert 0 < first["cost"]["steps"] < 24
    resumed, _ = execute(run, cut)
    assert resumed["status"] == "completed"
    assert resumed["digests"] == whole["digests"]


PICTURES: dict[str, Any] = {"data": {"batch_size": 50}, "evaluation": {"every_steps": 3, "selection": "last"}}


def picture_learner(card: Card, **settings: Any) -> GANLearner:
    torch.manual_seed(0)
    return GAN(**{"channels": (4, 8), "latent_size": 5, **settings}).build(card)


@pytest.fixture
def picture_card(toys: dict[str, type[Task]]) -> Card:
    return dataclasses.replace(toys["toy-pictures"]().card(), value_range=(-1.0, 1.0))


def test_a_pack_of_pictures_lies_side_by_side_in_the_channels(picture_card: Card) -> None:
    learner = picture_learner(picture_card, packing=3)
    pictures = torch.randn(7, 1, 8, 8)
    packs = learner.packs(Batch(pictures, pictures))
    assert packs.shape == (3, 3, 8, 8)
    assert torch.equal(packs[1, 2], pictures[5, 0])
    assert torch.equal(packs[2, :, 0, 0], torch.cat([pictures[6:], pictures[:2]])[:, 0, 0, 0])
    samples = learner.sample_packs(Batch(pictures, pictures))
    assert samples.shape == (3, 3, 8, 8)
    assert learner.discriminator(samples).shape == (3, 1)


def test_samples_stay_in_the_range_that_the_card_names(picture_card: Card) -> None:
    pictures = torch.zeros(50, 1, 8, 8)
    assert picture_learner(picture_card, init_std=1.0).eval().predict(Batch(pictures, pictures)).abs().max() <= 1
    free = dataclasses.replace(picture_card, value_range=None)
    assert picture_learner(free, init_std=1.0).eval().predict(Batch(pictures, pictures)).abs().max() > 1


def test_the_penalty_on_pictures_takes_the_slope_over_all_pixels(picture_card: Card) -> None:
    learner = picture_learner(picture_card, loss="wasserstein-gp", gradient_penalty=4.0)
    linear = nn.Linear(64, 1, bias=False)
    learner.discriminator = nn.Sequential(nn.Flatten(), linear)
    real, samples = torch.randn(7, 1, 8, 8), torch.randn(9, 1, 8, 8)
    slope = linear.weight.norm()
    expected = linear(samples.flatten(1)).mean() - linear(real.flatten(1)).mean() + 4 * (slope - 1) ** 2
    torch.testing.assert_close(learner.discriminator_loss(real, samples), expected)


def test_spectral_norm_is_on_every_convolution_too(picture_card: Card) -> None:
    learner = picture_learner(picture_card, loss="hinge")
    layers = [module for module in learner.discriminator.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3
    assert all(hasattr(layer, "parametrizations") for layer in layers)


@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize(("loss", "packing"), [("non-saturating", 2), ("wasserstein-gp", 1), ("hinge", 2)])
def test_runs_on_pictures_resume_bit_for_bit_with_their_averages(tmp_path: Path, loss: str, packing: int) -> None:
    family = {"loss": loss, "packing": packing, "channels": [4, 8], "latent_size": 5}
    groups = {**PICTURES, "budget": {"steps": 9}, "regularization": {"weight_averaging": 0.9}}
    run = prepared(family, block_steps=3, task="toy-pictures", optimization={"schedule": "cosine"}, **groups)
    whole, _ = execute(run, RunFolder(tmp_path / "whole"))
    asked = iter([False, True])
    cut = RunFolder(tmp_path / "cut")
    first, _ = execute(run, cut, should_stop=lambda: next(asked))
    assert (first["status"], first["cost"]["steps"]) == ("interrupted", 6)
    resumed, _ = execute(run, cut)
    assert whole["status"] == resumed["status"] == "completed"
    assert resumed["digests"] == whole["digests"]


@pytest.mark.parametrize("loss", get_args(Loss))
def test_blocks_of_1_and_50_steps_give_the_same_bits(tmp_path: Path, loss: str) -> None:
    one, fifty = (
        execute(prepared({"loss": loss}, block_steps=length), RunFolder(tmp_path / str(length)))[0]
        for length in (1, 50)
    )
    assert one["status"] == fifty["status"] == "completed"
    assert one["digests"] == fifty["digests"]


def test_the_losses_of_both_players_are_logged_and_add_up(
    run_quickly: Callable[..., Any],
) -> None:
    from suite.runs.metrics_log import read_curves

    _, folder = run_quickly({"task": EASY, "family": {"name": "gan", **SMALL}})
    curves = read_curves(folder.path / "metrics.jsonl").steps
    for total, one, other in zip(
        curves["train/loss"], curves["train/discriminator"], curves["train/generator"], strict=True
    ):
        assert total == pytest.approx(one + other, rel=1e-5)
    # Nobody knows anything at the start: log 2 for each judgement.
    assert curves["train/discriminator"][0] == pytest.approx(2 * math.log(2), abs=0.01)


def test_a_short_training_finds_modes_that_the_untrained_generator_misses(tmp_path: Path) -> None:
    groups = {"optimization": {"lr": 1e-3, "beta1": 0.5}, "budget": {"steps": 600}, "evaluation": {"every_steps": 100}}
    # The two swing around each other, and where they stand at one step is a matter of the last bit; their mean is not.
    groups["regularization"] = {"weight_averaging": 0.98}
    sizes = {"generator_width": 64, "discriminator_width": 32}
    run = prepared(sizes, **groups)
    val = run.resident("val")
    assert val is not None
    before, _ = evaluate(
        run.build_learner(), val, batch_size=1000, score=run.spec.task.score, noise_seed=run.evaluation_seed("val")
    )
    result, _ = execute(run, RunFolder(tmp_path / "run"))
    after = result["scores"]
    assert before["modes"] < 4
    assert after["val/modes"] == 8
    assert after["val/reverse-kl"] < 0.1 * before["reverse-kl"]
    assert after["val/total-variation"] < 0.5 * before["total-variation"]


def test_pictures_have_convolutions_unless_they_are_to_be_flat_vectors_and_tokens_are_refused() -> None:
    picture = dataclasses.replace(Ring().card(), input_shape=(1, 4, 4), output_shape=(1, 4, 4))
    assert any(isinstance(module, nn.Conv2d) for module in GAN().build(picture).modules())
    assert "too small to be halved 3 times" in str(GAN(channels=(4, 4, 4)).misfit(picture))
    assert "for its convolutions" in str(GAN(form="convolutional").misfit(Ring().card()))
    learner = GAN(**SMALL, form="dense").build(picture)
    assert not any(isinstance(module, nn.Conv2d) for module in learner.modules())
    assert learner.eval().predict(Batch(torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 4, 4))).shape == (3, 1, 4, 4)
    assert learner.losses(Batch(torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 4, 4)))["total"].isfinite()
    assert "tokens" in str(GAN().misfit(dataclasses.replace(picture, vocabulary=5)))
    assert "another" in str(GAN().misfit(dataclasses.replace(picture, output_shape=(3,))))
    assert "generation" in str(GAN().misfit(dataclasses.replace(picture, objective="squared-error")))
