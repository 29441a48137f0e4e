"""CIFAR-10: small colour photographs of ten kinds of things."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from suite.task import SplitName
from tasks.sources import files
from tasks.sources.published_images import PublishedImages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cifar10(PublishedImages):
    """CIFAR-10 (binary version), 3x32x32 uint8, split 45000/5000/10000; the test split is the published one."""

    name: ClassVar[str] = "cifar10"
    publication = files.Publication(
        name="cifar10",
        url="https://www.cs.toronto.edu/~kriz/",
        archive="cifar-10-binary.tar.gz",
        archive_sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        subfolder="cifar-10-batches-bin",
        files={
            "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        },
    )
    image_shape = (3, 32, 32)
    num_train = 50000
    num_val = 5000
    num_test = 10000
    summary = "Ten kinds of animals and vehicles as 32x32 colour photographs; people reach an accuracy of about 0.94."
    licence = "none stated; the authors ask for the citation"
    citation = "Krizhevsky, 2009, Learning multiple layers of features from tiny images, University of Toronto"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def part_files(self, part: SplitName) -> list[str]:
        """Return the names of the files, in their order."""
        prefix = "data_batch" if part == "train" else "test_batch"
        return [file for file in self.publication.files if file.startswith(prefix)]

    def read_part(self, part: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read images and labels of the published ``train`` or ``test`` part, in the order of the files."""
        import numpy as np

        from tasks.sources import cifar

        parts = [cifar.decode(files.read(self.publication, file), file) for file in self.part_files(part)]
        images, labels = zip(*parts, strict=True)
        return np.concatenate(images), np.concatenate(labels)
