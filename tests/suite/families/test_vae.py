"""VAE: its losses against torch's distributions, and the likelihood of linear-Gaussian data."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.families.autoencoder import Autoencoder
from suite.families.vae import VAE, VAELearner, divergence
from suite.learner import Learner
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.metrics_log import read_curves
from suite.runs.prepare import prepare
from suite.spec import RunSpec
from suite.task import Card
from tasks.digits_reconstruction import DigitsReconstruction
from tasks.linear_gaussian import LinearGaussian, optimal_log_likelihood


@pytest.fixture
def card() -> Card:
    return DigitsReconstruction().card()


def trained(learner: Learner, inputs: torch.Tensor, *, steps: int, lr: float) -> None:
    """Take full-batch Adam steps with a learning rate that falls to zero."""
    optimizer = torch.optim.Adam(learner.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    torch.manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        learner.losses(Batch(inputs, inputs))["total"].backward()
        optimizer.step()
        schedule.step()


def test_divergence_is_torchs() -> None:
    mean, log_variance = torch.randn(2, 6, 3)
    code, prior = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(6, 3), torch.ones(6, 3))
    torch.testing.assert_close(divergence(mean, log_variance), kl_divergence(code, prior).sum(dim=1))


def test_losses_are_the_negative_elbo_per_value(card: Card) -> None:
    learner = VAE(output_std=0.3, beta=2.5, code_size=3).build(card)
    inputs, targets = torch.rand(2, 5, 1, 8, 8)
    torch.manual_seed(4)
    losses = learner.losses(Batch(inputs, targets))
    torch.manual_seed(4)
    mean, log_variance = learner.encode(inputs)
    outputs = learner.decoder(Normal(mean, (log_variance / 2).exp()).rsample())
    torch.testing.assert_close(losses["reconstruction"], -Normal(outputs, 0.3).log_prob(targets).mean())
    torch.testing.assert_close(losses["kl"], divergence(mean, log_variance).sum() / (5 * 64))
    torch.testing.assert_close(losses["total"], losses["reconstruction"] + 2.5 * losses["kl"])


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_score_is_the_elbo_of_each_example_whatever_beta_is(card: Card, beta: float) -> None:
    learner = VAE(output_std=0.3, beta=beta, code_size=3).build(card)
    inputs, targets = torch.rand(2, 5, 1, 8, 8)
    torch.manual_seed(4)
    (elbo,) = learner.scores(Batch(inputs, targets)).values()
    torch.manual_seed(4)
    mean, log_variance = learner.encode(inputs)
    code = Normal(mean, (log_variance / 2).exp())
    likelihood = Normal(learner.decoder(code.rsample()), 0.3).log_prob(targets).flatten(1).sum(dim=1)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(elbo, likelihood - kl_divergence(code, prior).sum(dim=1))


def test_mixed_targets_enter_by_their_share(card: Card) -> None:
    learner = VAE().build(card)
    inputs, one, other = torch.rand(3, 5, 1, 8, 8)

    def total(batch: Batch) -> torch.Tensor:
        torch.manual_seed(1)
        return learner.losses(batch)["total"]

    mixed = total(Batch(inputs, one, other, torch.tensor(0.3)))
    torch.testing.assert_close(mixed, 0.3 * total(Batch(inputs, one)) + 0.7 * total(Batch(inputs, other)))


def test_the_likelihoods_variance_is_learned_or_fixed(card: Card) -> None:
    assert "log_std" in dict(VAE().build(card).named_parameters())
    fixed = VAE(output_std=0.2).build(card)
    assert "log_std" not in fixed.state_dict()
    assert fixed.log_std.item() == pytest.approx(math.log(0.2))


def test_samples_have_the_shape_of_a_prediction_and_follow_the_generator(card: Card) -> None:
    learner = VAE(form="convolutional").build(card).eval()
    torch.manual_seed(2)
    one, other = learner.sample(9), learner.sample(9)
    torch.manual_seed(2)
    assert one.shape == (9, 1, 8, 8)
    assert torch.equal(learner.sample(9), one)
    assert not torch.equal(one, other)


def test_log_likelihood_is_exact_where_the_encoder_knows_nothing_and_the_decoder_ignores_the_code(card: Card) -> None:
    learner = VAE(output_std=0.5, hidden=()).build(card)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.zero_()
    inputs = torch.rand(4, 1, 8, 8)
    expected = Normal(0.0, 0.5).log_prob(inputs).flatten(1).sum(dim=1)
    torch.testing.assert_close(learner.log_likelihood(inputs, 70), expected)


def test_more_importance_samples_bring_the_bound_nearer_to_the_likelihood() -> None:
    """With a linear decoder the marginal is Gaussian, and known; the untrained encoder is a poor proposal."""
    torch.manual_seed(0)
    learner: VAELearner = VAE(hidden=(), code_size=2, output_std=1.0).build(LinearGaussian(num_values=6).card())
    layer = learner.decoder.layers[0]
    covariance = layer.weight @ layer.weight.T + torch.eye(6)
    inputs = torch.randn(50, 6)
    exact = torch.distributions.MultivariateNormal(layer.bias, covariance).log_prob(inputs).mean().item()
    bounds = [learner.log_likelihood(inputs, count).mean().item() for count in (1, 10, 2000)]
    assert bounds[0] < bounds[1] < exact + 0.02
    assert bounds[2] == pytest.approx(exact, abs=0.02)


def test_with_corrupted_inputs_the_bound_is_that_of_the_clean_targets(card: Card) -> None:
    """One sample is a draw of the ELBO, whose mean `losses` estimates too; more of them come nearer."""
    learner = VAE(output_std=0.3, code_size=3).build(card)
    inputs, targets = torch.rand(2, 4, 1, 8, 8)
    many = [part.repeat(3000, 1, 1, 1) for part in (inputs, targets)]
    torch.manual_seed(0)
    with torch.no_grad():
        elbo = -64 * learner.losses(Batch(*many))["total"].item()
    torch.manual_seed(0)  # the same codes: only the divergence is an estimate in one and exact in the other
    one = learner.log_likelihood(many[0], 1, many[1]).mean().item()
    assert one == pytest.approx(elbo, abs=0.1)
    assert learner.log_likelihood(inputs, 3000, targets).mean().item() > one + 0.05


def test_a_run_ends_with_both_bounds_and_spends_samples_on_the_tighter_one_then_only(
    run_quickly: Callable[..., Any],
) -> None:
    mapping = {"task": {"name": "digits-reconstruction", "noise": 0.2}, "family": "vae"}
    result, folder = run_quickly(mapping, steps=20)
    for split in ("val", "test"):
        assert result["scores"][f"{split}/log-likelihood"] > result["scores"][f"{split}/elbo"]
    assert "likelihood" not in (folder.path / "metrics.jsonl").read_text()
    quiet, _ = run_quickly({**mapping, "family": {"name": "vae", "likelihood_samples": 0}}, steps=20)
    others = {name: value for name, value in result["scores"].items() if not name.endswith("log-likelihood")}
    assert quiet["scores"] == others


def warming_run(steps: int, folder: Path, **family: Any) -> tuple[Any, Any]:
    mapping = {
        "task": {"name": "ring", "num_train": 400},
        "family": {"name": "vae", "hidden": [16], "code_size": 2, **family},
        "budget": {"steps": steps},
        "data": {"batch_size": 50},
        "evaluation": {"every_steps": 5},
        "optimization": {"schedule": "cosine"},
        "regularization": {"weight_averaging": 0.9},
    }
    run = prepare(RunSpec.from_mapping(mapping), Execution(device="cpu", block_steps=2))
    return run, RunFolder(folder)


def test_the_divergence_warms_up_in_a_straight_line(tmp_path: Path) -> None:
    run, folder = warming_run(12, tmp_path / "run", beta=3.0, beta_warmup_steps=8)
    assert execute(run, folder)[0]["status"] == "completed"
    curves = read_curves(folder.path / "metrics.jsonl").steps
    for step, (total, fit, kl) in enumerate(
        zip(curves["train/loss"], curves["train/reconstruction"], curves["train/kl"], strict=True), start=1
    ):
        assert total == pytest.approx(fit + 3 * min(1, step / 8) * kl, rel=1e-5)


def test_a_run_cut_off_while_it_warms_up_goes_on_bit_for_bit(tmp_path: Path) -> None:
    run, folder = warming_run(12, tmp_path / "whole", beta_warmup_steps=10)
    whole, _ = execute(run, folder)
    asked = iter([False, True])
    cut = RunFolder(tmp_path / "cut")
    first, _ = execute(run, cut, should_stop=lambda: next(asked))
    assert (first["status"], first["cost"]["steps"]) == ("interrupted", 4)
    resumed, _ = execute(run, cut)
    assert whole["status"] == resumed["status"] == "completed"
    assert resumed["digests"] == whole["digests"]
    assert resumed["scores"] == whole["scores"]


def test_where_the_task_is_to_generate_predictions_are_decoded_draws_from_the_prior(card: Card) -> None:
    learner = VAE(code_size=3).build(dataclasses.replace(card, objective="generation")).eval()
    examples = torch.rand(6, 1, 8, 8)
    torch.manual_seed(5)
    samples = learner.predict(Batch(examples, examples))
    torch.manual_seed(5)
    assert torch.equal(samples, learner.decoder(torch.randn(6, 3)))


@pytest.mark.slow
def test_elbo_and_likelihood_of_a_linear_vae_come_near_the_closed_form() -> None:
    task = LinearGaussian()
    splits = task.load()
    torch.manual_seed(0)
    learner: VAELearner = VAE(hidden=(), activation="none", code_size=4).build(task.card())
    trained(learner, splits["train"].inputs, steps=1500, lr=0.03)
    test = splits["test"].inputs
    best = optimal_log_likelihood(task, test).mean().item()
    with torch.no_grad():
        elbo = -20 * torch.stack([learner.losses(Batch(test, test))["total"] for _ in range(20)]).mean().item()
    likelihood = learner.log_likelihood(test, 200).mean().item()
    # 10,000 examples leave some 0.01 nats of estimation error; the rest is left to the short training.
    assert best - 0.1 < elbo < best + 0.01
    assert best - 0.05 < likelihood < best + 0.01
    assert learner.log_std.exp().item() == pytest.approx(task.noise, rel=0.01)


@pytest.mark.slow
def test_linear_autoencoder_comes_near_the_error_of_pca() -> None:
    task = LinearGaussian()
    values = task.load(("train",))["train"].inputs
    torch.manual_seed(0)
    learner = Autoencoder(hidden=(), activation="none", code_size=4).build(task.card())
    trained(learner, values, steps=1500, lr=0.03)
    centred = values.double() - values.double().mean(dim=0)
    optimum = torch.linalg.eigvalsh(centred.T @ centred / len(values))[:-4].sum().item() / 20
    with torch.no_grad():
        error = (learner(values).double() - values.double()).square().mean().item()
    assert 1 - 1e-6 < error / optimum < 1 + 1e-3
