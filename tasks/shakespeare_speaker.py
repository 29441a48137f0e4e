"""Who says this line? Text classification over the ten speakers with the most lines in tiny Shakespeare."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Annotated, ClassVar

from suite.fields import Bounds, IntDistribution
from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits, Task
from tasks.sources import files, shakespeare

SPEAKERS = (
    "GLOUCESTER",
    "DUKE VINCENTIO",
    "KING RICHARD II",
    "LEONTES",
    "CORIOLANUS",
    "ROMEO",
    "MENENIUS",
    "PETRUCHIO",
    "JULIET",
    "QUEEN MARGARET",
)
PAD = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShakespeareSpeaker(Task):
    """Single lines of verse or prose as tokens of characters, padded on the left; the class is who says them.

    The text is cut into stretches of 25 speeches, and a stretch goes into one split as a whole, so that lines of one
    speech never lie in two. Every tenth stretch is for val and two of ten for test. Classes are not balanced: accuracy
    counts every line the same, whoever says it.
    """

    name: ClassVar[str] = "shakespeare-speaker"
    version: ClassVar[str] = "1"

    max_length: Annotated[int, Bounds(low=1, high=64), IntDistribution(8, 64)] = 64
    """Characters that are kept from the beginning of a line; the longest has 61."""

    def card(self) -> Card:
        """Return the card; nothing is read."""
        return Card(
            name=self.name,
            kind="sequence-modelling",
            summary="Which of ten characters of Shakespeare's plays says this line?",
            source=shakespeare.PUBLICATION.url,
            licence=shakespeare.LICENCE,
            citation=shakespeare.CITATION,
            version=self.version,
            sha256=self._digest(dict(shakespeare.PUBLICATION.files)),
            input_shape=(self.max_length,),
            output_shape=(len(SPEAKERS),),
            vocabulary=1 + len(shakespeare.CHARACTERS),
            objective="cross-entropy",
            split_sizes={"train": 4879, "val": 656, "test": 1106},
            metric="accuracy",
            direction="maximize",
            floor=201 / 1106,
            floor_reason="the best constant answer: the most frequent speaker of the test split",
            class_names=SPEAKERS,
            token_names=("pad", *shakespeare.CHARACTERS),
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits."""
        import numpy as np
        import torch

        lines = spoken_lines(shakespeare.read().decode("ascii"))
        by_name: dict[SplitName, Split] = {}
        for name in SPLIT_NAMES:
            if name in splits:
                kept = b"".join(
                    line.encode()[: self.max_length].rjust(self.max_length, b"\0") for _, line in lines[name]
                )
                is_pad = np.frombuffer(kept, dtype=np.uint8) == 0
                inputs = np.where(is_pad, PAD, 1 + shakespeare.encode(kept)).reshape(-1, self.max_length)
                classes = [SPEAKERS.index(speaker) for speaker, _ in lines[name]]
                by_name[name] = Split(torch.from_numpy(inputs), torch.tensor(classes))
        return Splits(by_name, mean=None, std=None)

    def digest(self) -> str:
        """Read and cut the file; return the digest of what was found. A damaged file is a `UserError`."""
        self.load()
        return self._digest(shakespeare.content_digests())

    def fetch(self) -> str:
        """Download the file where it is not on this machine."""
        return files.fetch(shakespeare.PUBLICATION)

    def _digest(self, contents: dict[str, str]) -> str:
        return files.digest(self.name, self.version, self.to_mapping(), contents)


def spoken_lines(text: str) -> dict[SplitName, list[tuple[str, str]]]:
    """Return (speaker, line) of the ten speakers by split, in the order of the text."""
    found: dict[SplitName, list[tuple[str, str]]] = {name: [] for name in SPLIT_NAMES}
    for number, speech in enumerate(text.strip().split("\n\n")):
        heading, *lines = speech.lstrip("\n").split("\n")
        speaker = heading.removesuffix(":")
        if speaker in SPEAKERS:
            found[shakespeare.split_of(number)] += [(speaker, line) for line in lines]
    return found
