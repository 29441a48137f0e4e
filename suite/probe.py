"""What a model does with a blank example: which of its layers it computes, and in which order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from suite.batch import Batch
from suite.errors import UserError
from suite.learner import Learner
from suite.task import Card

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
"""Layers that compute each of their outputs from weights of its own."""


def blank_batch(card: Card, size: int, device: torch.device, input_shape: Sequence[int] | None = None) -> Batch:
    """Return ``size`` examples of the task's shapes, all zero; of another input shape where the family makes one."""
    kind = torch.int64 if card.vocabulary is not None else torch.float32
    inputs = torch.zeros((size, *(card.input_shape if input_shape is None else input_shape)), dtype=kind, device=device)
    if card.objective == "cross-entropy":
        return Batch(inputs, torch.zeros((size, *card.output_shape[:-1]), dtype=torch.int64, device=device))
    return Batch(inputs, torch.zeros((size, *card.output_shape), device=device))


@contextlib.contextmanager
def refusing_unsound_convolutions(learner: Learner) -> Iterator[None]:
    """Raise `UserError` where a convolution that goes through ``learner`` strides further than its input is long.

    In bf16 on a CPU torch 2.13 gives it gradients with values that were never written, other ones each time (found by
    comparing 636 shapes with fp32). At such a place most of the kernel sees padding alone.
    """

    def check(module: nn.Module, arguments: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
        assert isinstance(module, nn.Conv1d | nn.Conv2d)
        inputs = arguments[0] if arguments else named["input"]
        sizes = tuple(inputs.shape[-len(module.stride) :])
        if any(size < stride for size, stride in zip(sizes, module.stride, strict=True)):
            raise UserError(
                f"optimization.precision='bf16' on a CPU needs inputs of each convolution that are as long as its "
                f"stride, but one of stride {module.stride} sees {sizes}: torch's gradients are not sound there. Take "
                "larger inputs, fewer layers, or fp32."
            )

    strided = (module for module in learner.modules() if isinstance(module, nn.Conv1d | nn.Conv2d))
    handles = [module.register_forward_pre_hook(check, with_kwargs=True) for module in strided]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def computed_layers(learner: Learner) -> list[tuple[str, nn.Module]]:
    """Return the names and `LAYERS` that one prediction goes through, in the order in which they are computed."""
    names: dict[nn.Module, str] = {
        module: name for name, module in learner.named_modules() if isinstance(module, LAYERS)
    }
    seen: dict[nn.Module, None] = {}
    handles = [module.register_forward_hook(lambda module, *_: seen.update({module: None})) for module in names]
    was_training = learner.training
    learner.eval()
    try:
        learner.predict(blank_batch(learner.card, 2, learner.device))
    finally:
        learner.train(was_training)
        for handle in handles:
            handle.remove()
    return [(names[module], module) for module in seen]
