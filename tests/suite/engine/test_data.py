"""The order of examples, and the loader that cuts it into blocks."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from suite.batch import Block
from suite.engine.budget import steps_per_epoch
from suite.engine.data import BlockLoader, Data, ResidentSplit, check_finite, epoch_order, placed
from suite.engine.pacing import Pacer
from suite.errors import UserError
from suite.task import Split, Splits

CPU = torch.device("cpu")


def splits_of(count: int) -> Splits:
    """Return a training split whose example i is (i, 2i) with target i, moved and scaled."""
    numbers = torch.arange(count)
    inputs = torch.stack([numbers, 2 * numbers], dim=1).float()
    return Splits({"train": Split(inputs, numbers)}, mean=torch.tensor([3.0, 0.0]), std=torch.tensor([2.0, 4.0]))


@dataclasses.dataclass
class Script:
    """A pacer that asks for the scripted lengths, over and over."""

    lengths: list[int]
    asked: int = 0

    def block_steps(self) -> int:
        self.asked += 1
        return self.lengths[(self.asked - 1) % len(self.lengths)]

    def observe(self, *, steps: int, seconds: float) -> None: ...


def loader_of(
    *,
    count: int = 23,
    lengths: list[int],
    total: int | None = 17,
    edge: int = 4,
    first_step: int = 0,
    seed: int = 5,
    **data: Any,
) -> BlockLoader:
    settings = Data(**{"batch_size": 5, **data})
    splits = splits_of(count)
    return BlockLoader(
        split=ResidentSplit.place(splits["train"], splits, CPU),
        data=settings,
        seed=seed,
        steps_per_epoch=steps_per_epoch(count, settings.batch_size, drop_last=settings.drop_last),
        total_steps=total,
        validate_every_steps=edge,
        pacer=Script(lengths),  # type: ignore[arg-type]
        first_step=first_step,
    )


def examples(blocks: list[Block]) -> list[list[int]]:
    """Return the examples of each step."""
    return [batch.targets.tolist() for block in blocks for batch in block.batches()]


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(1, 200))
def test_an_epochs_order_is_a_permutation_and_a_function_of_seed_and_epoch(seed: int, epoch: int, count: int) -> None:
    order = epoch_order(seed, epoch, count, shuffle=True)
    assert torch.equal(order.sort().values, torch.arange(count))
    torch.rand(3)  # whatever else draws
    assert torch.equal(epoch_order(seed, epoch, count, shuffle=True), order)
    if count >= 30:
        assert not torch.equal(epoch_order(seed, epoch + 1, count, shuffle=True), order)
        assert not torch.equal(epoch_order(seed + 1, epoch, count, shuffle=True), order)


def test_drawing_an_order_leaves_torchs_generator_alone() -> None:
    state = torch.get_rng_state()
    epoch_order(1, 2, 50, shuffle=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_shuffling_examples_come_in_the_order_of_the_task() -> None:
    assert examples(list(loader_of(lengths=[3], total=5, shuffle=False))) == [
        [0, 1, 2, 3, 4],
        [5, 6, 7, 8, 9],
        [10, 11, 12, 13, 14],
        [15, 16, 17, 18, 19],
        [20, 21, 22],
    ]


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    count=st.integers(5, 40),
    batch_size=st.integers(1, 9),
    edge=st.integers(1, 12),
    total=st.integers(1, 40),
    drop_last=st.booleans(),
)
def test_blocks_of_any_length_hold_the_same_steps_and_cross_no_validation(
    lengths: list[int], count: int, batch_size: int, edge: int, total: int, drop_last: bool
) -> None:
    if drop_last and count < batch_size:
        count = batch_size
    options: dict[str, Any] = {
        "count": count,
        "batch_size": batch_size,
        "drop_last": drop_last,
        "edge": edge,
        "total": total,
    }
    blocks = list(loader_of(lengths=lengths, **options))
    assert examples(blocks) == examples(list(loader_of(lengths=[1], **options)))
    step = 0
    for block in blocks:
        assert block.first_step == step
        assert 1 <= len(block.sizes) <= max(lengths)
        step = block.end_step
        assert block.first_step // edge == (step - 1) // edge, "a block crossed a validation"
        assert block.ends_validation_interval == (step % edge == 0 or step == total)
        assert block.is_last == (step == total)
        assert [len(batch.targets) for batch in block.batches()] == list(block.sizes)
    assert step == total


@given(first_step=st.integers(0, 16), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_going_on_from_any_step_gives_the_same_tail(first_step: int, lengths: list[int]) -> None:
    whole = examples(list(loader_of(lengths=[4])))
    assert examples(list(loader_of(lengths=lengths, first_step=first_step))) == whole[first_step:]


def test_first_step_may_be_set_after_iter_was_called() -> None:
    """Lightning calls iter() before a checkpoint's callbacks are restored."""
    loader = loader_of(lengths=[4])
    iterator = iter(loader)
    loader.first_step = 9
    assert next(iterator).first_step == 9


@pytest.mark.parametrize("drop_last", [False, True])
def test_an_epoch_shows_every_example_once_but_for_a_dropped_rest(drop_last: bool) -> None:
    per_epoch = 4 if drop_last else 5
    steps = examples(list(loader_of(lengths=[3], total=3 * per_epoch, drop_last=drop_last)))
    epochs = [list(itertools.chain(*steps[start : start + per_epoch])) for start in range(0, len(steps), per_epoch)]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == (20 if drop_last else 23)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_epochs_are_counted_in_passes_over_the_split() -> None:
    assert [block.epoch for block in loader_of(lengths=[5], total=10, edge=100)] == [1.0, 2.0]


def test_without_a_last_step_blocks_go_on_for_ever() -> None:
    iterator = iter(loader_of(lengths=[4], total=None))
    blocks = [next(iterator) for _ in range(50)]
    assert blocks[-1].end_step == 200
    assert not any(block.is_last for block in blocks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_inputs_are_normalised_once_with_the_splits_figures(dtype: torch.dtype) -> None:
    splits = splits_of(20)
    stored = Split(splits["train"].inputs.to(dtype), splits["train"].targets)
    resident = ResidentSplit.place(stored, splits, CPU)
    indices = torch.tensor([7, 0, 7])
    expected = (stored.inputs[indices].float() - splits.mean) / splits.std
    for _ in range(2):
        assert torch.equal(resident.gather(indices).inputs, expected)
        assert torch.equal(resident.gather(indices).targets, torch.tensor([7, 0, 7]))
    in_order = torch.cat([batch.inputs for batch in resident.batches(6)])
    assert torch.equal(in_order, (stored.inputs.float() - splits.mean) / splits.std)
    assert torch.equal(stored.inputs, splits["train"].inputs.to(dtype)), "the task's own tensor must stay as it was"


def test_a_batch_may_be_written_to_without_a_trace_in_the_data() -> None:
    splits = splits_of(20)
    resident = ResidentSplit.place(splits["train"], splits, CPU)
    before = resident.gather(slice(0, 20)).inputs.clone()
    resident.gather(torch.arange(5)).inputs.zero_()
    assert torch.equal(resident.gather(slice(0, 20)).inputs, before)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_inputs_that_are_no_numbers_are_named_with_split_example_and_count(bad: float) -> None:
    splits = splits_of(10)
    inputs: Tensor = splits["train"].inputs
    inputs[4, 1] = inputs[6, 0] = bad
    with pytest.raises(UserError, match=r"example 4 of the train split holds NaN or infinity \(2 examples in all\)"):
        check_finite(splits)


def test_finite_inputs_and_bytes_pass() -> None:
    splits = splits_of(10)
    check_finite(splits)
    check_finite(
        Splits({"val": Split(splits["train"].inputs.byte(), splits["train"].targets)}, splits.mean, splits.std)
    )


def test_fixed_pacer_never_changes_its_mind() -> None:
    pacer = Pacer(fixed=7, step_bytes=1)
    pacer.observe(steps=7, seconds=100.0)
    assert pacer.block_steps() == 7


@given(st.lists(st.floats(1e-9, 100), min_size=1, max_size=30), st.integers(0, 2**40))
def test_adaptive_pacer_stays_between_1_and_four_times_the_last(times: list[float], step_bytes: int) -> None:
    pacer = Pacer(fixed=None, step_bytes=step_bytes)
    for seconds in times:
        before = pacer.block_steps()
        pacer.observe(steps=before, seconds=seconds)
        assert 1 <= pacer.block_steps() <= 4 * before


def test_adaptive_pacer_settles_on_blocks_of_50_to_200_milliseconds() -> None:
    for step_seconds in (1e-4, 1e-3, 1e-2, 0.09):
        pacer = Pacer(fixed=None, step_bytes=100)
        for _ in range(12):
            steps = pacer.block_steps()
            pacer.observe(steps=steps, seconds=steps * step_seconds)
        assert 0.05 <= pacer.block_steps() * step_seconds <= 0.2


def test_windows_of_one_text_stay_views_of_it_on_another_device() -> None:
    text = torch.arange(1000)
    windows = text[3:].unfold(0, 64, 1)
    assert placed(windows, CPU) is windows
    elsewhere = placed(windows, torch.device("meta"))
    assert elsewhere.shape == windows.shape
    assert elsewhere.untyped_storage().nbytes() == text.untyped_storage().nbytes()
    copied = placed(windows, torch.device("cpu:0"))  # another name, so that it takes the way to another device
    assert torch.equal(copied, windows)
    assert torch.equal(copied.index_select(0, torch.tensor([5, 0, 933])), windows[[5, 0, 933]])


def test_a_part_of_a_tensor_goes_to_another_device_without_the_rest() -> None:
    part = torch.arange(1000).reshape(100, 10)[:7]
    assert placed(part, torch.device("meta")).untyped_storage().nbytes() == 70 * 8
    assert torch.equal(placed(part, torch.device("cpu:0")), part)
