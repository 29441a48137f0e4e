"""L1: a penalty on the absolute size of every weight."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class L1(Regularizer):
    """Add ``l1 * sum |w|`` over all trainable parameters to the loss.

    Reference: Tibshirani, 1996, JRSS B 58.
    """

    name: ClassVar[str] = "l1"

    l1: Annotated[float, Bounds(low=0), FloatDistribution(1e-7, 1e-2, log=True)] = 0.0
    """Strength of the L1 penalty on all parameters; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Add the penalty; its strength is a buffer so that lanes may differ in it."""
        learner.register_buffer("l1", torch.tensor(self.l1), persistent=False)
        learner.penalties.append(functools.partial(penalty, learner))


def penalty(learner: Learner) -> Tensor:
    """Return ``l1 * sum |w|`` as a 0-dim tensor."""
    # One norm each: torch has no rule by which `_foreach_norm` maps over lanes.
    sizes = [torch.linalg.vector_norm(p, 1) for p in learner.parameters() if p.requires_grad]
    return learner.get_buffer("l1") * torch.stack(sizes).sum()
