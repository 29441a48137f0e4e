"""Diffusion: the forward process and the samplers against closed forms, and a resume in the middle of a training."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.families.diffusion import (
    LEAST_SIGNAL,
    Diffusion,
    DiffusionLearner,
    PredictionName,
    ScheduleName,
    signal_variance,
)
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.prepare import prepare
from suite.spec import RunSpec
from suite.task import Card
from tasks.ring import Ring

SMALL = {"width": 16, "num_layers": 1}


@pytest.fixture
def card() -> Card:
    return Ring().card()


def small(card: Card, **settings: Any) -> DiffusionLearner:
    torch.manual_seed(0)
    return Diffusion(**{**SMALL, **settings}).build(card).eval()


class Oracle(nn.Module):
    """Answers as a perfect network would for examples that are normal around ``mean`` with deviation ``std``."""

    def __init__(self, learner: DiffusionLearner, mean: float, std: float) -> None:
        super().__init__()
        self.table = learner.signal, learner.noise_share
        self.num_levels, self.predicts_noise = learner.num_levels, learner.predicts_noise
        self.mean, self.std = mean, std

    def forward(self, noisy: Tensor, levels: Tensor) -> Tensor:
        index = (levels * self.num_levels).round().long()
        signal, share = (table[index].unsqueeze(1) for table in self.table)
        gain = self.std**2 * signal / (self.std**2 * signal.square() + share.square())
        clean = self.mean + gain * (noisy - signal * self.mean)
        noise = (noisy - signal * clean) / share
        return noise if self.predicts_noise else signal * noise - share * clean


def with_oracle(card: Card, *, mean: float, std: float, **settings: Any) -> DiffusionLearner:
    learner = small(card, **settings)
    learner.network = Oracle(learner, mean, std)
    return learner


def test_the_cosine_schedule_is_its_formula() -> None:
    def curve(step: int) -> float:
        return math.cos((step / 200 + 0.008) / 1.008 * math.pi / 2) ** 2

    variance = signal_variance("cosine", 200)
    assert len(variance) == 201
    assert variance[70].item() == pytest.approx(curve(70) / curve(0))
    assert variance[-1].item() == LEAST_SIGNAL


def test_the_linear_schedule_is_the_product_of_its_steps() -> None:
    variance = signal_variance("linear", 1000)
    added = [1e-4 + (0.02 - 1e-4) * step / 999 for step in range(1000)]
    assert variance[1000].item() == pytest.approx(math.prod(1 - step for step in added), rel=1e-6)
    assert variance[400].item() == pytest.approx(math.prod(1 - step for step in added[:400]))


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
@pytest.mark.parametrize("num_levels", [2, 10, 1000])
def test_the_signal_fades_from_all_to_nearly_none(schedule: ScheduleName, num_levels: int) -> None:
    variance = signal_variance(schedule, num_levels)
    assert variance[0].item() == 1
    assert bool((variance.diff() <= 0).all())
    assert LEAST_SIGNAL <= variance[-1].item() < 1e-3


def test_a_noisy_example_is_what_one_step_after_the_other_leads_to() -> None:
    """Adding a little noise at each of 300 levels, against one mixture with the same mean and variance."""
    learner = small(Ring().card(), num_levels=1000, schedule="linear")
    torch.manual_seed(1)
    x = torch.full((20_000, 2), 1.7)
    for level in range(1, 301):
        kept = (learner.signal[level] / learner.signal[level - 1]).square()
        x = kept.sqrt() * x + (1 - kept).sqrt() * torch.randn_like(x)
    levels = torch.full((20_000,), 300)
    mixed, _ = learner.mix(torch.full((20_000, 2), 1.7), torch.randn(20_000, 2), levels)
    for found in (x, mixed):
        assert found.mean().item() == pytest.approx(1.7 * learner.signal[300].item(), abs=0.02)
        assert found.std().item() == pytest.approx(learner.noise_share[300].item(), abs=0.02)


def test_the_network_is_asked_for_noise_or_velocity(card: Card) -> None:
    examples, noise, levels = torch.randn(5, 2), torch.randn(5, 2), torch.tensor([1, 10, 400, 900, 1000])
    for prediction in get_args(PredictionName):
        learner = small(card, prediction=prediction)
        signal, share = learner.signal[levels, None], learner.noise_share[levels, None]
        torch.testing.assert_close(signal.square() + share.square(), torch.ones(5, 1))
        noisy, wanted = learner.mix(examples, noise, levels)
        torch.testing.assert_close(noisy, signal * examples + share * noise)
        torch.testing.assert_close(wanted, noise if prediction == "noise" else signal * noise - share * examples)


def test_the_loss_is_that_of_a_perfect_network_where_the_network_is_perfect(card: Card) -> None:
    examples = torch.full((64, 2), 0.4)
    learner = with_oracle(card, mean=0.4, std=0.0)
    assert learner.losses(Batch(examples, examples))["total"].item() < 1e-8
    wrong = with_oracle(card, mean=0.5, std=0.0)
    assert wrong.losses(Batch(examples, examples))["total"].item() > 1e-3


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("prediction", get_args(PredictionName))
def test_sampling_leads_to_the_data_that_a_perfect_network_knows(
    card: Card, prediction: PredictionName, eta: float
) -> None:
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(2))
    point = with_oracle(card, mean=0.7, std=0.0, prediction=prediction, eta=eta, sampling_steps=5)
    torch.testing.assert_close(point.denoise(noise), torch.full((4000, 2), 0.7), atol=1e-4, rtol=0)
    spread = with_oracle(card, mean=0.7, std=0.3, prediction=prediction, eta=eta, sampling_steps=500)
    samples = spread.denoise(noise)
    assert samples.mean().item() == pytest.approx(0.7, abs=0.02)
    assert samples.std().item() == pytest.approx(0.3, rel=0.03)


def test_ddim_draws_nothing_and_ancestral_sampling_does(card: Card) -> None:
    noise = torch.randn(6, 2)
    ddim, ancestral = small(card), small(card, eta=1.0)
    state = torch.get_rng_state()
    first = ddim.denoise(noise)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(ddim.denoise(noise), first)
    assert not torch.equal(ancestral.denoise(noise), ancestral.denoise(noise))


@pytest.mark.parametrize(("steps", "levels"), [(1, [10, 0]), (4, [10, 8, 5, 2, 0]), (10, list(range(10, -1, -1)))])
def test_sampling_takes_levels_an_equal_distance_apart(steps: int, levels: list[int]) -> None:
    assert Diffusion(num_levels=10, sampling_steps=steps).sampling_levels() == levels


def test_samples_stay_in_the_range_that_the_card_names(card: Card) -> None:
    bounded = dataclasses.replace(card, value_range=(-0.5, 0.25))
    noise = 5 * torch.randn(100, 2)
    samples = small(bounded).denoise(noise)
    assert (samples.min().item(), samples.max().item()) == (-0.5, 0.25)
    assert small(card).denoise(noise).abs().max() > 0.5


def test_more_sampling_steps_than_levels_are_refused() -> None:
    with pytest.raises(UserError, match=r"`sampling_steps <= num_levels` must hold, but got .*=30, num_levels=20"):
        Diffusion(num_levels=20, sampling_steps=30)


def test_a_u_net_without_stages_is_refused() -> None:
    with pytest.raises(UserError, match="channels"):
        Diffusion(channels=())


def test_tokens_and_answers_of_another_shape_are_refused(card: Card) -> None:
    assert "tokens" in str(Diffusion().misfit(dataclasses.replace(card, vocabulary=5)))
    assert "another" in str(Diffusion().misfit(dataclasses.replace(card, output_shape=(3,))))
    assert "generation" in str(Diffusion().misfit(dataclasses.replace(card, objective="squared-error")))


def run_of(task: Any, family: dict[str, Any]) -> Any:
    mapping = {
        "task": task,
        "family": {"name": "diffusion", "sampling_steps": 3, **family},
        "budget": {"steps": 16},
        "data": {"batch_size": 50},
        "evaluation": {"every_steps": 8},
        "optimization": {"schedule": "warmup-cosine"},
        "regularization": {"weight_averaging": 0.9, "dropout": 0.1},
    }
    return prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", block_steps=4))


@pytest.mark.usefixtures("registered_toys")
@pytest.mark.parametrize(
    ("task", "family"),
    [({"name": "ring", "num_train": 400}, {**SMALL, "eta": 1.0}), ("toy-pictures", {"channels": [4, 8]})],
)
def test_a_run_cut_off_in_mid_epoch_goes_on_bit_for_bit(tmp_path: Path, task: Any, family: dict[str, Any]) -> None:
    run = run_of(task, family)
    whole, _ = execute(run, RunFolder(tmp_path / "whole"))
    asked = iter([False, False, True])
    cut = RunFolder(tmp_path / "cut")
    first, _ = execute(run, cut, should_stop=lambda: next(asked))
    assert (first["status"], first["cost"]["steps"]) == ("interrupted", 12)
    resumed, _ = execute(run, cut)
    assert whole["status"] == resumed["status"] == "completed"
    assert resumed["digests"] == whole["digests"]


def test_a_short_training_spreads_samples_evenly_over_all_modes(run_quickly: Callable[..., Any]) -> None:
    mapping = {
        "task": {"name": "ring", "num_train": 4000},
        "family": {"name": "diffusion", "width": 64},
        "data": {"batch_size": 64},
        "optimization": {"lr": 3e-3, "schedule": "cosine"},
        "evaluation": {"selection": "last", "every_steps": 600},
    }
    result, _ = run_quickly(mapping, steps=600)
    assert result["scores"]["test/modes"] == 8
    assert result["scores"]["test/reverse-kl"] < 0.05
    assert result["scores"]["test/high-quality"] > 0.3


def test_input_noise_is_refused_before_the_run() -> None:
    with pytest.raises(UserError, match="nothing may change the examples"):
        prepare(
            RunSpec.from_mapping({"task": "ring", "family": "diffusion", "regularization": {"input_noise": 0.1}}),
            Execution(device="cpu"),
        )
