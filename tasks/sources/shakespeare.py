"""Tiny Shakespeare: 40,000 lines of his plays in one file, and its characters as tokens."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from suite.task import SplitName
from tasks.sources import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE = "input.txt"
PUBLICATION = files.Publication(
    name="tiny-shakespeare",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
    files={FILE: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    is_compressed=False,
    task="shakespeare-char",
)
STRETCH = 25
"""Speeches in a stretch of the text that goes into one split of `shakespeare-speaker` as a whole."""
VAL_STRETCHES, TEST_STRETCHES = (3,), (6, 9)
"""Stretches by their number modulo 10; the others are for training. Every speaker is in every split this way."""
LICENCE = "public domain; the selection comes with char-rnn (MIT)"
CITATION = "Karpathy, 2015, char-rnn; Shakespeare's plays"

CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Every character of the file, sorted: character i is token i."""


def read() -> bytes:
    """Return the text, which is plain ASCII."""
    return files.read(PUBLICATION, FILE)


def encode(text: bytes) -> NDArray[np.uint8]:
    """Return the token of each character."""
    import numpy as np

    table = np.zeros(256, dtype=np.uint8)
    table[list(CHARACTERS.encode())] = np.arange(len(CHARACTERS))
    return np.asarray(table[np.frombuffer(text, dtype=np.uint8)])


def split_of(speech: int) -> SplitName:
    """Return the split of `shakespeare-speaker` that a speech goes into, by its number in the text."""
    stretch = speech // STRETCH % 10
    return "val" if stretch in VAL_STRETCHES else "test" if stretch in TEST_STRETCHES else "train"


def without_held_out_speeches(text: bytes) -> bytes:
    """Return the speeches of a text from its beginning on, without those of the val and test splits above."""
    speeches = text.split(b"\n\n")
    return b"\n\n".join(speech for number, speech in enumerate(speeches) if split_of(number) == "train")


def content_digests() -> dict[str, str]:
    """Read the file and return its sha256 by its name, as `files.digest` takes it."""
    return {FILE: hashlib.sha256(read()).hexdigest()}
