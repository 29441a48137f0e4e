"""The optimisation settings, the optimisers they build and the schedule that drives the learning rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from torch import Tensor

from suite.engine import schedules
from suite.engine.fused_adamw import FusedAdamW
from suite.engine.schedules import NEEDS_TOTAL_STEPS, Schedule, ScheduleName
from suite.errors import UserError
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, Settings, When

if TYPE_CHECKING:
    from suite.learner import DecayScope

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop"]
GradientCompression = Literal["none", "fp16", "bf16", "powersgd"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization(Settings):
    """How parameters follow the gradient."""

    group: ClassVar[str] = "optimization"

    optimizer: Annotated[OptimizerName, CategoricalDistribution(("sgd", "adamw", "rmsprop"))] = "adamw"
    """Optimiser, with torch's definition; adam with a decoupled weight decay is adamw."""
    lr: Annotated[float, Bounds(low=0, open_low=True), FloatDistribution(1e-5, 1.0, log=True)] = 1e-3
    """Learning rate: the highest that the schedule reaches."""
    momentum: Annotated[float, Bounds(0, 1, open_high=True), FloatDistribution(0.0, 0.99), When("optimizer", "sgd")] = (
        0.9
    )
    """Momentum of sgd."""
    beta1: Annotated[
        float, Bounds(0, 1, open_high=True), FloatDistribution(0.5, 0.99), When("optimizer", "adam", "adamw")
    ] = 0.9
    """Decay of the first moment of adam and adamw."""
    beta2: Annotated[
        float,
        Bounds(0, 1, open_high=True),
        FloatDistribution(0.9, 0.9999),
        When("optimizer", "adam", "adamw", "rmsprop"),
    ] = 0.999
    """Decay of the second moment of adam and adamw; smoothing constant of rmsprop."""
    epsilon: Annotated[
        float,
        Bounds(low=0, open_low=True),
        FloatDistribution(1e-10, 1e-4, log=True),
        When("optimizer", "adam", "adamw", "rmsprop"),
    ] = 1e-8
    """Added to the denominator of adam, adamw and rmsprop."""
    schedule: Annotated[ScheduleName, CategoricalDistribution(("constant", "cosine", "warmup-cosine", "one-cycle"))] = (
        "constant"
    )
    """Course of the learning rate over the budget."""
    warmup_fraction: Annotated[
        float, Bounds(0, 1, open_high=True), FloatDistribution(0.0, 0.3), When("schedule", "warmup-cosine", "one-cycle")
    ] = 0.1
    """Share of all steps that warmup-cosine and one-cycle spend rising."""
    final_lr_fraction: Annotated[
        float, Bounds(0, 1), FloatDistribution(0.0, 0.1), When("schedule", "cosine", "warmup-cosine")
    ] = 0.0
    """Last learning rate of cosine and warmup-cosine, as a share of lr."""
    decay_factor: Annotated[
        float, Bounds(0, 1, open_low=True), FloatDistribution(0.1, 0.9), When("schedule", "step", "reduce-on-plateau")
    ] = 0.1
    """What step and reduce-on-plateau multiply the learning rate with."""
    decay_every_steps: Annotated[int, Bounds(low=1), When("schedule", "step")] = 1000
    """Steps between two decays of the schedule step."""
    plateau_patience: Annotated[int, Bounds(low=0), When("schedule", "reduce-on-plateau")] = 5
    """Validations without a better score that reduce-on-plateau waits for."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward; parameters and optimiser stay fp32."""
    gradient_compression: GradientCompression = "none"
    """How gradients travel between the processes of one training (execution.num_devices); powersgd has rank 1."""

    def build_schedule(self, total_steps: int | None) -> Schedule:
        """Return the schedule over ``total_steps`` (None where the budget is in seconds alone)."""
        if total_steps is None and self.schedule in NEEDS_TOTAL_STEPS:
            raise UserError(
                f"optimization.schedule={self.schedule!r} must know the last step, but the budget is in seconds alone. "
                "Add --budget.steps or --budget.epochs, or take the schedule constant, step or reduce-on-plateau."
            )
        total = total_steps or 1
        warmup = round(self.warmup_fraction * total)
        match self.schedule:
            case "step":
                return schedules.step_decay(every_steps=self.decay_every_steps, factor=self.decay_factor)
            case "cosine":
                return schedules.cosine(total_steps=total, floor=self.final_lr_fraction)
            case "warmup-cosine":
                return schedules.warmup_cosine(total_steps=total, warmup_steps=warmup, floor=self.final_lr_fraction)
            case "one-cycle":
                return schedules.one_cycle(total_steps=total, warmup_steps=self.warmup_fraction * total)
        return schedules.constant

    def build_optimizer(
        self,
        parameters: Iterable[Tensor],
        *,
        weight_decay: float = 0.0,
        decay_scope: DecayScope = "all",
        lr_factors: Mapping[Tensor, float] | None = None,
    ) -> torch.optim.Optimizer:
        """Return the torch optimiser.

        Args:
            parameters: What it steps.
            weight_decay: Decoupled: weights shrink by ``lr * weight_decay`` a step.
            decay_scope: Which parameters shrink; under ``matrices`` the others are a group of their own.
            lr_factors: Factor on the learning rate of a parameter, which then is in the group of its factor.
        """
        groups = _groups(parameters, weight_decay, decay_scope, lr_factors or {})
        if self.optimizer in ("adam", "adamw"):
            # A fused step is one kernel over all parameters: 3-5 times faster on small nets, on CPU as on GPU.
            return FusedAdamW(
                [
                    {"params": members, "weight_decay": decay, "lr": self.lr * factor}
                    for members, decay, factor in groups
                ],
                lr=self.lr,
                betas=(self.beta1, self.beta2),
                eps=self.epsilon,
                fused=True,
            )
        bare = [{"params": members, "lr": self.lr * factor} for members, _, factor in groups]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "sgd":
            optimizer = torch.optim.SGD(bare, lr=self.lr, momentum=self.momentum, fused=True)
            if self.momentum:
                # The fused step takes all buffers of a group or none, and layers may thaw one after the other. From a
                # buffer of zeros the first step is torch's own.
                for parameter in (parameter for members, _, _ in groups for parameter in members):
                    optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        else:
            optimizer = torch.optim.RMSprop(bare, lr=self.lr, alpha=self.beta2, eps=self.epsilon, foreach=True)
        if weight_decay > 0:
            optimizer.register_step_pre_hook(_decay_weights([decay for _, decay, _ in groups]))
        return optimizer


def _groups(
    parameters: Iterable[Tensor], weight_decay: float, scope: DecayScope, lr_factors: Mapping[Tensor, float]
) -> list[tuple[list[Tensor], float, float]]:
    """Return the parameters in groups of one decay and one factor on the learning rate, none of them empty."""
    found: dict[tuple[float, bool], list[Tensor]] = {}
    for parameter in parameters:
        shrinks = scope == "all" or parameter.ndim > 1
        found.setdefault((lr_factors.get(parameter, 1.0), shrinks), []).append(parameter)
    return [(members, weight_decay if shrinks else 0.0, factor) for (factor, shrinks), members in found.items()]


def _decay_weights(decays: Sequence[float]):  # type: ignore[no-untyped-def]  # torch types its hooks as Any
    """Return a hook that shrinks the weights as AdamW does, for the optimisers that only know the coupled form."""

    def shrink(optimizer: torch.optim.Optimizer, _args: object, _kwargs: object) -> None:
        with torch.no_grad():
            for group, decay in zip(optimizer.param_groups, decays, strict=True):
                weights = [parameter for parameter in group["params"] if parameter.grad is not None]
                if weights and decay > 0:
                    torch._foreach_mul_(weights, 1 - group["lr"] * decay)

    return shrink
