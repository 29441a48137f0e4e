"""The learner base: steps of a block, learning rate, noise, precision, label smoothing."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from suite.batch import Batch
from suite.learner import Learner
from suite.supervised_learner import SupervisedLearner
from suite.task import Card, Task


@pytest.fixture
def card(toys: dict[str, type[Task]]) -> Card:
    return toys["toy-vector"]().card()


class Affine(SupervisedLearner):
    """A linear map, small enough to check by hand."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.output = torch.nn.Linear(card.num_inputs, card.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.shape_outputs(self.output(inputs.flatten(1)))


def configured(learner: Learner, *, precision: str = "fp32", noise_seed: int = 0, lr: float = 0.5) -> Learner:
    learner.configure(
        noise_seed=noise_seed,
        schedule=lambda step: 1 / (1 + step),
        build_optimizer=lambda parameters, _decay, _scope: torch.optim.SGD(parameters, lr=lr),
        precision=precision,
    )
    optimizer = learner.configure_optimizers()
    learner.optimizers = lambda use_pl_optimizer: optimizer  # what a Trainer gives  # type: ignore[method-assign]
    learner.on_fit_start()
    return learner


def batch_of(card: Card, count: int = 6, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, *card.input_shape, generator=generator)
    return Batch(inputs, torch.randint(0, 4, (count,), generator=generator))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_label_smoothing_is_torchs(card: Card, smoothing: float) -> None:
    learner, batch = Affine(card), batch_of(card)
    learner.label_smoothing.fill_(smoothing)
    learner.smooths_labels = True
    expected = functional.cross_entropy(learner(batch.inputs), batch.targets, label_smoothing=smoothing)
    torch.testing.assert_close(learner.losses(batch)["total"], expected)


def test_without_smoothing_the_loss_is_the_cross_entropy(card: Card) -> None:
    learner, batch = Affine(card), batch_of(card)
    expected = functional.cross_entropy(learner(batch.inputs), batch.targets)
    assert torch.equal(learner.losses(batch)["total"], expected)


def test_squared_error_is_taken_over_the_cards_output_shape(toys: dict[str, type[Task]]) -> None:
    card = dataclasses.replace(toys["toy-regression"]().card(), output_shape=(2, 3))
    learner, targets = Affine(card), torch.zeros(6, 2, 3)
    batch = Batch(batch_of(card).inputs, targets)
    assert learner(batch.inputs).shape == (6, 2, 3)
    torch.testing.assert_close(learner.losses(batch)["total"], learner(batch.inputs).square().mean())


def test_a_step_follows_the_gradient_at_the_schedules_rate(card: Card) -> None:
    learner, batch = configured(Affine(card)), batch_of(card)
    for step in range(3):
        before = [parameter.detach().clone() for parameter in learner.parameters()]
        gradients = torch.autograd.grad(learner.losses(batch)["total"], list(learner.parameters()))
        learner.set_learning_rate(step)
        learner.optimize(batch)
        for parameter, old, gradient in zip(learner.parameters(), before, gradients, strict=True):
            torch.testing.assert_close(parameter.detach(), old - 0.5 / (1 + step) * gradient)


def test_plateau_scale_multiplies_the_schedule(card: Card) -> None:
    learner = configured(Affine(card))
    learner.lr_scale = 0.1
    learner.set_learning_rate(3)
    assert learner.optimizers(use_pl_optimizer=False).param_groups[0]["lr"] == pytest.approx(0.5 * 0.25 * 0.1)


def test_hooks_run_between_backward_and_step(card: Card) -> None:
    learner, batch = configured(Affine(card)), batch_of(card)
    before = learner.output.weight.detach().clone()

    def drop_gradients() -> None:
        for parameter in learner.parameters():
            assert parameter.grad is not None
            assert bool((parameter.grad != 0).any())
            parameter.grad.zero_()

    learner.after_backward.append(drop_gradients)
    learner.optimize(batch)
    assert torch.equal(learner.output.weight, before)


def test_losses_that_come_back_are_detached(card: Card) -> None:
    assert not any(loss.requires_grad for loss in configured(Affine(card)).optimize(batch_of(card)).values())


def test_bf16_computes_in_bf16_and_keeps_parameters_in_fp32(card: Card) -> None:
    seen: list[Any] = []
    learner, batch = configured(Affine(card), precision="bf16"), batch_of(card)
    learner.output.register_forward_hook(lambda _module, _inputs, out: seen.append(out.dtype))
    learner.optimize(batch)
    assert seen == [torch.bfloat16]
    assert {parameter.dtype for parameter in learner.parameters()} == {torch.float32}


@pytest.mark.parametrize("step", [0, 1, 7, 10**6])
def test_noise_is_a_function_of_seed_and_step(card: Card, step: int) -> None:
    learner = configured(Affine(card), noise_seed=11)

    def draw(from_learner: Learner, at: int) -> Tensor:
        from_learner.seed_noise(at)
        return torch.rand(3)

    first = draw(learner, step)
    assert not torch.equal(draw(learner, step + 1), first)
    assert torch.equal(draw(learner, step), first)
    assert torch.equal(draw(configured(Affine(card), noise_seed=11), step), first)
    assert not torch.equal(draw(configured(Affine(card), noise_seed=12), step), first)
