"""Optimisers against torch.optim, and decoupled weight decay against its formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from suite.engine.optimization import Optimization

STEPS = 8


def parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (3,))]


def follow(
    optimizer: torch.optim.Optimizer, weights: list[Tensor], before_step: Callable[[], None] = lambda: None
) -> list[Tensor]:
    """Take some steps down a fixed curved surface; return the weights."""
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = sum((weight.sin() * (1 + 0.1 * step)).sum() + weight.square().sum() for weight in weights)
        assert isinstance(loss, Tensor)
        loss.backward()
        before_step()
        optimizer.step()
    return [weight.detach() for weight in weights]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


REFERENCES: list[tuple[dict[str, Any], Callable[[list[Tensor]], torch.optim.Optimizer]]] = [
    (
        {"optimizer": "sgd", "lr": 0.05, "momentum": 0.7},
        lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.7),
    ),
    (
        {"optimizer": "adam", "lr": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        lambda weights: torch.optim.Adam(weights, lr=0.02, betas=(0.8, 0.95), eps=1e-3),
    ),
    (
        {"optimizer": "adamw", "lr": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        lambda weights: torch.optim.AdamW(weights, lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0),
    ),
    (
        {"optimizer": "rmsprop", "lr": 0.01, "beta2": 0.9, "epsilon": 1e-3},
        lambda weights: torch.optim.RMSprop(weights, lr=0.01, alpha=0.9, eps=1e-3),
    ),
]


@pytest.mark.parametrize(("settings", "build"), REFERENCES, ids=["sgd", "adam", "adamw", "rmsprop"])
def test_optimiser_is_torchs(settings: dict[str, Any], build: Callable[..., Any]) -> None:
    ours, theirs = parameters(), parameters()
    assert_same(follow(Optimization(**settings).build_optimizer(ours), ours), follow(build(theirs), theirs))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_weight_decay_of_adam_is_torchs_adamw(name: Any) -> None:
    ours, theirs = parameters(), parameters()
    optimizer = Optimization(optimizer=name, lr=0.02).build_optimizer(ours, weight_decay=0.3)
    reference = torch.optim.AdamW(theirs, lr=0.02, weight_decay=0.3)
    assert_same(follow(optimizer, ours), follow(reference, theirs))


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_weight_decay_of_the_others_shrinks_weights_outside_the_gradient(name: Any) -> None:
    """By hand: w <- (1 - lr * decay) * w, and then torch's step with the gradient taken before."""
    ours, theirs = parameters(), parameters()
    settings = Optimization(optimizer=name, lr=0.02)

    def shrink() -> None:
        with torch.no_grad():
            for weight in theirs:
                weight.mul_(1 - 0.02 * 0.3)

    decayed = follow(settings.build_optimizer(ours, weight_decay=0.3), ours)
    by_hand = follow(settings.build_optimizer(theirs), theirs, shrink)
    assert_same(decayed, by_hand)
    assert not torch.allclose(decayed[0], follow(settings.build_optimizer(weights := parameters()), weights)[0])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_weight_decay_follows_the_learning_rate_of_the_step(name: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = Optimization(optimizer=name, lr=0.5).build_optimizer([weight], weight_decay=0.1)
    for group in optimizer.param_groups:
        group["lr"] = 0.25
    weight.grad = torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((3,), 1 - 0.25 * 0.1))


def group_of(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, Any]:
    (group,) = [group for group in optimizer.param_groups if any(parameter is member for member in group["params"])]
    return group


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_scope_matrices_makes_the_groups_that_nanogpt_makes(name: Any) -> None:
    """Its configure_optimizers: tensors of two and more dimensions decay, all others do not."""
    ours, theirs = parameters(), parameters()
    settings = Optimization(optimizer=name, lr=0.02)
    optimizer = settings.build_optimizer(ours, weight_decay=0.3, decay_scope="matrices")
    assert group_of(optimizer, ours[0])["weight_decay"] == 0.3
    assert group_of(optimizer, ours[1])["weight_decay"] == 0.0
    reference = torch.optim.AdamW(
        [{"params": theirs[:1], "weight_decay": 0.3}, {"params": theirs[1:], "weight_decay": 0.0}], lr=0.02
    )
    assert_same(follow(optimizer, ours), follow(reference, theirs))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_scope_matrices_shrinks_matrices_alone(name: Any) -> None:
    matrix, bias = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 3), (3,)))
    optimizer = Optimization(optimizer=name, lr=0.5).build_optimizer(
        [matrix, bias], weight_decay=0.1, decay_scope="matrices"
    )
    for weight in (matrix, bias):
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 3), 1 - 0.5 * 0.1))
    assert torch.equal(bias.detach(), torch.ones(3))


def test_scope_matrices_makes_no_empty_group() -> None:
    weights = [torch.nn.Parameter(torch.ones(2, 2))]
    optimizer = Optimization().build_optimizer(weights, weight_decay=0.1, decay_scope="matrices")
    assert [len(group["params"]) for group in optimizer.param_groups] == [1]
