"""Weight averaging: an exponential moving average of the weights is scored and kept in place of the last ones."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import torch

from suite.fields import Bounds, CategoricalDistribution
from suite.learner import Learner
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightAveraging(Regularizer):
    """Keep ``average = decay * average + (1 - decay) * weights`` after each step, from the first step's weights on.

    Running means and variances of batch norm are averaged likewise: those of the last weights belong to other
    activations than the averaged weights make.

    Reference: Polyak and Juditsky, 1992, SIAM J. Control Optim. 30; as an exponential average Tarvainen and Valpola,
    2017, arXiv:1703.01780; with averaged statistics as in Lightning's ``EMAWeightAveraging``.
    Differs from Izmailov et al., 2018, arXiv:1803.05407, who estimate the statistics anew in a pass over the training
    split: that is a pass for each validation.
    """

    name: ClassVar[str] = "weight-averaging"

    weight_averaging: Annotated[
        float, Bounds(0, 1, open_high=True), CategoricalDistribution((0.0, 0.9, 0.99, 0.999))
    ] = 0.0
    """Decay of the average per step; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Update the average after each step; the new weights' share is a buffer so that lanes may differ in it."""
        learner.register_buffer("weight_averaging", torch.tensor(1 - self.weight_averaging), persistent=False)
        learner.after_step.append(functools.partial(_update, learner))


@torch.no_grad()
def _update(learner: Learner) -> None:
    latest = learner.averaged_tensors()
    if not learner.averages:
        learner.averages = {name: tensor.detach().clone() for name, tensor in latest.items()}
        return
    averages = [learner.averages[name] for name in latest]
    torch._foreach_lerp_(averages, list(latest.values()), [learner.get_buffer("weight_averaging")] * len(averages))
