"""Attention roll-out: how much of each position reaches the answer through the layers' attention."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import torch

from suite.batch import Batch
from suite.explainer import Explainer, Question

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionRollout(Explainer):
    """Multiply the attention of all layers, half of each being what the shortcut around it passes on.

    Heads count alike. It sees where attention goes and not what is read there, and knows no sign.

    Reference: Abnar and Zuidema, 2020, arXiv:2005.00928.
    Differs from the paper: attention over recurrent states has no shortcut, so it counts as it is.
    """

    name: ClassVar[str] = "attention-rollout"

    @torch.no_grad()
    def misfit(self, question: Question) -> str | None:
        """Return why the model does not fit: it has no attention."""
        if question.learner.attention_maps(_batch(question.inputs[:1])) is None:
            return "needs a family with attention weights, and this one has none"
        return None

    @torch.no_grad()
    def attribute(self, question: Question) -> Tensor:
        """Return the share of each position in the answer."""
        learner, inputs = question.learner, question.inputs
        maps = learner.attention_maps(_batch(inputs))
        assert maps is not None, "misfit asked before"
        reached: Tensor | None = None
        for attention in maps.mean(dim=2).unbind(dim=1):
            queries, keys = attention.shape[1:]
            if queries == keys:
                attention = (attention + torch.eye(keys, device=attention.device)) / 2
            reached = attention if reached is None else attention @ reached
        assert reached is not None, "there is a layer"
        shares = learner.answering_queries(reached.shape[1]).to(reached.device) @ reached
        return learner.attended_positions(shares).reshape(len(inputs), *question.positions)


def _batch(inputs: Tensor) -> Batch:
    return Batch(inputs, inputs)  # no attention looks at targets
