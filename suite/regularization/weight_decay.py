"""Weight decay, the decoupled form of L2: weights shrink outside the gradient."""

import dataclasses
from typing import Annotated, ClassVar

from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, Unless
from suite.learner import DecayScope, Learner
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightDecay(Regularizer):
    """Multiply weights by ``1 - lr * weight_decay`` before each step, under any optimiser.

    The coupled form, a penalty in the loss, is ``l2``.

    Reference: Loshchilov and Hutter, 2019, arXiv:1711.05101; the scope ``matrices`` as github.com/karpathy/nanoGPT.
    """

    name: ClassVar[str] = "weight-decay"

    weight_decay: Annotated[float, Bounds(low=0), FloatDistribution(1e-5, 1.0, log=True)] = 0.0
    """Decoupled weight decay; 0 is off."""
    weight_decay_scope: Annotated[
        DecayScope, CategoricalDistribution(("all", "matrices")), Unless("weight_decay", 0.0)
    ] = "all"
    """What shrinks: all, or parameters of two and more dimensions: no biases or norms, but the gains of weight norm."""

    def attach(self, learner: Learner) -> None:
        """Hand rate and scope to the optimiser that the learner is going to build."""
        learner.weight_decay = self.weight_decay
        learner.weight_decay_scope = self.weight_decay_scope
