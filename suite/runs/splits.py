"""The splits of a run: loaded once per process, gaps dealt with, and as the family reads them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

import torch

from suite.engine.data import check_finite
from suite.engine.imputation import Imputer
from suite.engine.missing import Missing
from suite.errors import UserError
from suite.family import Family
from suite.spec import RunSpec
from suite.targets import NO_TARGET
from suite.task import TRAIN_ONLY, Card, Split, SplitName, Splits, Task

MOST_LOOKED_AT = 5_000_000
"""Targets whose range is looked at."""


def load_splits(spec: RunSpec, name: SplitName) -> Splits:
    """Return a split as the family of ``spec`` reads it; the runs of a plan share it.

    Raises:
        UserError: An input is not finite, the task corrupts its inputs itself and is to have gaps too, or the family
            cannot read an input.
    """
    splits = _load(spec.task, spec.data.missing, name)
    if not spec.family.has_encoding():  # the families that take inputs as they are share them
        return splits
    return _encode(spec.task, spec.data.missing, spec.family, name)


@functools.lru_cache(maxsize=8)
def _load(task: Task, missing: Missing | None, name: SplitName) -> Splits:
    with reading(task):
        splits = task.load([name])
    _check_against_card(task, splits, name)
    if missing is not None and len(splits[name]):
        if splits.corrupt is not None:
            raise UserError(
                f"data.missing_rate={missing.rate} cannot go with a task that corrupts its inputs itself, as "
                f"{task.name!r} does in this setting. Take one of the two."
            )
        splits = _imputer(task, missing).apply(splits, name)
    check_finite(splits)
    return splits


def _check_against_card(task: Task, splits: Splits, name: SplitName) -> None:
    """Raise `UserError` where a split is not what its task's card says: training would fail, or mean nothing."""
    card, split = task.card(), splits[name]
    if not len(split):
        return
    classes = card.output_shape[-1]
    are_classes = card.objective == "cross-entropy"
    sees_one_length = card.is_length_fixed or name == "train"
    for law, holds, found in (
        (f"split_sizes[{name!r}] = {card.split_sizes[name]}", len(split) == card.split_sizes[name], len(split)),
        (
            f"input_shape = {card.input_shape}",
            not sees_one_length or tuple(split.inputs.shape[1:]) == card.input_shape,
            tuple(split.inputs.shape[1:]),
        ),
        (f"whole numbers below {classes} as targets", not are_classes or _are_classes(split, classes), _range(split)),
        ("a std above 0", splits.std is None or bool((splits.std > 0).all()), splits.std),
    ):
        if not holds:
            raise UserError(f"The card of the task {task.name!r} asks for {law}, but {name} has {found}.")


def _are_classes(split: Split, classes: int) -> bool:
    targets = split.targets
    if targets.is_floating_point() or targets.dtype == torch.bool:
        return False
    if targets.numel() > MOST_LOOKED_AT:  # windows of a text, of which each character is in many
        targets = targets[:: targets.numel() // MOST_LOOKED_AT + 1]
    return bool(((targets < classes) & ((targets >= 0) | (targets == NO_TARGET))).all())


def _range(split: Split) -> str:
    few = split.targets.flatten()[:MOST_LOOKED_AT] if split.targets.is_contiguous() else split.targets[:1]
    return f"{few.dtype} from {few.min().item()} to {few.max().item()}".replace("torch.", "")


@functools.lru_cache(maxsize=8)
def _encode(task: Task, missing: Missing | None, family: Family, name: SplitName) -> Splits:
    splits = _load(task, missing, name)
    if not len(splits[name]):
        return splits
    split = dataclasses.replace(splits[name], inputs=family.encode(_card(task, missing), splits[name].inputs))
    return dataclasses.replace(splits, by_name={**splits.by_name, name: split})


def _card(task: Task, missing: Missing | None) -> Card:
    return task.card() if missing is None else missing.card(task.card())


@functools.lru_cache(maxsize=4)
def _imputer(task: Task, missing: Missing) -> Imputer:
    return Imputer(missing, task.card(), task.load(TRAIN_ONLY)["train"])


def check_split(spec: RunSpec, name: SplitName) -> None:
    """Raise `UserError` where a split could not be loaded later; done once per process, and nothing is kept."""
    _check(spec.task, name)
    if spec.family.has_encoding():  # what cannot be read is found by reading it
        _check_readable(spec.task, spec.data.missing, spec.family, name)


@functools.lru_cache(maxsize=8)
def _check(task: Task, name: SplitName) -> None:
    with reading(task):
        task.check_split(name)


@functools.lru_cache(maxsize=8)
def _check_readable(task: Task, missing: Missing | None, family: Family, name: SplitName) -> None:
    with reading(task):
        split = task.load([name])[name]
    if len(split):
        family.encode(_card(task, missing), split.inputs)


@contextlib.contextmanager
def reading(task: Task) -> Iterator[None]:
    """Turn what the system says of files that a task reads into the user's terms."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The data of the task {task.name!r} must be readable, but got {type(error).__name__}: {error}."
        ) from error
