"""The base of tasks that ask for clean pictures back, and how their inputs are corrupted."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Annotated, ClassVar

from suite.fields import Bounds, FloatDistribution
from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits, Task
from tasks.sources import files
from tasks.sources.generated import Stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Draw = Callable[..., "Tensor"]
"""(*shape) -> random numbers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reconstruction(Task):
    """Pictures to be rebuilt from a corrupted form of themselves, with values in [0, 1].

    The corruption of a training picture is drawn anew at each step; those of val and test are drawn once and for all,
    whatever the seed. A corrupted picture is a picture again: values are clipped to the range and rounded to the levels
    that the pictures are stored in, in training too, so that all splits are corrupted in one way.
    """

    noise: Annotated[float, Bounds(low=0, high=10), FloatDistribution(0.05, 0.5)] = 0.0
    """Standard deviation of Gaussian noise on the inputs, whose values lie in [0, 1]; 0 is none."""
    missing_pixels: Annotated[float, Bounds(low=0, high=1), FloatDistribution(0.1, 0.9)] = 0.0
    """Share of the pixels of an input that are set to 0, each drawn for itself; 0 is none."""
    missing_block: Annotated[float, Bounds(low=0, high=1), FloatDistribution(0.1, 0.9)] = 0.0
    """Side of a square at a random place that is set to 0, as a share of the input's side; 0 is none."""

    original: ClassVar[type[Task]]
    """The task whose pictures and splits these are."""
    num_levels: ClassVar[int]
    """Largest stored value, which becomes 1."""
    summary: ClassVar[str]
    mean_image_error: ClassVar[float]
    """Squared error on test of always answering with the mean training picture."""
    version: ClassVar[str] = "1"

    def card(self) -> Card:
        """Return the card; nothing is read."""
        original = self.original().card()
        return Card(
            name=self.name,
            kind="reconstruction",
            summary=self.summary,
            source=original.source,
            licence=original.licence,
            citation=original.citation,
            version=self.version,
            sha256=self._digest(original.sha256),
            input_shape=original.input_shape,
            output_shape=original.input_shape,
            objective="squared-error",
            split_sizes=original.split_sizes,
            metric="squared-error",
            direction="minimize",
            extra_metrics=("psnr", "ssim"),
            floor=self.mean_image_error,
            floor_reason="always answering with the mean training picture",
            ceiling=None if self.is_corrupted else 0.0,
            ceiling_reason=""
            if self.is_corrupted
            else "the identity: copying what comes in solves this setting, so "
            "that scores say something beside the size of a bottleneck only",
        )

    @property
    def is_corrupted(self) -> bool:
        """Whether inputs differ from targets."""
        return max(self.noise, self.missing_pixels, self.missing_block) > 0

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits."""
        import torch

        clean = self.original().load(splits)
        by_name: dict[SplitName, Split] = {}
        for name in SPLIT_NAMES:
            if name in splits:
                pictures = clean[name].inputs
                is_fixed = self.is_corrupted and name != "train"
                by_name[name] = Split(self._corrupted_for_good(pictures, name) if is_fixed else pictures, pictures)
        return Splits(
            by_name,
            mean=torch.zeros(1, 1, 1),
            std=torch.full((1, 1, 1), float(self.num_levels)),
            corrupt=self._corrupt_batch if self.is_corrupted else None,
        )

    def check_split(self, split: SplitName) -> None:
        """Check the original task's split."""
        self.original().check_split(split)

    def digest(self) -> str:
        """Return the digest over the pictures that were found and these settings."""
        return self._digest(self.original().digest())

    def fetch(self) -> str:
        """Bring the original task's data to this machine."""
        return self.original().fetch()

    def _digest(self, original: str) -> str:
        return files.digest(self.name, self.version, self.to_mapping(), {self.original.name: original})

    def _corrupt_batch(self, pictures: Tensor) -> Tensor:
        """Corrupt a training batch, drawing from the generator of its device."""
        import torch

        uniform = functools.partial(torch.rand, device=pictures.device)
        return self._corrupt(pictures, functools.partial(torch.randn, device=pictures.device), uniform, uniform)

    def _corrupted_for_good(self, pictures: Tensor, split: SplitName) -> Tensor:
        """Return stored pictures in a corrupted form that is a function of settings and split alone."""
        import torch

        def draw(purpose: str, method: Callable[..., NDArray[np.float32]]) -> Draw:
            stream = Stream(self.name, self.version, split, purpose)  # its own: one setting moves no other's places
            return lambda *shape: torch.from_numpy(method(stream, *shape))

        draws = draw("noise", Stream.normal), draw("pixels", Stream.uniform), draw("block", Stream.uniform)
        corrupted = self._corrupt(pictures.float() / self.num_levels, *draws)
        return (corrupted * self.num_levels).round().to(torch.uint8)

    def _corrupt(self, pictures: Tensor, noise: Draw, pixels: Draw, block: Draw) -> Tensor:
        """Return a corrupted copy of ``pictures`` (batch, channels, height, width), whose values lie in [0, 1].

        Args:
            pictures: What to corrupt.
            noise: (*shape) -> standard normal numbers.
            pixels: (*shape) -> uniform numbers in [0, 1); they decide which pixels are missing.
            block: Likewise; they decide where the missing square lies.
        """
        if self.noise > 0:
            noisy = pictures + self.noise * noise(*pictures.shape)
            pictures = (noisy.clamp(0, 1) * self.num_levels).round() / self.num_levels
        if self.missing_pixels > 0:
            mask = pixels(len(pictures), 1, *pictures.shape[2:]) >= self.missing_pixels
            pictures = pictures * mask
        if self.missing_block > 0:
            pictures = pictures * ~square(pictures, self.missing_block, block)
        return pictures


def square(pictures: Tensor, share: float, uniform: Draw) -> Tensor:
    """Return a mask (batch, 1, height, width) that is true in a square at a random place, wholly inside the picture.

    Its side is ``share`` of the shorter side of a picture, rounded, and at least one pixel.
    """
    import torch

    sizes = pictures.shape[2:]
    side = max(1, round(share * min(sizes)))
    inside = []
    for size, drawn in zip(sizes, uniform(2, len(pictures), 1), strict=True):
        start = (drawn * (size - side + 1)).long()
        places = torch.arange(size, device=pictures.device)
        inside.append((places >= start) & (places < start + side))
    rows, columns = inside
    mask: Tensor = (rows[:, :, None] & columns[:, None, :])[:, None]
    return mask
