"""Data that stays on the device: resident splits, and the loader that cuts an epoch's order into blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import lightning
import torch
from torch import Tensor

from suite.batch import Batch, Block
from suite.engine.missing import Mechanism, Missing, Strategy
from suite.engine.pacing import Pacer
from suite.errors import UserError
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution, Settings, Unless
from suite.seeds import derive
from suite.task import Card, Split, Splits

CPU_CHUNK_BYTES = 2**20
"""What is gathered at once stays in a core's cache until its step; chunks of 32 MiB take twice as long."""
GPU_CHUNK_BYTES = 32 * 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Settings):
    """Which examples and values are there, and how training examples are served."""

    group: ClassVar[str] = "data"

    batch_size: Annotated[int, Bounds(low=1), IntDistribution(16, 512, log=True)] = 64
    """Examples per optimiser step."""
    shuffle: Annotated[bool, CategoricalDistribution((False, True))] = True
    """Draw a new order for each epoch; otherwise examples come in the order of the task."""
    train_fraction: Annotated[float, Bounds(0, 1, open_low=True), FloatDistribution(0.01, 1.0, log=True)] = 1.0
    """Share of the training split that is used; a smaller one is part of every larger one, whatever the seed."""
    drop_last: bool = False
    """Leave out the last batch of an epoch when it is smaller than the others."""

    missing_rate: Annotated[float, Bounds(0, 1, open_high=True), FloatDistribution(0.0, 0.5)] = 0.0
    """Share of input values that are taken away, in every split; under at-random, of those that can be; 0 is none."""
    missing_mechanism: Annotated[
        Mechanism,
        CategoricalDistribution(("completely-at-random", "at-random", "blocks")),
        Unless("missing_rate", 0.0),
    ] = "completely-at-random"
    """Which are taken away: each by itself, by what is observed of the example, or one block per example."""
    missing_nan: bool = False
    """Take NaN in the data for missing values, which the strategy deals with; otherwise it is an error."""
    missing_strategy: Annotated[
        Strategy, CategoricalDistribution(("drop", "mean", "median", "max", "forward", "indicator"))
    ] = "mean"
    """What is done about missing values: examples dropped, a statistic of train, the last value, or a channel more."""

    @property
    def missing(self) -> Missing | None:
        """What is missing and what is done about it; None where nothing is."""
        if self.missing_rate == 0 and not self.missing_nan:
            return None
        return Missing(self.missing_rate, self.missing_mechanism, self.missing_strategy)

    def card(self, card: Card) -> Card:
        """Return the card of a task under these settings."""
        return card if self.missing is None else self.missing.card(card)

    def misfit(self, card: Card) -> str | None:
        """Return why a task cannot be served under these settings, or None when it can."""
        return None if self.missing is None else self.missing.misfit(card)

    def num_used(self, num_examples: int) -> int:
        """Return how many of ``num_examples`` training examples are used."""
        return max(1, round(self.train_fraction * num_examples))


@dataclasses.dataclass(frozen=True)
class ResidentSplit:
    """One split on the device; inputs become ``(x - mean) / std`` at once where they are floats, else when gathered.

    Images stay uint8, a quarter of the memory of floats. Both ways give the same bits: the formula acts on each value.
    """

    inputs: Tensor
    targets: Tensor
    mean: Tensor | None
    std: Tensor | None
    is_normalized: bool = False
    """Whether ``inputs`` hold the formula's result already."""

    @classmethod
    def place(cls, split: Split, splits: Splits, device: torch.device) -> ResidentSplit:
        """Copy ``split`` to ``device``."""
        inputs, targets = placed(split.inputs, device), placed(split.targets, device)
        if splits.mean is None or splits.std is None:  # tokens
            return cls(inputs, targets, None, None)
        mean, std = splits.mean.to(device), splits.std.to(device)
        if inputs.dtype != mean.dtype:
            return cls(inputs, targets, mean, std)
        # Where the formula changes nothing, the runs of a process go on sharing the task's tensor.
        is_identity = not bool(mean.any()) and bool((std == 1).all())
        return cls(inputs if is_identity else (inputs - mean) / std, targets, mean, std, is_normalized=True)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def example_bytes(self) -> int:
        """Bytes of one gathered input."""
        return self.inputs[:1].numel() * (self.mean.element_size() if self.mean is not None else 8)

    def gather(self, indices: Tensor | slice) -> Batch:
        """Return the examples at ``indices``, normalised; a slice may give a view, which must not be written to."""
        if isinstance(indices, slice):
            inputs, targets = self.inputs[indices], self.targets[indices]
        else:
            # Copies whole rows: ten times faster than indexing with a tensor, which goes value by value.
            inputs, targets = self.inputs.index_select(0, indices), self.targets.index_select(0, indices)
        if targets.dtype == torch.uint8:
            targets = self._normalized(targets)
        return Batch(inputs if self.is_normalized else self._normalized(inputs), targets)

    def _normalized(self, stored: Tensor) -> Tensor:
        if self.mean is None or self.std is None:
            return stored.long()
        return stored.to(self.mean.dtype, copy=True).sub_(self.mean).div_(self.std)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all examples in their order."""
        for start in range(0, len(self), size):
            yield self.gather(slice(start, start + size))


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor`` on ``device``; windows that overlap stay views of one text there, as they are here."""
    held = tensor.untyped_storage().nbytes()
    if tensor.device == device or tensor.numel() * tensor.element_size() <= held:
        return tensor.to(device)
    flat = tensor.as_strided((held // tensor.element_size(),), (1,), 0).to(device)
    return flat.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def epoch_order(seed: int, epoch: int, num_examples: int, *, shuffle: bool) -> Tensor:
    """Return the order of the examples in ``epoch`` (int64, on the CPU): a function of seed and epoch alone."""
    if not shuffle:
        return torch.arange(num_examples)
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(num_examples, generator=generator)


def used_examples(num_examples: int, num_used: int) -> Tensor:
    """Return which examples a fraction of the training split holds, in their order (int64, on the CPU)."""
    generator = torch.Generator().manual_seed(derive(0, "train-fraction"))  # the same for every run, as a split is
    return torch.randperm(num_examples, generator=generator)[:num_used].sort().values


@dataclasses.dataclass
class BlockLoader:
    """Yields blocks from ``first_step`` to ``total_steps`` (for ever when that is None).

    Blocks end at each validation; how many steps they hold in between is the pacer's choice and changes no result.
    It has no ``__len__``, and it is no list: Lightning takes a list for several loaders.
    """

    split: ResidentSplit
    data: Data
    seed: int
    steps_per_epoch: int
    total_steps: int | None
    validate_every_steps: int
    pacer: Pacer
    first_step: int = 0

    def __iter__(self) -> Iterator[Block]:
        # first_step is read here, lazily: Lightning calls iter() after a checkpoint is restored, and not before.
        step = self.first_step
        epoch, order = -1, torch.empty(0)
        num_used = self.data.num_used(len(self.split))
        used = used_examples(len(self.split), num_used) if num_used < len(self.split) else None
        while self.total_steps is None or step < self.total_steps:
            edge = (step // self.validate_every_steps + 1) * self.validate_every_steps
            edge = edge if self.total_steps is None else min(edge, self.total_steps)
            end = min(step + self.pacer.block_steps(), edge)
            pieces, sizes, start = [], [], step
            while start < end:
                if start // self.steps_per_epoch != epoch:
                    epoch = start // self.steps_per_epoch
                    order = epoch_order(self.seed, epoch, num_used, shuffle=self.data.shuffle)
                    order = (order if used is None else used[order]).to(self.split.targets.device)
                stop = min(end, (epoch + 1) * self.steps_per_epoch)
                first, size = start - epoch * self.steps_per_epoch, self.data.batch_size
                piece = order[first * size : (first + stop - start) * size]
                pieces.append(piece)
                sizes += [size] * (stop - start)
                sizes[-1] -= (stop - start) * size - len(piece)  # an epoch's last batch may be smaller
                start = stop
            yield Block(
                gather=self.split.gather,
                indices=torch.cat(pieces) if len(pieces) > 1 else pieces[0],
                sizes=sizes,
                chunk_steps=self._chunk_steps(),
                first_step=step,
                epoch=end / self.steps_per_epoch,
                ends_validation_interval=end == edge,
                is_last=end == self.total_steps,
            )
            step = end

    def _chunk_steps(self) -> int:
        """Return how many steps' examples to gather at once."""
        most = CPU_CHUNK_BYTES if self.split.inputs.device.type == "cpu" else GPU_CHUNK_BYTES
        return max(1, most // max(1, self.data.batch_size * self.split.example_bytes))


class ResidentData(lightning.LightningDataModule):
    """The DataModule of every task that fits in memory: its training split, served as blocks."""

    def __init__(self, loader: BlockLoader) -> None:
        super().__init__()
        self.loader = loader

    def train_dataloader(self) -> BlockLoader:
        """Return the block loader."""
        return self.loader

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the block as it is: it was gathered on the device."""
        return batch


def check_finite(splits: Splits) -> None:
    """Raise `UserError` when a loaded input is NaN or infinite: it would spread to every weight."""
    for name, split in splits.by_name.items():
        if split.inputs.is_floating_point():
            finite = torch.isfinite(split.inputs).flatten(1).all(dim=1)
            if not bool(finite.all()):
                bad = int((~finite).nonzero()[0])
                raise UserError(
                    f"Inputs must be finite, but example {bad} of the {name} split holds NaN or infinity "
                    f"({int((~finite).sum())} examples in all). Mend the data, or set data.missing_nan for NaN."
                )
