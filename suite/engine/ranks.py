"""Several processes that share one training: each works on its part of every batch, and all take the same steps.

The batches, their order and all noise are those of one process, so that the result is too, up to rounding: gradients
are added up in another order. Rank 0 decides when to stop and to save; the others follow.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from suite.batch import Batch
from suite.layers import DropPlace
from suite.learner import Learner
from suite.targets import NO_TARGET

if TYPE_CHECKING:
    from suite.engine.optimization import GradientCompression

POWERSGD_FIRST_STEP = 10
"""PowerSGD sends whole gradients before this step: the first ones change too fast for its memory of past errors."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What rank 0 makes of a block edge, for all ranks."""

    is_over: bool
    saves: bool
    lr_scale: float


@dataclasses.dataclass
class Ranks:
    """This process among those that share a training on this machine."""

    rank: int
    size: int
    port: int
    device: torch.device
    compression: GradientCompression = "none"

    def attach(self, learner: Learner) -> None:
        """Have ``learner`` work on this rank's part of each batch; called once, before it is trained."""
        self._places = [module for module in learner.modules() if isinstance(module, DropPlace)]
        learner.transforms.append(self._cut)  # last: what is drawn for a batch is drawn for the whole of it
        learner.backpropagate = lambda total: learner.manual_backward(total * self._weight)

    def strategy(self) -> DDPStrategy:
        """Return Lightning's strategy for this rank; the processes are there already."""
        hooks: dict[str, Any] = {
            "none": None,
            "fp16": default_hooks.fp16_compress_hook,
            # By its name torch refuses this one where NCCL is not in use; gloo can do it too.
            "bf16": lambda group, bucket: default_hooks.bf16_compress_hook(group, bucket),
            "powersgd": powerSGD_hook.powerSGD_hook,
        }
        return _HookedDDP(
            cluster_environment=_Environment(self),
            parallel_devices=[torch.device("cpu")] * self.size
            if self.device.type == "cpu"
            else [torch.device("cuda", index) for index in range(self.size)],
            process_group_backend="gloo" if self.device.type == "cpu" else "nccl",
            ddp_comm_hook=hooks[self.compression],
            ddp_comm_state=powerSGD_hook.PowerSGDState(None, start_powerSGD_iter=POWERSGD_FIRST_STEP)
            if self.compression == "powersgd"
            else None,
        )

    def mean(self, losses: Tensor) -> Tensor:
        """Return the losses of the whole batch from those of each rank's part; all ranks must call it."""
        weighted = losses * (self._weight / self.size)
        torch.distributed.all_reduce(weighted)
        return weighted

    def tell(self, decision: Decision) -> None:
        """Tell the other ranks what rank 0 has decided."""
        values = [float(decision.is_over), float(decision.saves), decision.lr_scale]
        torch.distributed.broadcast(torch.tensor(values, dtype=torch.float64, device=self.device), src=0)

    def hear(self) -> Decision:
        """Return what rank 0 has decided."""
        values = torch.empty(3, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(values, src=0)
        is_over, saves, lr_scale = values.tolist()
        return Decision(bool(is_over), bool(saves), lr_scale)

    def leave(self) -> None:
        """Part from the other ranks, so that the process may join others later."""
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def _cut(self, batch: Batch) -> Batch:
        """Return this rank's part of ``batch``; parts differ by one example at most."""
        total = len(batch.targets)
        start, stop = (total * index // self.size for index in (self.rank, self.rank + 1))
        for place in self._places:
            place.part = (start, total)
        # A loss is a mean over what is answered, and DDP's a mean over ranks: their product is the mean over all.
        self._weight = self.size * _num_answered(batch.targets[start:stop]) / _num_answered(batch.targets)
        others = batch.other_targets
        return Batch(
            batch.inputs[start:stop],
            batch.targets[start:stop],
            None if others is None else others[start:stop],
            batch.share,
        )


def reason_against(learner: Learner, batch: Batch) -> str | None:
    """Return why ``learner`` cannot be trained by several processes with the result of one, or None; a meta batch does.

    Its modules are left as they were, its gradients are not touched.
    """
    if type(learner).optimize is not Learner.optimize:
        return "it has several losses that take turns"
    if any(isinstance(module, _BatchNorm) for module in learner.modules()):
        return "its batch norm would see a part of each batch"
    places = [module for module in learner.modules() if isinstance(module, DropPlace) and module.is_on]
    for place in places:
        place.is_on = False  # these draw for the whole batch
    try:
        draws = _Draws()
        with draws:
            learner.losses(batch)
    finally:
        for place in places:
            place.is_on = True
    return "it draws random numbers within its losses" if draws.found else None


class _Draws(TorchDispatchMode):
    """Notes whether anything draws from a generator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
        self.found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found = self.found or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _num_answered(targets: Tensor) -> Tensor | int:
    return targets.numel() if targets.is_floating_point() else (targets != NO_TARGET).sum()


class _HookedDDP(DDPStrategy):
    """Lightning registers communication hooks on GPUs only, and drops them elsewhere without a word."""

    @override
    def _register_ddp_hooks(self) -> None:
        assert isinstance(self.model, DistributedDataParallel)
        if self._ddp_comm_hook is not None:
            self.model.register_comm_hook(self._ddp_comm_state, self._ddp_comm_hook)


class _Environment(ClusterEnvironment):
    """Tells Lightning who is who, so that it starts no process and reads no environment variable."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @property
    @override
    def creates_processes_externally(self) -> bool:
        return True

    @property
    @override
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    @override
    def main_port(self) -> int:
        return self._ranks.port

    @staticmethod
    @override
    def detect() -> bool:
        return False

    @override
    def world_size(self) -> int:
        return self._ranks.size

    @override
    def set_world_size(self, size: int) -> None:
        assert size == self._ranks.size

    @override
    def global_rank(self) -> int:
        return self._ranks.rank

    @override
    def set_global_rank(self, rank: int) -> None:
        assert rank == self._ranks.rank

    @override
    def local_rank(self) -> int:
        return self._ranks.rank

    @override
    def node_rank(self) -> int:
        return 0
