"""Image folder: classification of the user's own pictures, in class folders or with classes in the file names."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from suite.errors import UserError
from suite.fields import Bounds, IntDistribution, Place
from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits, Task
from tasks.sources import files
from tasks.sources.folder import Listing, scan
from tasks.sources.places import cache_dir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

MAX_BYTES = 2 * 1024**3
"""Most that the decoded images may take; they are held in memory, up to three times while they are split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder(Task):
    """Images of any size, resized to one square, split 70/15/15 within each class by a digest of their path.

    The decoded pictures are kept in the user's cache while names, sizes and times of the files stay the same.
    """

    name: ClassVar[str] = "image-folder"

    folder: Annotated[str, Place()] = ""
    """Folder that holds the images; what is in it identifies a run, and not where it lies."""
    labels: Literal["folders", "file-names"] = "folders"
    """Where the class is written: the sub-folder, or the file name before its first dot (cat in cat.0.jpg)."""
    image_size: Annotated[int, Bounds(low=1, high=4096), IntDistribution(16, 128, log=True)] = 64
    """Height and width to which every image is resized, in pixels."""
    channels: Literal[1, 3] = 3
    """Channels: 3 for colour, 1 for grey."""

    def card(self) -> Card:
        """Return the card for what lies in the folder now; the files are read once, for their digest."""
        listing = scan(self.folder, self.labels)
        rows = listing.splits()
        counts = Counter(listing.files[row].label for row in rows["test"])
        return Card(
            name=self.name,
            kind="image-classification",
            summary=f"{len(listing.files)} images of {len(listing.class_names)} classes, the user's own.",
            source=self.folder,
            licence="the user's own",
            citation="the user's own",
            version="1",
            sha256=self._digest(listing, self._content_sha256(listing)),
            input_shape=(self.channels, self.image_size, self.image_size),
            output_shape=(len(listing.class_names),),
            objective="cross-entropy",
            split_sizes={name: len(rows[name]) for name in SPLIT_NAMES},
            metric="accuracy",
            direction="maximize",
            floor=max(counts.values()) / counts.total(),
            floor_reason="always answering the most frequent class of the test split",
            class_names=listing.class_names,
            augmentations=frozenset({"shift", "cutout"}),  # whether mirrored pictures keep their class is unknown
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits; no image of another is decoded, but those of train, for mean and std."""
        import torch

        from tasks.sources import splitting
        from tasks.sources.splits import split

        listing = scan(self.folder, self.labels)
        self._check_memory(len(listing.files))
        rows = listing.splits()
        images = self._images(listing, rows, {"train", *splits})
        mean, std = splitting.moments(images["train"])
        number = {name: index for index, name in enumerate(listing.class_names)}
        by_name: dict[SplitName, Split] = {}
        for name in SPLIT_NAMES:
            if name in splits:
                by_name[name] = split(images[name], [number[listing.files[row].label] for row in rows[name]])
        return Splits(by_name, mean=torch.from_numpy(mean), std=torch.from_numpy(std))

    def check_split(self, split: SplitName) -> None:
        """Decode the images of ``split`` into the cache, or raise `UserError` naming those that are damaged."""
        listing = scan(self.folder, self.labels)
        self._images(listing, listing.splits(), (split,))

    def score(self, predictions: Tensor, targets: Tensor) -> dict[str, float]:
        """Return accuracy and loss; the card would look through the folder again at each validation."""
        from suite.metrics import score

        return score(("accuracy",), "cross-entropy", predictions, targets)

    def digest(self) -> str:
        """Read and decode everything anew and return the digest of the files' content."""
        self.load()
        listing = scan(self.folder, self.labels)
        return self._digest(listing, listing.content_sha256())

    def _images(
        self, listing: Listing, rows: Mapping[SplitName, list[int]], wanted: Collection[SplitName]
    ) -> dict[SplitName, NDArray[np.uint8]]:
        """Return the decoded images of the wanted splits, from the cache or decoded and put there."""
        from tasks.sources import arrays, pictures

        size, channels = self.image_size, self.channels
        places = {name: self._cache(f"{self.labels} {size} {channels} {name}") for name in wanted}
        key = listing.key()
        cached = {name: arrays.load_for(key, places[name], "images") for name in wanted}
        found = {name: images for name, images in cached.items() if images is not None}
        missing = [name for name in SPLIT_NAMES if name in wanted and name not in found]
        if missing:
            paths = [listing.files[row].path for name in missing for row in rows[name]]
            images = pictures.decode_all(listing.root, paths, size=size, channels=channels)
            start = 0
            for name in missing:
                found[name] = images[start : start + len(rows[name])]
                start += len(rows[name])
                arrays.store_for(key, places[name], "images", found[name])
        return found

    def _content_sha256(self, listing: Listing) -> list[str]:
        """Return the sha256 of every file, from the cache while names, sizes and times are the same."""
        import numpy as np

        from tasks.sources import arrays

        path = self._cache(f"{self.labels} sha256")
        found = arrays.load_for(listing.key(), path, "sha256")
        if found is None:
            found = np.array(listing.content_sha256())
            arrays.store_for(listing.key(), path, "sha256", found)
        return [str(sha256) for sha256 in found]

    def _cache(self, content: str) -> Path:
        """Return the one cache file for this folder and ``content``; a changed folder replaces it."""
        text = f"{Path(self.folder).resolve()} {content}"
        return cache_dir() / self.name / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"

    def _digest(self, listing: Listing, contents: list[str]) -> str:
        # The folder's own place is left out: the same pictures are the same data wherever they lie.
        settings = {"labels": self.labels, "image_size": self.image_size, "channels": self.channels}
        by_path = {file.path: sha256 for file, sha256 in zip(listing.files, contents, strict=True)}
        return files.digest(self.name, "1", settings, by_path)

    def _check_memory(self, num_images: int) -> None:
        needed = num_images * self.channels * self.image_size**2
        if needed > MAX_BYTES:
            raise UserError(
                f"The decoded images must take at most {MAX_BYTES // 1024**2} MiB of memory, but {num_images} images "
                f"with task.image_size={self.image_size} and task.channels={self.channels} take "
                f"{needed // 1024**2} MiB. Use a smaller task.image_size or fewer images."
            )
