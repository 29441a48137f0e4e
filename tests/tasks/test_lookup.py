"""What the look-up tasks share: an answer at the last position, or at every one in training."""

import pytest
import torch

from suite.targets import NO_TARGET
from tasks.associative_recall import AssociativeRecall
from tasks.induction import Induction


@pytest.mark.parametrize("cls", [Induction, AssociativeRecall])
def test_with_an_answer_at_every_position_only_training_shows_those_before_the_last(
    cls: type[Induction] | type[AssociativeRecall],
) -> None:
    task, last = cls(answers="every", num_train=50), cls(num_train=50)
    for name, split in task.load().by_name.items():
        assert torch.equal(split.inputs, last.load()[name].inputs)
        assert torch.equal(split.targets[:, -1], last.load()[name].targets)
        before = split.targets[:, :-1]
        expected = split.inputs[:, 1:].long() if name == "train" else torch.full_like(before, NO_TARGET)
        assert torch.equal(before, expected)
