"""Character language model on tiny Shakespeare: predict the next character of his plays."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Annotated, ClassVar

from suite.fields import Bounds, IntDistribution
from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits, Task
from tasks.sources import files, shakespeare

# Number of characters in each split: int(0.9 * 1115394) for training, as nanoGPT does, then two halves.
PARTS: dict[SplitName, int] = {"train": 1003854, "val": 55770, "test": 55770}
PUBLISHED_PARTS: dict[SplitName, int] = {"train": 1003854, "val": 111540, "test": 0}
KEPT = 711213
"""Characters of the training part without the speeches that `shakespeare-speaker` holds out."""
FLOORS = {
    (False, False): 3.3619634199467154,
    (True, False): 3.3473284841065922,
    (False, True): 3.3619191371996697,
    (True, True): 3.347230148625207,
}
"""(published_split, without_held_out_speeches) -> floor."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShakespeareChar(Task):
    """Windows of the text as tokens of 65 characters; the answer at every position is the next character.

    The training split has one window for each place at which one can start, a million of them that are views of one
    text, so that an epoch sees every character ``block_length`` times: give runs a budget in steps. The windows of val
    and test do not overlap; characters that fill no whole window at the end are left out.

    Reference: Karpathy, 2022, nanoGPT (data/shakespeare_char), block length 64 in its recipe for CPUs.
    Differs from the reference: its last tenth, used for validation, is halved into val and test, unless
    ``published_split``; it scores random windows there.
    """

    name: ClassVar[str] = "shakespeare-char"
    version: ClassVar[str] = "1"

    block_length: Annotated[int, Bounds(low=1, high=4096), IntDistribution(32, 512, log=True)] = 64
    """Characters in a window."""
    published_split: bool = False
    """Validate on the whole last tenth of the text, with no test split, as published protocols do."""
    without_held_out_speeches: bool = False
    """Leave out of the training text what `shakespeare-speaker` holds out for val and test, headings and all: so a
    model may go from here to there without having read the answers."""

    def card(self) -> Card:
        """Return the card; nothing is read."""
        return Card(
            name=self.name,
            kind="sequence-modelling",
            summary="Predict the next character of Shakespeare's plays; an epoch is a million windows.",
            source=shakespeare.PUBLICATION.url,
            licence=shakespeare.LICENCE,
            citation=shakespeare.CITATION,
            version=self.version,
            sha256=self._digest(dict(shakespeare.PUBLICATION.files)),
            input_shape=(self.block_length,),
            output_shape=(self.block_length, len(shakespeare.CHARACTERS)),
            vocabulary=len(shakespeare.CHARACTERS),
            token_names=tuple(shakespeare.CHARACTERS),
            is_causal=True,
            objective="cross-entropy",
            split_sizes={name: self._num_windows(name) for name in SPLIT_NAMES},
            metric="cross-entropy",
            direction="minimize",
            extra_metrics=("bits", "accuracy"),
            floor=FLOORS[self.published_split, self.without_held_out_speeches],
            floor_reason=(
                "answering with the frequencies of the training split's characters, scored on all characters of "
                f"{'val' if self.published_split else 'test'}, in nats per character"
            ),
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits; the training split's windows are views of its text."""
        import torch

        text, start = shakespeare.read(), 0
        by_name: dict[SplitName, Split] = {}
        for name, size in (PUBLISHED_PARTS if self.published_split else PARTS).items():
            if name in splits and size:
                part = text[start : start + size]
                if name == "train" and self.without_held_out_speeches:
                    part = shakespeare.without_held_out_speeches(part)
                characters = torch.from_numpy(shakespeare.encode(part))
                step = 1 if name == "train" else self.block_length
                inputs = characters[:-1].unfold(0, self.block_length, step)
                by_name[name] = Split(inputs, characters[1:].long().unfold(0, self.block_length, step))
            elif name in splits:
                shape = (0, self.block_length)
                by_name[name] = Split(torch.empty(shape, dtype=torch.uint8), torch.empty(shape, dtype=torch.int64))
            start += size
        return Splits(by_name, mean=None, std=None)

    def digest(self) -> str:
        """Read and cut the file; return the digest of what was found. A damaged file is a `UserError`."""
        self.load()
        return self._digest(shakespeare.content_digests())

    def fetch(self) -> str:
        """Download the file where it is not on this machine."""
        return files.fetch(shakespeare.PUBLICATION)

    def _parts(self) -> dict[SplitName, int]:
        parts = PUBLISHED_PARTS if self.published_split else PARTS
        return {**parts, "train": KEPT} if self.without_held_out_speeches else parts

    def _num_windows(self, name: SplitName) -> int:
        size = self._parts()[name]
        if name == "train":
            return size - self.block_length
        return (size - 1) // self.block_length if size else 0

    def _digest(self, contents: dict[str, str]) -> str:
        # The digest of the file stands for its million windows, which would be 64 times as much to hash.
        mapping = self.to_mapping()
        if not self.without_held_out_speeches:  # a later setting, whose default leaves the digest as it was
            del mapping["without_held_out_speeches"]
        return files.digest(self.name, self.version, mapping, contents)
