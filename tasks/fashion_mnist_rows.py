"""Fashion-MNIST read row by row: 28 steps of 28 pixels, for models of sequences."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import ClassVar

from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits
from tasks.fashion_mnist import FashionMnist


@dataclasses.dataclass(frozen=True, kw_only=True)
class FashionMnistRows(FashionMnist):
    """Fashion-MNIST as uint8 ``(28 pixels of a row, 28 rows)``, split as `fashion-mnist` is, over the same files.

    Reference: Le, Jaitly and Hinton, 2015, arXiv:1504.00941, who read MNIST pixel by pixel.
    """

    name: ClassVar[str] = "fashion-mnist-rows"

    def card(self) -> Card:
        """Return the card; nothing is read."""
        _, height, width = self.image_shape
        return dataclasses.replace(
            super().card(),
            kind="sequence-modelling",
            summary="Ten kinds of clothing, each picture a sequence of its 28 rows from top to bottom.",
            input_shape=(width, height),
            augmentations=frozenset({"shift", "cutout"}),  # mirrored in time, clothes stand on their heads
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits; the test files are opened only where ``test`` is named."""
        pictures = super().load(splits)
        assert pictures.mean is not None and pictures.std is not None
        by_name: dict[SplitName, Split] = {
            # (1, rows, columns) becomes (columns as channels, rows as steps).
            name: Split(split.inputs[:, 0].transpose(1, 2).contiguous(), split.targets)
            for name, split in pictures.by_name.items()
        }
        return Splits(by_name, mean=pictures.mean[0], std=pictures.std[0])
