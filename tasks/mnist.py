"""MNIST: the handwritten digits that every method is tried on first."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from suite.task import Augmentation
from tasks.sources.files import Publication
from tasks.sources.published_idx import PublishedIdx


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mnist(PublishedIdx):
    """MNIST, 28x28 uint8, split 55000/5000/10000; the test split is the published one."""

    name: ClassVar[str] = "mnist"
    publication = Publication(
        name="mnist",
        # PyTorch's mirror: the authors' own page no longer hands the files out.
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        files={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    )
    summary = "Handwritten digits as 28x28 grey pictures; nearly saturated, people reach an accuracy of about 0.998."
    licence = "CC BY-SA 3.0, as commonly stated; the authors' page named none"
    citation = "LeCun, Bottou, Bengio and Haffner, 1998, Proceedings of the IEEE 86(11)"
    class_names = tuple("0123456789")
    most_frequent_share = 0.1135  # 1135 of the 10,000 test digits are ones
    augmentations: ClassVar[frozenset[Augmentation]] = frozenset({"shift", "cutout"})
