"""What a model is asked when its answers are explained: the features that count, their baseline, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from suite.batch import Batch
from suite.errors import UserError
from suite.explainer import Question
from suite.layers import Flat
from suite.learner import Learner
from suite.task import Card

ENTRIES = (nn.Embedding, Flat)
"""Layers that tokens enter a model through."""


def positions_of(card: Card) -> tuple[int, ...]:
    """Return the input's axes but its channels: steps, pixels or values."""
    return card.input_shape if len(card.input_shape) == 1 else card.input_shape[1:]


def misfit(card: Card) -> str | None:
    """Return why answers of this task cannot be explained, or None when they can."""
    if card.objective == "generation":
        return "is to generate, and a sample is no answer to an input"
    if len(card.output_shape) > 1 or (card.objective == "squared-error" and card.num_outputs > 1):
        return f"has answers of shape {card.output_shape}, and what is explained is one class or one number"
    return None


def ask(learner: Learner, inputs: Tensor) -> Question:
    """Return the question why the model answers ``inputs`` as it does.

    Args:
        learner: In evaluation mode.
        inputs: As the model sees them: normalised, or tokens.

    Raises:
        UserError: Tokens enter the model in a way that is not known.
    """
    card = learner.card
    with torch.no_grad():
        chosen = learner.predict(Batch(inputs, inputs)).argmax(dim=1)
    positions = tuple(inputs.shape[1:]) if card.vocabulary is not None else positions_of(card)
    how: dict[str, Any] = {"learner": learner, "inputs": inputs, "chosen": chosen, "positions": positions}
    if card.vocabulary is None:
        has_channels = len(card.input_shape) > 1
        return Question(
            features=inputs,
            baseline=torch.zeros_like(inputs[:1]),
            outputs=lambda features: learner.predict(Batch(features, features)),
            unit=(card.input_shape[0], *[1] * len(positions)) if has_channels else (1,),
            fold=(lambda values: values.sum(dim=1)) if has_channels else lambda values: values,
            **how,
        )
    entry = _entry(learner, inputs[:1])
    length = inputs.shape[1]
    with torch.no_grad():
        features: Tensor = entry(inputs)
        every: Tensor = entry(torch.arange(card.vocabulary, device=inputs.device).unsqueeze(1).expand(-1, length))
    is_flat = features.ndim == 2
    size = features[0].numel() // length
    return Question(
        features=features,
        baseline=every.mean(dim=0, keepdim=True),
        outputs=_from_features(learner, entry, inputs[:1]),
        unit=(size,) if is_flat else (1, size),
        fold=lambda values: values.reshape(len(values), length, size).sum(dim=2),
        **how,
    )


def _entry(learner: Learner, tokens: Tensor) -> nn.Module:
    """Return the layer that the tokens go into."""
    seen: list[nn.Module] = []

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if arguments and isinstance(arguments[0], Tensor) and torch.equal(arguments[0], tokens):
            seen.append(module)

    handles = [module.register_forward_pre_hook(note) for module in learner.modules() if isinstance(module, ENTRIES)]
    try:
        with torch.no_grad():
            learner.predict(Batch(tokens, tokens))
    finally:
        for handle in handles:
            handle.remove()
    if len(seen) != 1:
        raise UserError(
            f"Tokens must enter a model through one embedding or one-hot layer to be explained, but here "
            f"{len(seen)} such layers take them in."
        )
    return seen[0]


def _from_features(learner: Learner, entry: nn.Module, tokens: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the model from its first layer's output on."""

    def outputs(features: Tensor) -> Tensor:
        handle = entry.register_forward_hook(lambda *_: features)
        try:
            blank = tokens.expand(len(features), *[-1] * (tokens.ndim - 1))  # its values are not looked at
            return learner.predict(Batch(blank, blank))
        finally:
            handle.remove()

    return outputs
