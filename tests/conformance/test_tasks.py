"""Every registered task: a complete card, and data that is what the card says wherever it lies on this machine."""

import dataclasses
import math
import re
from typing import Any

import pytest
import torch

from suite.errors import DataMissingError, UserError
from suite.fields import fields_of
from suite.metrics import METRICS
from suite.targets import NO_TARGET
from suite.task import SPLIT_NAMES, TASKS, TRAIN_ONLY, Card, SplitName, Splits, Task

pytestmark = pytest.mark.usefixtures("registered_toys")


def load(task: Task, splits: tuple[SplitName, ...] = SPLIT_NAMES) -> Splits:
    """Load, or skip where the data is not on this machine and would have to be downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOLTBENCH_MIRROR", "http://127.0.0.1:9/")
        try:
            return task.load(splits)
        except DataMissingError as error:
            pytest.skip(str(error))


def build(name: str) -> Task:
    try:
        return TASKS.get(name)()
    except UserError as error:
        pytest.skip(f"the task has no default settings: {error}")


def card_of(name: str) -> Card:
    task = build(name)
    try:
        return task.card()
    except UserError as error:
        pytest.skip(f"the card needs data that is not here: {error}")


def test_card_names_its_task_and_leaves_no_text_out(task_name: str) -> None:
    card = card_of(task_name)
    assert card.name == task_name
    for field in ("summary", "source", "licence", "citation", "version", "floor_reason"):
        assert getattr(card, field).strip(), field
    assert re.fullmatch(r"[0-9a-f]{64}", card.sha256)
    assert (card.ceiling is None) == (card.ceiling_reason == "")


def test_every_difficulty_can_be_searched(task_name: str) -> None:
    """A number that changes the data has a search range; a choice between published protocols need not."""
    for field in fields_of(TASKS.get(task_name)):
        if field.type in (int, float):
            assert field.distribution is not None, field.name
            assert field.distribution.low <= field.distribution.high


def test_card_is_consistent(task_name: str) -> None:
    card = card_of(task_name)
    assert set(card.split_sizes) == set(SPLIT_NAMES)
    assert card.split_sizes["train"] > 0
    assert card.split_sizes["test"] > 0
    assert 1 <= len(card.input_shape) <= 3
    assert min(*card.input_shape, *card.output_shape) >= 1
    assert not card.class_names or card.output_shape[-1] == len(card.class_names)
    if TASKS.get(task_name).score is Task.score:
        assert {card.metric, *card.extra_metrics} <= set(METRICS)
    assert card.ceiling is None or card.is_better(card.ceiling, card.floor)


def test_floor_of_a_classification_is_at_least_chance_and_no_score_is_beyond_one(task_name: str) -> None:
    card = card_of(task_name)
    assert math.isfinite(card.floor)
    if card.metric == "accuracy":
        assert card.direction == "maximize"
        assert 1 / card.output_shape[-1] <= card.floor < 1


def test_card_is_the_same_each_time_and_every_setting_has_help(task_name: str) -> None:
    assert card_of(task_name) == card_of(task_name)
    assert [field.name for field in fields_of(TASKS.get(task_name)) if not field.help.endswith(".")] == []
    assert (TASKS.get(task_name).__doc__ or "").strip().endswith(".")


def test_splits_have_the_cards_sizes_shapes_and_types(task_name: str) -> None:
    task, card = build(task_name), card_of(task_name)
    splits = load(task)
    assert set(splits.by_name) == set(SPLIT_NAMES)
    for name, split in splits.by_name.items():
        assert len(split) == card.split_sizes[name]
        if card.is_length_fixed or name == "train":
            assert split.inputs.shape[1:] == card.input_shape
        if card.objective == "cross-entropy":
            assert split.targets.dtype == torch.int64
            assert split.targets.shape[1:] == card.output_shape[:-1]
            answers = split.targets[split.targets != NO_TARGET]
            assert len(split) == 0 or 0 <= int(answers.min()) <= int(answers.max()) < card.output_shape[-1]
        else:
            assert split.targets.shape[1:] == card.output_shape


def test_inputs_are_tokens_of_the_vocabulary_or_numbers_with_moments(task_name: str) -> None:
    card, splits = card_of(task_name), load(build(task_name))
    inputs = splits["train"].inputs
    if card.vocabulary is not None:
        assert not inputs.is_floating_point()
        assert 0 <= int(inputs.min()) <= int(inputs.max()) < card.vocabulary
        return
    assert inputs.dtype in (torch.uint8, torch.float32)
    assert splits.mean is not None
    assert splits.std is not None
    assert ((inputs[:1].to(splits.mean.dtype) - splits.mean) / splits.std).shape == (1, *card.input_shape)
    assert bool((splits.std > 0).all())


def test_data_has_the_cards_digest(task_name: str) -> None:
    task = build(task_name)
    load(task)
    assert task.check_data() == card_of(task_name).sha256


@pytest.mark.parametrize("asked", [TRAIN_ONLY, ("val",), ("train", "val")])
def test_only_the_splits_asked_for_come_back_and_are_those_of_a_full_load(
    task_name: str, asked: tuple[SplitName, ...]
) -> None:
    task = build(task_name)
    some, full = load(task, asked), load(task)
    assert set(some.by_name) == set(asked)
    assert "test" not in some.by_name
    for name in asked:
        assert torch.equal(some[name].inputs, full[name].inputs)
        assert torch.equal(some[name].targets, full[name].targets)
    for part, whole in ((some.mean, full.mean), (some.std, full.std)):
        assert part is whole is None or torch.equal(part, whole)


def test_no_test_example_is_a_training_example(task_name: str) -> None:
    splits = load(build(task_name))
    train = {row.numpy().tobytes() for row in splits["train"].inputs}
    shared = sum(row.numpy().tobytes() in train for row in splits["test"].inputs)
    # Published data may hold a few copies; a split that leaks holds many.
    assert shared <= 0.01 * len(splits["test"])


def test_evidence_marks_a_part_of_each_input_and_is_the_same_each_time(task_name: str) -> None:
    task = build(task_name)
    if type(task).evidence is Task.evidence:
        pytest.skip("the task does not know what its answers rest on")
    for name in ("test", "val"):
        inputs, found = load(task, (name,))[name].inputs, task.evidence(name)
        assert found is not None
        assert found.dtype == torch.bool
        has_channels = task.card().vocabulary is None and inputs.ndim > 2
        assert found.shape == (len(inputs), *inputs.shape[2 if has_channels else 1 :])
        shares = found.flatten(1).float().mean(dim=1)
        assert float(shares.min()) > 0
        assert float(shares.max()) < 1
        assert torch.equal(found, task.evidence(name))


def test_a_damaged_task_is_noticed(toys: dict[str, type[Task]]) -> None:
    class Damaged(toys["toy-vector"]):  # type: ignore[misc]
        def load(self, splits: object = SPLIT_NAMES) -> Splits:
            found: Splits = super().load(SPLIT_NAMES)
            found["test"].inputs[3, 5] += 1
            return found

    with pytest.raises(UserError, match=r"must have sha256 .* but what was found has"):
        Damaged().check_data()


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"direction": "max"}, "direction on the card .* must be one of maximize, minimize, but got 'max'"),
        ({"kind": "sequences"}, "kind on the card"),
        ({"objective": "crossentropy"}, "objective on the card"),
        (
            {"class_names": ("one", "two")},
            r"must name each class, but its output_shape is \(10,\) and class_names has 2",
        ),
    ],
)
def test_a_card_with_a_word_that_is_none_is_refused(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(UserError, match=law):
        dataclasses.replace(TASKS.get("digits")().card(), **changes)
