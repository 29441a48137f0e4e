"""The base of tasks published as the four IDX files of MNIST."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from suite.task import SplitName
from tasks.sources import files
from tasks.sources.published_images import PublishedImages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedIdx(PublishedImages):
    """28x28 grey images as IDX files; a subclass says where they are and what they show."""

    image_shape = (1, 28, 28)
    num_train = 60000
    num_val = 5000
    num_test = 10000

    def part_files(self, part: SplitName) -> list[str]:
        """Return the names of the images' and the labels' file."""
        prefix = "train" if part == "train" else "t10k"
        return [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]

    def read_part(self, part: SplitName) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read images ``[examples, 1, height, width]`` and labels of the published ``train`` or ``test`` part."""
        import numpy as np

        from tasks.sources import idx

        images, labels = (idx.decode(files.read(self.publication, file), file) for file in self.part_files(part))
        return images[:, None], labels.astype(np.int64)
