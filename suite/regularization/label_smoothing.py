"""Label smoothing: targets give a share of their weight to all classes alike."""

import dataclasses
from typing import Annotated, ClassVar

from suite.errors import UserError
from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer
from suite.supervised_learner import SupervisedLearner


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Regularizer):
    """Train on ``(1 - s) * one-hot + s / classes``; scores are always those of the plain labels.

    Reference: Szegedy et al., 2016, arXiv:1512.00567.
    """

    name: ClassVar[str] = "label-smoothing"

    label_smoothing: Annotated[float, Bounds(0, 1, open_high=True), FloatDistribution(0.0, 0.3)] = 0.0
    """Share of each target spread over all classes; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Set the learner's smoothing; only a cross-entropy has labels to smooth."""
        if not isinstance(learner, SupervisedLearner) or learner.card.objective != "cross-entropy":
            raise UserError(
                "regularization.label_smoothing needs a classification objective, but this task trains on "
                f"{learner.card.objective}. Set regularization.label_smoothing=0."
            )
        learner.label_smoothing.fill_(self.label_smoothing)
        learner.smooths_labels = True
