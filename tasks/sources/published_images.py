"""The base of tasks whose images are published as files with a train and a test part, such as Fashion-MNIST."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from suite.errors import UserError
from suite.task import SPLIT_NAMES, Augmentation, Card, SplitName, Splits, Task
from tasks.sources import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedImages(Task):
    """Images in files with published checksums; a subclass says which, and decodes them."""

    full_train: bool = False
    """Train on all published training examples, with no validation split, as published protocols do."""

    publication: ClassVar[files.Publication]
    image_shape: ClassVar[tuple[int, int, int]]
    num_train: ClassVar[int]
    """Examples in the published training part, validation included."""
    num_val: ClassVar[int]
    num_test: ClassVar[int]
    summary: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]]
    most_frequent_share: ClassVar[float | None] = None
    """Share of the most frequent class in the test part; None where the classes are equally frequent."""
    augmentations: ClassVar[frozenset[Augmentation]] = frozenset({"shift", "flip", "cutout"})

    version: ClassVar[str] = "1"
    """Version of decoding and split, part of the digest (a change of either is a new task, never a new version)."""

    @abstractmethod
    def part_files(self, part: SplitName) -> list[str]:
        """Return the names of the files that hold the published ``train`` or ``test`` part."""

    @abstractmethod
    def read_part(self, part: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read the published ``train`` or ``test`` part: images ``[examples, *image_shape]`` and labels."""

    def card(self) -> Card:
        """Return the card; nothing is read."""
        num_val = 0 if self.full_train else self.num_val
        return Card(
            name=self.name,
            kind="image-classification",
            summary=self.summary,
            source=self.publication.url,
            licence=self.licence,
            citation=self.citation,
            version=self.version,
            sha256=self._digest(self.publication.files),
            input_shape=self.image_shape,
            output_shape=(len(self.class_names),),
            objective="cross-entropy",
            split_sizes={"train": self.num_train - num_val, "val": num_val, "test": self.num_test},
            metric="accuracy",
            direction="maximize",
            floor=self.most_frequent_share or 1 / len(self.class_names),
            floor_reason="always answering the most frequent class of the test split"
            if self.most_frequent_share
            else "chance: the classes are equally frequent in the test split",
            class_names=self.class_names,
            augmentations=self.augmentations,
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits; the test files are opened only where ``test`` is named."""
        from tasks.sources.splits import published

        return published(splits, self._read_checked, num_val=0 if self.full_train else self.num_val)

    def check_split(self, split: SplitName) -> None:
        """Raise `UserError` where a file that ``split`` comes from is missing, or all copies of it are damaged."""
        for file in self.part_files("test" if split == "test" else "train"):
            files.read(self.publication, file)

    def digest(self) -> str:
        """Read and decode every file; return the digest of what was found. A damaged file is a `UserError`."""
        self.load()
        read = {file: files.read(self.publication, file) for file in self.publication.files}
        return self._digest({file: hashlib.sha256(content).hexdigest() for file, content in read.items()})

    def fetch(self) -> str:
        """Download the files that are not on this machine."""
        return files.fetch(self.publication)

    def _read_checked(self, part: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = self.read_part(part)
        expected = (self.num_train if part == "train" else self.num_test, *self.image_shape)
        if images.shape != expected or labels.shape != expected[:1]:
            raise UserError(
                f"The {part} part of {self.name} must hold images of shape {expected} and as many labels, "
                f"but holds images of shape {images.shape} and labels of shape {labels.shape}."
            )
        return images, labels

    def _digest(self, contents: Mapping[str, str]) -> str:
        return files.digest(self.name, self.version, self.to_mapping(), contents)
