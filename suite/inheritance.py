"""Weights taken over from another model: layer by layer, by name and shape, and said so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import UserError
from suite.learner import Learner

SHOWN_LAYERS = 6
"""Layers that an error names of each model."""


@dataclasses.dataclass(frozen=True)
class Inheritance:
    """Which layers were taken over, which keep their initial weights, and which of the source are not used."""

    matched: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    tokens: Mapping[str, str]
    """Embeddings that were taken over token by token, such as ``64 of 66``, by name."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, as a record holds them."""
        return {
            "matched": list(self.matched),
            "fresh": list(self.fresh),
            "unused": list(self.unused),
            "tokens": dict(self.tokens),
        }


@torch.no_grad()
def inherit(learner: Learner, source: Learner, *, run_id: str) -> Inheritance:
    """Copy the weights of ``source`` into ``learner`` wherever a layer's name and all its shapes agree.

    A layer is taken over whole or not at all. Of a token embedding each row goes to the token of its name, where both
    tasks name their tokens; tokens that the source does not know keep their initial row.

    Args:
        learner: Fresh; written to in place.
        source: The model of the finished run, on the same device. On the meta device nothing is copied.
        run_id: Names the source in errors.

    Raises:
        UserError: No layer fits.
    """
    mine, theirs = _by_layer(learner.state_dict()), _by_layer(source.state_dict())
    matched: list[str] = []
    tokens: dict[str, str] = {}
    for name, tensors in mine.items():
        others = theirs.get(name)
        if others is None or set(others) != set(tensors):
            continue
        rows = _token_rows(learner, source, name)
        if rows is not None:
            for key, tensor in tensors.items():
                if tensor.shape[1:] != others[key].shape[1:] or not rows:
                    break
                if tensor.device.type != "meta":
                    here, there = zip(*rows, strict=True)
                    tensor[list(here)] = others[key][list(there)]
            else:
                matched.append(name)
                if len(rows) < learner.card.vocabulary:  # type: ignore[operator]  # there are tokens
                    tokens[name] = f"{len(rows)} of {learner.card.vocabulary}"
            continue
        if any(
            tensor.shape != others[key].shape or tensor.dtype != others[key].dtype for key, tensor in tensors.items()
        ):
            continue
        for key, tensor in tensors.items():
            if tensor.device.type != "meta":
                tensor.copy_(others[key])
        matched.append(name)
    if not matched:
        raise UserError(
            f"At least one layer of {run_id!r} must fit by name and shape, but none does. It has {_shown(theirs)}; "
            f"this model has {_shown(mine)}. Take the family and the sizes of that run."
        )
    return Inheritance(
        matched=tuple(matched),
        fresh=tuple(name for name in mine if name not in matched),
        unused=tuple(name for name in theirs if name not in matched),
        tokens=tokens,
    )


def _by_layer(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of a state dict by the module that they belong to; one of the model itself is its own."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        owner, is_parametrised, rest = name.partition(".parametrizations.")
        if not is_parametrised:
            owner, _, rest = name.rpartition(".")
        found.setdefault(owner or name, {})[rest] = tensor
    return found


def _token_rows(learner: Learner, source: Learner, layer: str) -> list[tuple[int, int]] | None:
    """Return (row here, row there) of each token that both know; None where the layer embeds no named tokens."""
    module = dict(learner.named_modules()).get(layer)
    ours, theirs = learner.card.token_names, source.card.token_names
    if not isinstance(module, nn.Embedding) or module.num_embeddings != len(ours) or not theirs:
        return None
    places = {token: place for place, token in enumerate(theirs)}
    return [(place, places[token]) for place, token in enumerate(ours) if token in places]


def _shown(layers: Mapping[str, Mapping[str, Tensor]]) -> str:
    texts = [
        f"{name} {'/'.join('x'.join(map(str, tensor.shape)) or '1' for tensor in tensors.values())}"
        for name, tensors in list(layers.items())[:SHOWN_LAYERS]
    ]
    return ", ".join(texts) + (", ..." if len(layers) > SHOWN_LAYERS else "")
