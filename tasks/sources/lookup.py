"""What the tasks of in-context look-up share: which positions of a sequence have an answer."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from suite.targets import NO_TARGET
from suite.task import Split, SplitName
from tasks.sources.generated import Generated

if TYPE_CHECKING:
    from torch import Tensor

AnswersName = Literal["last", "every"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lookup(Generated):
    """Sequences of tokens that end with a question; scores rest on the answer to that alone, in either setting."""

    answers: AnswersName = "last"
    """Positions of a training sequence that have an answer: the last one alone, or every one, the next token, as the
    paper trains."""

    def output_shape(self, vocabulary: int) -> tuple[int, ...]:
        """Return the card's: one answer, or one at each position."""
        return (vocabulary,) if self.answers == "last" else (self.num_tokens, vocabulary)

    @property
    @abstractmethod
    def num_tokens(self) -> int:
        """Tokens in a sequence."""

    @property
    def is_causal(self) -> bool:
        """The card's: who sees the next token need not look anything up."""
        return self.answers == "every"

    @abstractmethod
    def generate_last(self, split: SplitName) -> Split:
        """Generate one split with the answers of the last positions."""

    def generate(self, split: SplitName) -> Split:
        """Generate one split."""
        found = self.generate_last(split)
        return found if self.answers == "last" else Split(found.inputs, every_answer(found, is_train=split == "train"))


def every_answer(split: Split, *, is_train: bool) -> Tensor:
    """Return the last answer of each sequence with those before it, which are the next tokens; missing outside train.

    (sequences, positions), int64.
    """
    targets = split.inputs.long().roll(-1, dims=1)
    if not is_train:
        targets[:] = NO_TARGET
    targets[:, -1] = split.targets
    return targets
