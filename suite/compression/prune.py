"""Prune: the smallest weights become zero and stay so, and the rest is trained on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from suite.compressor import Compressor
from suite.errors import UserError
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution
from suite.learner import Learner
from suite.probe import computed_layers

DEFAULT_SHARE = 0.9

Part = tuple[str, Tensor, Tensor]
"""Name of a parameter, the importance of each of its units, and how the units lie in it: they broadcast against it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prune(Compressor):
    """Set the smallest weights or channels to zero, and train on with the rest.

    Biases, norms and scales are kept. Channels are output channels of linear and convolutional layers, ranked by the
    root mean square of their weights; those of the layer that is computed last are its answers, and kept. Shapes stay
    as they are: a file holds only what is not zero, and a prediction takes as long as before.

    Reference: Han et al., 2015, arXiv:1506.02626 (magnitude); Li et al., 2017, arXiv:1608.08710 (channels); Zhu and
    Gupta, 2017, arXiv:1710.01878 (``gradual``); Frankle and Carbin, 2019, arXiv:1803.03635 and Frankle et al., 2019,
    arXiv:1903.01611 (``rewind``).
    Differs from the paper: channels are zeroed, not cut out. ``rewind`` trains the first weights anew, bit for bit as
    the parent did, and takes the mask in at the step that it rewinds to, so that the optimiser's state is that of the
    step too; it prunes once, and more rounds are more runs, each with the one before as its parent.
    """

    name: ClassVar[str] = "prune"

    share: Annotated[float | None, Bounds(0, 1, open_low=True, open_high=True), FloatDistribution(0.5, 0.98)] = None
    """Share of the weights or channels that become zero; 0.9 where no threshold is given."""
    threshold: Annotated[float | None, Bounds(low=0, open_low=True)] = None
    """Size up to which a weight, or the root mean square of a channel, becomes zero."""
    scope: Annotated[Literal["global", "layer"], CategoricalDistribution(("global", "layer"))] = "global"
    """What the share is taken of: all weights together, or those of each layer."""
    units: Annotated[Literal["weights", "channels"], CategoricalDistribution(("weights", "channels"))] = "weights"
    """What becomes zero: single weights, or whole output channels with their biases."""
    schedule: Annotated[
        Literal["one-shot", "gradual", "rewind"], CategoricalDistribution(("one-shot", "gradual", "rewind"))
    ] = "one-shot"
    """At once before the training; a little more every few steps of it; or at once, with the first weights back."""
    fine_tuning: bool = True
    """Train on, under the settings of optimization and budget; otherwise the model is scored as it was cut."""
    gradual_fraction: Annotated[float, Bounds(0, 1, open_low=True, open_high=True)] = 0.5
    """Share of the training in which the schedule gradual comes to its goal."""
    gradual_every_steps: Annotated[int, Bounds(low=1)] = 10
    """Steps between two cuts of the schedule gradual."""
    rewind_steps: Annotated[int, Bounds(low=0)] = 0
    """Step of the parent's training that the schedule rewind goes back to; 0 is its initial weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is not None and self.threshold is not None:
            raise UserError(
                "compression.share and compression.threshold are two ways to say the same, but got "
                f"share={self.share} and threshold={self.threshold}. Give one of them."
            )
        if self.share is None and self.threshold is None:
            object.__setattr__(self, "share", DEFAULT_SHARE)
        if not self.fine_tuning and self.schedule != "one-shot":
            raise UserError(
                f"compression.schedule={self.schedule!r} is a way to train, but got fine_tuning=false beside it. "
                "Take the schedule one-shot, or leave fine_tuning on."
            )
        if self.schedule == "gradual" and self.share is None:
            raise UserError("compression.schedule='gradual' rises to a share, but got a threshold. Give a share.")

    @property
    def trains(self) -> bool:
        """Whether the model is trained on after the cut."""
        return self.fine_tuning

    def attach(self, learner: Learner, parent: Learner, total_steps: int | None) -> None:
        """Choose the mask, and hold it through the training."""
        mask_step = self._mask_step(total_steps)
        if self.schedule == "rewind":
            masks = self.masks(parent, self.share)
        else:
            learner.load_state_dict(parent.state_dict())
            masks = self.masks(learner, self.share)
        parameters = dict(learner.named_parameters())
        if self.schedule == "gradual":
            learner.before_step.append(functools.partial(self._cut_more, learner, parameters, mask_step))
        elif mask_step > 0:
            learner.before_step.append(functools.partial(_cut_at, learner, parameters, masks, mask_step))
        else:
            learner.masks = masks
            hold(learner, parameters)
        learner.after_step.append(functools.partial(hold, learner, parameters))
        learner.first_selectable_step = mask_step + 1 if mask_step else 0

    def _mask_step(self, total_steps: int | None) -> int:
        """Return the step (0-based) before which the last cut is made."""
        if self.schedule == "one-shot":
            return 0
        if total_steps is None:
            raise UserError(
                f"compression.schedule={self.schedule!r} must know the last step, but the budget is in seconds alone. "
                "Add --budget.steps or --budget.epochs."
            )
        step = self.rewind_steps if self.schedule == "rewind" else int(self.gradual_fraction * total_steps)
        if step >= total_steps:
            raise UserError(
                f"`compression.rewind_steps < steps of the training` must hold, but got {step} and {total_steps}."
            )
        return step

    def _cut_more(self, learner: Learner, parameters: Mapping[str, Tensor], last: int, step: int) -> None:
        """Follow the cubic course from nothing to the share, which is reached before step ``last``."""
        if step == last or (step < last and step % self.gradual_every_steps == 0):
            assert self.share is not None
            rest = 0.0 if last == 0 else (1 - step / last) ** 3
            learner.masks = self.masks(learner, self.share * (1 - rest))
            hold(learner, parameters)

    @torch.no_grad()
    def masks(self, learner: Learner, share: float | None) -> dict[str, Tensor]:
        """Return by parameter which values stay, from the sizes of the weights as they are now."""
        parts = _weights(learner) if self.units == "weights" else _channels(learner)
        if not parts:
            raise UserError(
                f"compression.units={self.units!r} needs hidden layers to take them from, but this model has none. "
                + ("Take --compression.units weights." if self.units == "channels" else "It cannot be pruned.")
            )
        keeps = self._above_threshold(parts) if share is None else self._rank(parts, share)
        masks: dict[str, Tensor] = {}
        parameters = dict(learner.named_parameters())
        for (name, _, like), keep in zip(parts, keeps, strict=True):
            masks[name] = keep.reshape(like.shape).expand_as(parameters[name]).clone()
            if ".parametrizations." in name:  # a weight norm divides by the norm of each row, which must not be zero
                sizes = parameters[name].flatten(1).abs()
                masks[name] |= (sizes == sizes.amax(dim=1, keepdim=True)).reshape(parameters[name].shape)
            bias = name.removesuffix("weight") + "bias"
            if self.units == "channels" and bias in parameters:
                masks[bias] = keep.flatten().clone()
        return masks

    def _above_threshold(self, parts: list[Part]) -> list[Tensor]:
        assert self.threshold is not None, "a share or a threshold is given"
        return [importance > self.threshold for _, importance, _ in parts]

    def _rank(self, parts: list[Part], share: float) -> list[Tensor]:
        """Return which units stay when the ``share`` of them with the least importance goes."""
        sizes = [importance.numel() for _, importance, _ in parts]
        flat = [importance.flatten() for _, importance, _ in parts]
        groups = [torch.cat(flat)] if self.scope == "global" else flat
        kept = [_largest(group, share) for group in groups]
        keeps = list(kept[0].split(sizes)) if self.scope == "global" else kept
        if self.units == "channels":  # a layer without any channel would answer the same to every input
            keeps = [keep | (importance == importance.max()) for keep, importance in zip(keeps, flat, strict=True)]
        return keeps

    def note(self, learner: Learner) -> str:
        """Return how much of what may be pruned is zero."""
        weights = [parameter for _, parameter, _ in _weights(learner)]
        total = sum(weight.numel() for weight in weights)
        zeros = total - sum(int(torch.count_nonzero(weight)) for weight in weights)
        return f"{zeros / total:.1%} of {total:,} weights are zero"


def _weights(learner: Learner) -> list[Part]:
    """Return every parameter that is no bias, norm or scale (these have one axis at most), each value on its own."""
    found = [(name, item.detach()) for name, item in learner.named_parameters() if item.squeeze().ndim >= 2]
    return [(name, item.abs(), item) for name, item in found]


def _channels(learner: Learner) -> list[Part]:
    """Return the weights of the layers between the input and the answers, channel by channel."""
    found: list[Part] = []
    for name, layer in computed_layers(learner)[:-1]:
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and type(layer.weight) is nn.Parameter:
            importance = layer.weight.detach().flatten(1).square().mean(dim=1).sqrt()
            found.append((f"{name}.weight", importance, importance.reshape(-1, *[1] * (layer.weight.ndim - 1))))
    return found


def _largest(importance: Tensor, share: float) -> Tensor:
    """Return which values are not among the ``share`` with the least size; torch's own pruning method decides."""
    if importance.device.type == "meta":
        return torch.ones_like(importance, dtype=torch.bool)
    method = prune.L1Unstructured(amount=round(share * importance.numel()))
    mask: Tensor = method.compute_mask(importance, torch.ones_like(importance))
    return mask.bool()


def _cut_at(
    learner: Learner, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor], at: int, step: int
) -> None:
    if step == at:
        learner.masks = dict(masks)
        hold(learner, parameters)


@torch.no_grad()
def hold(learner: Learner, parameters: Mapping[str, Tensor]) -> None:
    """Set to zero what the masks do not keep, in the weights and in their averages."""
    for name, mask in learner.masks.items():
        parameters[name].mul_(mask)
        if name in learner.averages:
            learner.averages[name].mul_(mask)
