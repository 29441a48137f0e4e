"""Generated tasks: streams that never change, a digest that follows the recipe, and splits that stand alone."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from suite.errors import UserError
from suite.streams import CHUNK
from suite.task import SPLIT_NAMES, SplitName
from tasks.adding import Adding
from tasks.associative_recall import AssociativeRecall
from tasks.copy_memory import CopyMemory
from tasks.induction import Induction
from tasks.listops import Listops
from tasks.parity import Parity
from tasks.sources.generated import Generated, Stream

Kind = type[Generated]
ALL: list[Kind] = [Adding, CopyMemory, Parity, Induction, AssociativeRecall, Listops]
HARDER: dict[Kind, dict[str, Any]] = {
    Adding: {"length": 50},
    CopyMemory: {"num_symbols": 5},
    Parity: {"test_length": 60},
    Induction: {"vocabulary": 30},
    AssociativeRecall: {"num_pairs": 5},
    Listops: {"max_args": 4, "num_train": 500},
}
each = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.name)


def small(cls: Any, num_train: int = 300) -> Generated:
    made: Generated = cls(num_train=num_train)
    return made


def test_a_stream_gives_the_same_numbers_for_ever() -> None:
    assert Stream("a").bits(5).tolist() == [3870406705, 2032637223, 4284954387, 1715235161, 1622409714]
    assert Stream("a", "b").bits(2).tolist() == [2989251922, 4061190734]
    assert Stream("a").below(10, 8).tolist() == [9, 4, 9, 3, 3, 3, 5, 4]
    assert Stream("a").uniform(3).tolist() == [0.9011492729187012, 0.47326022386550903, 0.9976686835289001]


def test_the_pieces_in_which_a_stream_is_made_leave_no_seam() -> None:
    long = Stream("a").bits(9 * CHUNK)
    assert (int(Stream("a").bits(300000)[-1]), int(Stream("a").bits(300000).sum(dtype=np.uint64))) == (
        3730190001,
        644465896307964,
    )
    assert np.array_equal(Stream("a").bits(3, CHUNK), long[: 3 * CHUNK].reshape(3, CHUNK))
    assert len(np.unique(long)) > 0.99 * len(long)


@pytest.mark.parametrize("high", [1, 2, 7, 256, 1000])
def test_integers_below_a_bound_are_even(high: int) -> None:
    counts = np.bincount(Stream("even", high).below(high, 100000), minlength=high)
    assert len(counts) == high
    expected = 100000 / high
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert chi_squared < high + 5 * (2 * high) ** 0.5


def test_uniform_values_are_exact_multiples_below_one_with_mean_and_variance_of_the_law() -> None:
    values = Stream("uniform").uniform(400000).astype(np.float64)
    assert np.array_equal(values * 2**24, np.floor(values * 2**24))
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 1 / 2) < 4 * (1 / 12 / 400000) ** 0.5
    assert abs(values.var() - 1 / 12) < 0.0005


@each
def test_default_data_is_the_pinned_data(cls: Kind) -> None:
    assert cls().load().digest() == cls.content_sha256
    assert cls().check_data() == cls().digest() == cls().card().sha256


@each
def test_every_setting_changes_the_cards_digest_and_the_same_settings_do_not(cls: Kind) -> None:
    changed: dict[str, Any] = {"num_train": 301, **HARDER[cls]}
    digests = {cls().card().sha256} | {cls(**{name: value}).card().sha256 for name, value in changed.items()}
    assert len(digests) == 1 + len(changed)
    assert cls(**HARDER[cls]).card() == cls(**HARDER[cls]).card()


@each
def test_data_under_other_settings_has_the_cards_sizes_and_shapes(cls: Kind) -> None:
    task = cls(**HARDER[cls])
    card, splits = task.card(), task.load()
    for name, split in splits.by_name.items():
        assert len(split) == card.split_sizes[name]
        if card.is_length_fixed or name != "test":
            assert split.inputs.shape[1:] == card.input_shape
        assert split.targets.shape[1:] == (card.output_shape[:-1] if card.vocabulary else card.output_shape)
    assert splits.digest() == cls(**HARDER[cls]).load().digest() != cls.content_sha256


@each
def test_a_generator_that_gives_other_data_is_an_error_with_both_digests(
    cls: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cls, "content_sha256", "0" * 64)
    with pytest.raises(UserError, match=rf"{cls.name}.*{'0' * 64}.* numpy .*generates [0-9a-f]{{64}}\. Install"):
        cls(**HARDER[cls]).check_data()


@each
def test_only_the_splits_asked_for_are_generated(cls: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SplitName] = []
    generate: Callable[..., Any] = cls.generate
    monkeypatch.setattr(cls, "generate", lambda self, split: asked.append(split) or generate(self, split))
    for name in SPLIT_NAMES:
        asked.clear()
        assert set(small(cls).load((name,)).by_name) == {name}
        assert asked == [name]


@each
def test_a_longer_training_split_begins_with_a_shorter_one_and_leaves_the_others_alone(cls: Kind) -> None:
    short, long = small(cls, 300).load(), small(cls, 701).load()
    assert torch.equal(long["train"].inputs[:300], short["train"].inputs)
    assert torch.equal(long["train"].targets[:300], short["train"].targets)
    for name in ("val", "test"):
        assert torch.equal(long[name].inputs, short[name].inputs)
        assert torch.equal(long[name].targets, short[name].targets)


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls is not Parity], ids=lambda cls: cls.name)
def test_splits_share_no_example_under_the_default_settings(cls: Kind) -> None:
    splits = cls().load()
    if cls is CopyMemory:  # its inputs differ in the symbols alone
        seen = [{row.tobytes() for row in splits[name].targets.numpy()} for name in SPLIT_NAMES]
    else:
        seen = [{row.tobytes() for row in splits[name].inputs.numpy()} for name in SPLIT_NAMES]
    train, val, test = seen
    assert (len(train & val), len(train & test), len(val & test)) == (0, 0, 0)


@each
def test_tensors_own_writable_memory(cls: Kind) -> None:
    split = small(cls).load(("val",))["val"]
    before = split.inputs[0].clone()
    split.inputs[0] += 1
    assert not torch.equal(split.inputs[0], before)
    assert torch.equal(small(cls).load(("val",))["val"].inputs[0], before)


@each
def test_a_setting_out_of_its_bounds_is_an_error_that_names_it(cls: Kind) -> None:
    with pytest.raises(UserError, match=r"task\.num_train=0"):
        cls(num_train=0)  # type: ignore[call-arg]  # every task here has it
    assert {field.name for field in dataclasses.fields(cls)} >= {"num_train", *HARDER[cls]}
