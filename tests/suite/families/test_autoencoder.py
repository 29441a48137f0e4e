"""Autoencoder: its layers, its sparsity, and PCA as the best that its linear form can do."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from suite.batch import Batch
from suite.families.autoencoder import Autoencoder, Coder
from suite.families.vae import VAE
from suite.layers import count_parameters
from suite.runs.folder import WEIGHTS
from suite.task import Card, Task
from tasks.digits_reconstruction import DigitsReconstruction


@pytest.fixture
def card() -> Card:
    return shaped(DigitsReconstruction().card(), 1, 6, 6)


def shaped(card: Card, *shape: int) -> Card:
    return dataclasses.replace(card, input_shape=shape, output_shape=shape)


def test_parameters_are_those_of_the_widths(card: Card) -> None:
    linear = Autoencoder(hidden=(), code_size=3, activation="none").build(card)
    assert count_parameters(linear) == 37 * 3 + 4 * 36
    deep = Autoencoder(hidden=(20, 10), code_size=3).build(card)
    assert count_parameters(deep) == 37 * 20 + 21 * 10 + 11 * 3 + 4 * 10 + 11 * 20 + 21 * 36


def test_without_activation_the_map_is_affine(card: Card) -> None:
    learner = Autoencoder(hidden=(12,), code_size=5, activation="none").build(card)
    one, other = torch.randn(2, 4, 1, 6, 6)
    middle = learner((one + other) / 2)
    torch.testing.assert_close(middle, (learner(one) + learner(other)) / 2, rtol=1e-4, atol=1e-5)


def test_nothing_passes_but_through_the_code(card: Card) -> None:
    learner = Autoencoder(code_size=2, code_activation="tanh").build(card).eval()
    codes = learner.encode(torch.randn(7, 1, 6, 6))
    assert codes.shape == (7, 2)
    assert codes.abs().max() <= 1
    inputs = torch.randn(1, 1, 6, 6)
    torch.testing.assert_close(learner(inputs), learner.decoder(learner.encode(inputs)))
    jacobian = torch.func.jacrev(lambda x: learner(x.reshape(1, 1, 6, 6)).flatten())(inputs.flatten())
    assert int(torch.linalg.matrix_rank(jacobian, rtol=1e-4)) <= 2


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 9), (1, 8, 5), (2, 24), (1, 41)])
@pytest.mark.parametrize("family", [Autoencoder, VAE])
def test_convolutions_give_back_the_shape_of_any_input(card: Card, shape: tuple[int, ...], family: type[Coder]) -> None:
    settings = family(form="convolutional", channels=(4, 8), code_size=5)
    own = shaped(card, *shape)
    assert settings.misfit(own) is None
    inputs = torch.randn(3, *shape)
    learner = settings.build(own)
    assert learner.predict(Batch(inputs, inputs)).shape == inputs.shape
    learner.losses(Batch(inputs, inputs))["total"].backward()
    assert [name for name, parameter in learner.named_parameters() if parameter.grad is None] == []


def test_tasks_without_reconstruction_or_neighbourhoods_are_refused(card: Card, toys: dict[str, type[Task]]) -> None:
    assert "answers in the shape of the input" in (Autoencoder().misfit(toys["toy-regression"]().card()) or "")
    assert "and this task on generation" in (Autoencoder().misfit(toys["toy-points"]().card()) or "")
    assert "here there are several" in (Autoencoder().misfit(toys["toy-text"]().card()) or "")
    assert "has classes to tell apart" in (Autoencoder(sparsity=0.1).misfit(toys["toy-image"]().card()) or "")
    convolutional = Autoencoder(form="convolutional", channels=(4, 8, 16))
    assert "too small to be halved 3 times" in (convolutional.misfit(card) or "")
    assert "needs a signal" in (convolutional.misfit(shaped(card, 20)) or "")


def test_total_loss_is_the_squared_error_and_the_weighted_codes(card: Card) -> None:
    learner = Autoencoder(sparsity=0.25, code_size=4, hidden=()).build(card)
    inputs, targets = torch.randn(2, 8, 1, 6, 6)
    losses = learner.losses(Batch(inputs, targets))
    weight = learner.decoder.layers[0].weight
    codes = learner.encode(inputs)
    expected = 0.25 * (codes.abs() * weight.norm(dim=0)).sum() / (8 * 4)
    torch.testing.assert_close(losses["sparsity"], expected)
    torch.testing.assert_close(losses["reconstruction"], (learner(inputs) - targets).square().mean())
    torch.testing.assert_close(losses["total"], losses["sparsity"] + losses["reconstruction"])


def test_penalty_cannot_be_escaped_by_scaling_codes_against_weights(card: Card) -> None:
    learner = Autoencoder(sparsity=0.25, code_size=4, hidden=()).build(card)
    inputs = torch.randn(8, 1, 6, 6)
    before = learner.losses(Batch(inputs, inputs))
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.div_(10)
        learner.decoder.layers[0].weight.mul_(10)
    after = learner.losses(Batch(inputs, inputs))
    torch.testing.assert_close(after["total"], before["total"])


def test_mixed_targets_enter_by_their_share(card: Card) -> None:
    learner = Autoencoder(sparsity=0.1).build(card)
    inputs, one, other = torch.randn(3, 4, 1, 6, 6)
    share = torch.tensor(0.3)
    mixed = learner.losses(Batch(inputs, one, other, share))["total"]
    apart = [learner.losses(Batch(inputs, targets))["total"] for targets in (one, other)]
    torch.testing.assert_close(mixed, 0.3 * apart[0] + 0.7 * apart[1])


def test_sparsity_silences_codes_at_a_price_in_error(run_quickly: Callable[..., Any]) -> None:
    task = DigitsReconstruction()
    settings = {"hidden": [], "code_size": 64, "code_activation": "relu"}
    silent, errors = [], []
    for sparsity in (0.0, 0.3):
        family = {**settings, "sparsity": sparsity}
        mapping = {"family": {"name": "autoencoder", **family}, "optimization": {"lr": 3e-3}}
        result, folder = run_quickly({"task": task.name, **mapping}, steps=200)
        learner = Autoencoder.from_mapping(family).build(task.card())
        learner.load_state_dict(load_file(folder.path / WEIGHTS))
        codes = learner.encode(task.load(("val",))["val"].inputs / 16)
        silent.append((codes == 0).float().mean().item())
        errors.append(result["scores"]["val/squared-error"])
    assert silent[1] > silent[0] + 0.2
    assert errors[1] > errors[0]


def test_denoising_beats_the_noise_and_the_floor(run_quickly: Callable[..., Any]) -> None:
    task = {"name": "digits-reconstruction", "noise": 0.3}
    mapping = {"task": task, "family": "autoencoder", "optimization": {"lr": 3e-3}}
    result, _ = run_quickly(mapping, steps=400)
    test = DigitsReconstruction(noise=0.3).load(("test",))["test"]
    noise = ((test.inputs.float() - test.targets.float()) / 16).square().mean().item()
    assert result["scores"]["test/squared-error"] < 0.75 * noise < DigitsReconstruction().card().floor
