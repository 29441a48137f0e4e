"""CutMix: a patch of each training input is replaced by that of another example, targets in proportion."""

import dataclasses
import functools
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from suite.batch import Batch
from suite.errors import UserError
from suite.fields import Bounds, FloatDistribution, When
from suite.learner import Learner
from suite.regularization.mixup import check_parameter, draw_share
from suite.regularizer import Regularizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class CutMix(Regularizer):
    """Paste one patch per batch, its area drawn as 1 - Beta(cutmix, cutmix), from another example.

    Reference: Yun et al., 2019, arXiv:1905.04899.
    Differs from the paper: signals have stretches in place of rectangles.
    """

    name: ClassVar[str] = "cutmix"

    cutmix: Annotated[float, Bounds(low=0), FloatDistribution(0.05, 2.0, log=True), When("mixup", 0.0)] = 0.0
    """Parameter of the Beta distribution that the kept share is drawn from, without mixup; 0 is off."""

    def attach(self, learner: Learner) -> None:
        """Add the transform; its strength is a buffer so that lanes may differ in it."""
        self.require_real_inputs(learner)
        check_parameter("cutmix", self.cutmix)
        card = learner.card
        if len(card.input_shape) < 2 or len(card.output_shape) > 1:
            raise UserError(
                "regularization.cutmix needs signals or images with one answer each, but the inputs of "
                f"{card.name!r} are {card.input_shape} and its outputs {card.output_shape}. "
                "Leave regularization.cutmix at its default."
            )
        learner.register_buffer("cutmix", torch.tensor([self.cutmix, self.cutmix]), persistent=False)
        learner.transforms.append(functools.partial(_paste, learner))


def _paste(learner: Learner, batch: Batch) -> Batch:
    sizes = batch.inputs.shape[2:]
    cut = 1 - draw_share(learner.get_buffer("cutmix"))
    inside = patch(sizes, cut ** (1 / len(sizes)), device=batch.inputs.device)
    partners = torch.randperm(len(batch.targets), device=batch.targets.device)
    inputs = torch.where(inside, batch.inputs[partners], batch.inputs)
    # The patch is cut off at the border: the share is what is really left.
    return Batch(inputs, batch.targets, batch.targets[partners], 1 - inside.float().mean())


def patch(sizes: torch.Size, side: Tensor, *, device: torch.device) -> Tensor:
    """Return a mask of shape ``sizes``, true in a patch around a random centre.

    Args:
        sizes: Length, or height and width.
        side: Side of the patch as a share of each size, 0-dim.
        device: Where the mask lies.
    """
    mask = torch.ones(sizes, dtype=torch.bool, device=device)
    for axis, size in enumerate(sizes):
        centre = torch.rand((), device=device) * size
        places = torch.arange(size, device=device) + 0.5
        inside = (places - centre).abs() < side * size / 2
        mask = mask & inside.reshape([-1 if other == axis else 1 for other in range(len(sizes))])
    return mask
