"""The LightningModule base: block stepping, optimiser, schedule, noise; families add what is theirs."""

import contextlib
import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import lightning
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from suite.batch import Batch, Block
from suite.errors import UserError
from suite.seeds import seed_torch
from suite.task import Card

DecayScope = Literal["all", "matrices"]
"""Which parameters shrink under weight decay: all, or those of two and more dimensions."""
OptimizerBuilder = Callable[[Iterable[Tensor], float, DecayScope], torch.optim.Optimizer]
"""(parameters, decoupled weight decay, its scope) -> optimiser at its highest learning rate."""


class Learner(lightning.LightningModule, ABC):
    """A model family at work on one task, under manual optimisation.

    A subclass writes `losses` and `predict`. One `training_step` works through a whole `Block` of optimiser steps,
    because the Trainer's bookkeeping costs two to three times a small optimiser step. ``trainer.global_step`` stays
    0 under this scheme; the step that counts travels in the block.

    Regularisers act through the public lists and fields below (see `suite.regularizer.Regularizer.attach`).
    """

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.card = card
        self.penalties: list[Callable[[], Tensor]] = []
        """Terms added to the total loss; each returns a 0-dim tensor."""
        self.transforms: list[Callable[[Batch], Batch]] = []
        """Applied to every training batch, in order; random ones draw from torch's generator."""
        self.before_step: list[Callable[[int], None]] = []
        """Called with the number of each optimiser step (0-based) before it; may change weights in place."""
        self.after_backward: list[Callable[[], None]] = []
        """Called between backward and the optimiser's step; may change gradients in place."""
        self.after_step: list[Callable[[], None]] = []
        """Called after the optimiser's step."""
        self.averages: dict[str, Tensor] = {}
        """Averages of `averaged_tensors` by name, scored and kept in their place; empty without averaging."""
        self.masks: dict[str, Tensor] = {}
        """Which values of a parameter may differ from zero, by its name; part of a checkpoint, as the averages are."""
        self.first_selectable_step = 0
        """Steps that must be done before val scores count: weights that are not what is asked for yet are not kept."""
        self.resting: list[nn.Module] = []
        """Modules in evaluation mode while the others train, such as norms whose layer is frozen."""
        self.lr_factors: dict[Tensor, float] = {}
        """Factor on the learning rate of a parameter; 1 where there is none."""
        self.weight_decay = 0.0
        self.weight_decay_scope: DecayScope = "all"
        self.patience: int | None = None
        """Validations without a better score after which training stops; None trains on."""
        self.min_improvement = 0.0
        self.lr_scale = 1.0
        """Factor of reduce-on-plateau, on top of the schedule."""
        self.backpropagate: Callable[[Tensor], None] = Tensor.backward
        """How the total loss becomes gradients."""
        self.block_losses: dict[str, Tensor] = {}
        """Losses of the latest block by name, each of shape (steps,), on the device."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return 0-dim losses, ``"total"`` among them.

        A pure function of parameters, buffers, the batch and torch's generator: no ``.item()``, no logging and no
        Python branch on data, so that it can be captured, and mapped over lanes.
        """

    @abstractmethod
    def predict(self, batch: Batch) -> Tensor:
        """Return one prediction per example, of the card's output shape, without side effects."""

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Return scores that predictions do not show, such as a likelihood: name -> one value per example; or none.

        They stand beside the task's metrics, under names that none of these has. Draws come from torch's generator.
        """
        return {}

    def attention_maps(self, batch: Batch) -> Tensor | None:
        """Return the weights with which an answer looks at its input: (batch, layers, heads, queries, keys); or None.

        Those of one query sum to one. They are kept for a few test examples, to be drawn.
        """
        return None

    def answering_queries(self, num_queries: int) -> Tensor:
        """Return the share of each query of the last of `attention_maps` in the answer, (queries,); they sum to one."""
        return torch.full((num_queries,), 1 / num_queries)

    def attended_positions(self, shares: Tensor) -> Tensor:
        """Return shares of the keys of `attention_maps` as shares of the input's positions, of which a key may be many.

        (batch, keys) to (batch, *positions): the input's axes but its channels. By default a key is a position.
        """
        return shares

    def final_scores(self, batch: Batch) -> dict[str, Tensor]:
        """Return further such scores that are too dear for every validation; asked for once, at the end of a run."""
        return {}

    def configure(
        self,
        *,
        noise_seed: int,
        schedule: Callable[[int], float],
        build_optimizer: OptimizerBuilder,
        precision: str = "fp32",
    ) -> None:
        """Set how this learner is optimised; called once, after the regularisers are attached.

        Raises:
            UserError: Something would change the examples that are to be generated.
        """
        if self.card.objective == "generation" and self.transforms:
            raise UserError(
                "A generator learns what it is shown, so nothing may change the examples on their way, but this run "
                "would. Leave augmentation, cutmix, input_noise and mixup off, and take a task without corruption."
            )
        self._noise = hashlib.blake2b(f"{noise_seed}/step/".encode(), digest_size=8)
        self._schedule = schedule
        self._build_optimizer = build_optimizer
        self._autocast = precision == "bf16"

    def configure_optimizers(self) -> torch.optim.Optimizer | list[torch.optim.Optimizer]:
        """Build the optimiser for Lightning; families with several override this and `optimize`."""
        return self.build_optimizer(self.parameters())

    def build_optimizer(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        """Return an optimiser for ``parameters``, under the run's settings and weight decay."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        optimizer = self._build_optimizer(trained, self.weight_decay, self.weight_decay_scope)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        return optimizer

    def training_step(self, block: Block, _batch_index: int) -> None:
        """Take every optimiser step of ``block``; leave its losses in `block_losses` without reading the device."""
        recorded: list[dict[str, Tensor]] = []
        for step, batch in enumerate(block.batches(), start=block.first_step):
            self.set_learning_rate(step)
            self.seed_noise(step)
            for prepare in self.before_step:
                prepare(step)
            for transform in self.transforms:
                batch = transform(batch)
            recorded.append(self.optimize(batch))
            for hook in self.after_step:
                hook()
        self.block_losses = {name: torch.stack([row[name] for row in recorded]) for name in recorded[0]}

    def optimize(self, batch: Batch) -> dict[str, Tensor]:
        """Take one optimiser step on ``batch`` and return its detached losses."""
        self.clear_gradients()
        parts = self.regularized_losses(batch)
        self.backpropagate(parts["total"])
        for hook in self.after_backward:
            hook()
        self._optimizer_steps[0]()
        return {name: loss.detach() for name, loss in parts.items()}

    def clear_gradients(self) -> None:
        """Set every gradient to None, as ``zero_grad`` does, without the profiler range that it opens."""
        for parameter in self._trained:
            parameter.grad = None

    def regularized_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return `losses` with the penalties added to the total, computed in the configured precision."""
        # Autocast is entered per step: it caches the bf16 copies of the weights until it is left, and a block-wide
        # context would train every step of a block on the weights of its first.
        if self._autocast:
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                parts = self.losses(batch)
        else:
            parts = self.losses(batch)
        for penalty in self.penalties:
            parts["total"] = parts["total"] + penalty()
        return parts

    def train(self, mode: bool = True) -> "Learner":
        """Set training or evaluation mode; modules that rest stay in the latter."""
        super().train(mode)
        for module in self.resting:
            module.eval()
        return self

    def averaged_tensors(self) -> dict[str, Tensor]:
        """Return what weight averaging averages: the parameters, and the running statistics of batch norm."""
        found: dict[str, Tensor] = dict(self.named_parameters())
        for path, module in self.named_modules():
            if isinstance(module, _NormBase) and module.running_mean is not None and module.running_var is not None:
                found |= {f"{path}.running_mean": module.running_mean, f"{path}.running_var": module.running_var}
        return found

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Have the averages in place of the trained values while entered."""
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _swap_averages(self) -> None:
        for name, tensor in self.averaged_tensors().items() if self.averages else ():
            tensor.data, self.averages[name] = self.averages[name], tensor.data

    def selected_weights(self) -> dict[str, Tensor]:
        """Return copies of the weights that are scored: the averaged ones where there are any."""
        with self.averaged():
            return {name: tensor.detach().clone() for name, tensor in self.state_dict().items()}

    def load_selected_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what `selected_weights` returned, averages no longer beside them."""
        self.averages = {}
        self.load_state_dict(weights)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the averages and the masks, which the state dict leaves out."""
        checkpoint["averages"] = self.averages
        checkpoint["masks"] = self.masks

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the averages and the masks up again."""
        self.averages = {name: tensor.to(self.device) for name, tensor in checkpoint["averages"].items()}
        self.masks = {name: tensor.to(self.device) for name, tensor in checkpoint["masks"].items()}

    def on_fit_start(self) -> None:
        """Take the bare optimisers: Lightning's wrappers cost a fifth of a small step."""
        optimizers = self.optimizers(use_pl_optimizer=False)
        self._raw_optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        self._optimizer_steps = [bare_step(optimizer) for optimizer in self._raw_optimizers]
        self._trained = [parameter for parameter in self.parameters() if parameter.requires_grad]

    def set_learning_rate(self, step: int) -> None:
        """Set the optimisers' learning rate for ``step``."""
        factor = self._schedule(step) * self.lr_scale
        for optimizer in self._raw_optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def seed_noise(self, step: int) -> None:
        """Seed all noise of ``step`` (dropout and the like) from the base seed and the step alone."""
        digest = self._noise.copy()
        digest.update(b"%d" % step)
        seed_torch(int.from_bytes(digest.digest()) >> 1)


def bare_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """Return ``optimizer.step`` without torch's profiler range around it, which costs a seventh of a small step.

    An optimiser with step hooks keeps its whole step: the range and the hooks live in one wrapper.
    """
    step = type(optimizer).step
    is_wrapped = getattr(step, "hooked", False) and "step" not in vars(optimizer)
    if not is_wrapped or optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        return optimizer.step
    return functools.partial(step.__wrapped__, optimizer)  # type: ignore[attr-defined]  # functools.wraps sets it
