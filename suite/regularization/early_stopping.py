"""Early stopping: training ends when val has not improved for a while."""

import dataclasses
from typing import Annotated, ClassVar

from suite.fields import Bounds, IntDistribution, Unless
from suite.learner import Learner
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class EarlyStopping(Regularizer):
    """Stop after ``early_stopping`` validations in a row without a better val score.

    Reference: Prechelt, 1998, LNCS 1524.
    """

    name: ClassVar[str] = "early-stopping"

    early_stopping: Annotated[int | None, Bounds(low=1), IntDistribution(2, 50, log=True)] = None
    """Validations without improvement before training stops; none is off."""
    early_stopping_min_improvement: Annotated[float, Bounds(low=0), Unless("early_stopping", None)] = 0.0
    """What a score must gain on the best so far to count as better."""

    def attach(self, learner: Learner) -> None:
        """Set the learner's patience."""
        learner.patience = self.early_stopping
        learner.min_improvement = self.early_stopping_min_improvement
