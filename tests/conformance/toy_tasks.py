"""Toy tasks, one per shape of data that families may meet; a plug-in file as an outsider would write it.

All values are small whole numbers over a power of two, so that no machine rounds them and the checksums hold anywhere.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from suite.targets import NO_TARGET
from suite.task import SPLIT_NAMES, Augmentation, Card, Kind, Objective, Split, SplitName, Splits, Task

SIZES: dict[SplitName, int] = {"train": 96, "val": 32, "test": 32}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyTask(Task):
    """Generated examples: noise around one pattern per class, or a linear map with noise-free targets."""

    kind: ClassVar[Kind]
    input_shape: ClassVar[tuple[int, ...]]
    output_shape: ClassVar[tuple[int, ...]] = (4,)
    sha256: ClassVar[str]
    is_regression: ClassVar[bool] = False
    is_generation: ClassVar[bool] = False
    vocabulary: ClassVar[int | None] = None
    token_names: ClassVar[tuple[str, ...]] = ()
    is_causal: ClassVar[bool] = False
    augmentations: ClassVar[frozenset[Augmentation]] = frozenset()
    stored_dtype: ClassVar[torch.dtype] = torch.float32

    def card(self) -> Card:
        has_real_answers = self.is_regression or self.is_generation
        return Card(
            name=self.name,
            kind=self.kind,
            summary="Generated examples for tests.",
            source="tests/conformance/toy_tasks.py",
            licence="MIT",
            citation="none",
            version="1",
            sha256=self.sha256,
            input_shape=self.input_shape,
            output_shape=self.output_shape,
            vocabulary=self.vocabulary,
            token_names=self.token_names,
            is_causal=self.is_causal,
            augmentations=self.augmentations,
            objective=self._objective(),
            split_sizes=SIZES,
            metric="squared-error" if has_real_answers else "accuracy",
            direction="minimize" if has_real_answers else "maximize",
            floor=10.0 if has_real_answers else 1 / self.output_shape[-1],
            floor_reason="above the variance of the targets" if has_real_answers else "chance",
        )

    def _objective(self) -> Objective:
        if self.is_generation:
            return "generation"
        return "squared-error" if self.is_regression else "cross-entropy"

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        generator = torch.Generator().manual_seed(len(self.name))
        patterns = _whole(generator, (4, *self.input_shape), 24)
        weights = _whole(generator, (self.card().num_inputs, self.card().num_outputs), 3)
        found: dict[SplitName, Split] = {}
        for name, count in SIZES.items():
            classes = torch.arange(count) % 4
            values = patterns[classes] + _whole(generator, (count, *self.input_shape), 16)
            inputs = (values + 40).to(torch.uint8) if self.stored_dtype == torch.uint8 else values / 16
            targets = classes
            if self.is_regression:
                real = (inputs.float() - 40) / 16 if self.stored_dtype == torch.uint8 else inputs
                targets = (real.flatten(1) @ weights / 8).reshape(count, *self.output_shape)
            if self.vocabulary is not None:
                inputs = _chains(generator, count, self) if self.is_causal else values.long() % self.vocabulary
            if self.is_causal:
                targets = inputs.roll(-1, dims=1)
                targets[:, -1] = NO_TARGET
            if self.is_generation and self.stored_dtype == torch.uint8:
                targets = inputs
            elif self.is_generation:
                inputs = targets = inputs + _whole(generator, inputs.shape, 63) / 1024
            found[name] = Split(inputs, targets)
        wanted: dict[SplitName, Split] = {name: found[name] for name in SPLIT_NAMES if name in splits}
        if self.vocabulary is not None:
            return Splits(wanted, mean=None, std=None)
        is_bytes = self.stored_dtype == torch.uint8
        ones = torch.ones([1] * len(self.input_shape))
        return Splits(wanted, mean=ones * (40 if is_bytes else 0), std=ones * (16 if is_bytes else 1))


def _chains(generator: torch.Generator, count: int, task: ToyTask) -> Tensor:
    """Return sequences that count up from 0, 1, 2 and so on in strides of one to three, modulo the vocabulary."""
    assert task.vocabulary is not None
    strides = torch.randint(1, 4, (count, task.input_shape[0]), generator=generator)
    strides[:, 0] = torch.arange(count)
    return strides.cumsum(dim=1) % task.vocabulary


def _whole(generator: torch.Generator, shape: Sequence[int], largest: int) -> Tensor:
    """Return whole numbers in [-largest, largest] as float32."""
    return torch.randint(-largest, largest + 1, shape, generator=generator).float()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyVector(ToyTask):
    """Vectors of 20 values in four classes."""

    name: ClassVar[str] = "toy-vector"
    kind: ClassVar[Kind] = "reconstruction"
    input_shape: ClassVar[tuple[int, ...]] = (20,)
    sha256: ClassVar[str] = "37e262beb2bc0f3dd1ad32a2ed0a4b9408fd42815ae1d1838040a4d4bdf96080"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToySignal(ToyTask):
    """Signals of two channels and 24 steps in four classes."""

    name: ClassVar[str] = "toy-signal"
    kind: ClassVar[Kind] = "sequence-modelling"
    input_shape: ClassVar[tuple[int, ...]] = (2, 24)
    sha256: ClassVar[str] = "16f0feff189747c206e9f725d57a3f29a7de6a3c423dc54d6b6c4b2983dfd468"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyImage(ToyTask):
    """Pictures of three channels and 8x8 pixels, stored as bytes, in four classes."""

    name: ClassVar[str] = "toy-image"
    kind: ClassVar[Kind] = "image-classification"
    input_shape: ClassVar[tuple[int, ...]] = (3, 8, 8)
    stored_dtype: ClassVar[torch.dtype] = torch.uint8
    augmentations: ClassVar[frozenset[Augmentation]] = frozenset({"shift", "flip", "cutout"})
    sha256: ClassVar[str] = "b0ff2e8d32ef1742127355e490f98af8073c548d9cdabc1ac71907809f5ad4c1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyRegression(ToyTask):
    """Vectors of 20 values and a linear function of them."""

    name: ClassVar[str] = "toy-regression"
    kind: ClassVar[Kind] = "reconstruction"
    input_shape: ClassVar[tuple[int, ...]] = (20,)
    output_shape: ClassVar[tuple[int, ...]] = (3,)
    is_regression: ClassVar[bool] = True
    sha256: ClassVar[str] = "a27a403df5ef9096e63b97de04927a474e5cf90fae6bea0bcfac6940f55a47bc"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyReconstruction(ToyTask):
    """Pictures of 6x6 pixels, and a linear function of them in the same shape."""

    name: ClassVar[str] = "toy-reconstruction"
    kind: ClassVar[Kind] = "reconstruction"
    input_shape: ClassVar[tuple[int, ...]] = (1, 6, 6)
    output_shape: ClassVar[tuple[int, ...]] = (1, 6, 6)
    is_regression: ClassVar[bool] = True
    sha256: ClassVar[str] = "6f5387294bfc2f363014c7f68e4b3b283e42271a759d65ee4219d887a5647555"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyTokens(ToyTask):
    """Twelve tokens out of seven, a gap and letters, in four classes."""

    name: ClassVar[str] = "toy-tokens"
    kind: ClassVar[Kind] = "sequence-modelling"
    input_shape: ClassVar[tuple[int, ...]] = (12,)
    vocabulary: ClassVar[int | None] = 7
    token_names: ClassVar[tuple[str, ...]] = ("pad", *"abcdef")
    sha256: ClassVar[str] = "5068df1486b3adaeea9a43129cdf6bfeefb943ceee281c588ca19d0efe0c7bcf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyText(ToyTask):
    """Twelve tokens out of sixteen: what comes next, at every position but the last."""

    name: ClassVar[str] = "toy-text"
    kind: ClassVar[Kind] = "sequence-modelling"
    input_shape: ClassVar[tuple[int, ...]] = (12,)
    output_shape: ClassVar[tuple[int, ...]] = (12, 16)
    vocabulary: ClassVar[int | None] = 16
    is_causal: ClassVar[bool] = True
    sha256: ClassVar[str] = "c2ea6df7b209c7432e4399e31b228455d5b8decced7013127c8fc340a380217f"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyPoints(ToyTask):
    """Points of two values around four centres, to be generated."""

    name: ClassVar[str] = "toy-points"
    kind: ClassVar[Kind] = "generation"
    input_shape: ClassVar[tuple[int, ...]] = (2,)
    output_shape: ClassVar[tuple[int, ...]] = (2,)
    is_generation: ClassVar[bool] = True
    sha256: ClassVar[str] = "d4d44e2574058c6c6403c859e11204120390bceb0dddccd0a11a17facf045f92"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyPictures(ToyTask):
    """Pictures of 8x8 pixels, stored as bytes, to be generated."""

    name: ClassVar[str] = "toy-pictures"
    kind: ClassVar[Kind] = "generation"
    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    output_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    is_generation: ClassVar[bool] = True
    stored_dtype: ClassVar[torch.dtype] = torch.uint8
    sha256: ClassVar[str] = "433b27b7be9dff73db39d7df6d595680d7cff598f4880af3f3683b2129ae235e"


TOYS: list[Any] = [
    ToyVector,
    ToySignal,
    ToyImage,
    ToyRegression,
    ToyReconstruction,
    ToyTokens,
    ToyText,
    ToyPoints,
    ToyPictures,
]
