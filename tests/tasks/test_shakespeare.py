"""Tiny Shakespeare: a character language model whose windows are views, and lines with their speakers."""

import dataclasses
import functools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.engine.data import ResidentSplit, check_finite
from suite.errors import DataMissingError, UserError
from suite.task import Task
from tasks.shakespeare_char import KEPT, PARTS, ShakespeareChar
from tasks.shakespeare_speaker import SPEAKERS, ShakespeareSpeaker, spoken_lines
from tasks.sources import shakespeare
from tasks.sources.places import cache_dir
from tasks.sources.shakespeare import STRETCH, split_of
from tests.tasks.conftest import sha256

Put = Callable[..., Path]
TEXT_LENGTH = 1115394


@functools.cache
def other_text() -> bytes:
    """Return a text of the file's length and characters that says nothing."""
    drawn = np.random.default_rng(0).integers(0, len(shakespeare.CHARACTERS), TEXT_LENGTH)
    return np.frombuffer(shakespeare.CHARACTERS.encode(), dtype=np.uint8)[drawn].tobytes()


def other_play() -> bytes:
    speech = "{}:\nWords, words, {}.\nAnd more.\n"
    names = ("Chorus", *SPEAKERS)
    return "\n".join(speech.format(names[number % 11], number) for number in range(600)).encode()


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def replace(text: bytes) -> None:
        publication = dataclasses.replace(shakespeare.PUBLICATION, files={shakespeare.FILE: sha256(text)})
        monkeypatch.setattr(shakespeare, "PUBLICATION", publication)

    return replace


@pytest.fixture
def text(publish: Callable[[bytes], None], put: Put, bare_machine: Path) -> bytes:
    publish(other_text())
    put(bare_machine / "data" / "tiny-shakespeare", {shakespeare.FILE: other_text()})
    return other_text()


@pytest.fixture
def play(publish: Callable[[bytes], None], put: Put, bare_machine: Path) -> bytes:
    publish(other_play())
    put(bare_machine / "data" / "tiny-shakespeare", {shakespeare.FILE: other_play()})
    return other_play()


@pytest.fixture
def real(given_data: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if not given_data or not (Path(given_data) / "tiny-shakespeare").is_dir():
        pytest.skip("needs the real file: set BOLTBENCH_DATA to the folder that holds tiny-shakespeare/")
    monkeypatch.setenv("BOLTBENCH_DATA", given_data)
    warnings.simplefilter("error")


def decode(tokens: torch.Tensor) -> str:
    return "".join(shakespeare.CHARACTERS[token] for token in tokens.tolist())


def test_the_parts_are_nine_tenths_and_two_halves_of_the_last() -> None:
    assert PARTS["train"] == int(0.9 * TEXT_LENGTH)
    assert sum(PARTS.values()) == TEXT_LENGTH
    assert PARTS["val"] == PARTS["test"]


def test_a_window_and_its_answers_are_neighbours_in_the_text(text: bytes) -> None:
    splits = ShakespeareChar().load()
    for name, start, step in (("train", 0, 1), ("val", PARTS["train"], 64), ("test", PARTS["train"] + 55770, 64)):
        split = splits.by_name[name]  # type: ignore[index]  # a literal of the tuple above
        for row in (0, 1, 777, len(split) - 1):
            place = start + row * step
            assert decode(split.inputs[row]) == text[place : place + 64].decode()
            assert decode(split.targets[row]) == text[place + 1 : place + 65].decode()


@pytest.mark.usefixtures("text")
@pytest.mark.parametrize("block_length", [1, 64, 100])
def test_sizes_and_shapes_are_the_cards(block_length: int) -> None:
    task = ShakespeareChar(block_length=block_length)
    for name, split in task.load().by_name.items():
        assert len(split) == task.card().split_sizes[name]
        assert split.inputs.shape == split.targets.shape == (len(split), block_length)
    assert task.card().split_sizes["train"] == PARTS["train"] - block_length
    assert task.card().output_shape == (block_length, 65)


@pytest.mark.usefixtures("text")
def test_a_million_windows_take_the_memory_of_one_text_also_on_the_device() -> None:
    splits = ShakespeareChar().load(("train",))
    check_finite(splits)
    resident = ResidentSplit.place(splits["train"], splits, torch.device("cpu"))
    assert resident.inputs.untyped_storage().nbytes() <= PARTS["train"]
    assert resident.targets.untyped_storage().nbytes() <= 8 * PARTS["train"]
    assert len(resident) > 10**6
    rows = torch.tensor([5, 999999, 5])
    batch = resident.gather(rows)
    assert batch.inputs.dtype == batch.targets.dtype == torch.int64
    assert batch.inputs.is_contiguous()
    for row, index in enumerate(rows.tolist()):
        assert torch.equal(batch.inputs[row], splits["train"].inputs[index].long())
        assert torch.equal(batch.targets[row], splits["train"].targets[index])


@pytest.mark.usefixtures("text")
def test_the_published_split_validates_on_the_whole_last_tenth_and_has_no_test() -> None:
    task = ShakespeareChar(published_split=True)
    splits = task.load()
    assert task.card().split_sizes == {"train": 1003790, "val": 1742, "test": 0}
    assert {name: len(split) for name, split in splits.by_name.items()} == task.card().split_sizes
    assert splits["test"].inputs.shape == (0, 64)
    assert torch.equal(splits["val"].inputs[:871], ShakespeareChar().load(("val",))["val"].inputs)


@pytest.mark.parametrize("cls", [ShakespeareChar, ShakespeareSpeaker])
def test_the_digest_follows_the_settings_and_is_that_of_the_data(
    cls: type[Task], publish: Callable[[bytes], None], put: Put, bare_machine: Path
) -> None:
    content = other_text() if cls is ShakespeareChar else other_play()
    publish(content)
    put(bare_machine / "data" / "tiny-shakespeare", {shakespeare.FILE: content})
    setting = "block_length" if cls is ShakespeareChar else "max_length"
    other = cls(**{setting: 16})
    assert cls().check_data() == cls().card().sha256 != other.card().sha256 == other.check_data()


@pytest.mark.parametrize("cls", [ShakespeareChar, ShakespeareSpeaker])
def test_missing_data_is_an_error_that_names_a_task_which_fetches_it(cls: type[Task]) -> None:
    with pytest.raises(DataMissingError, match=r"'tiny-shakespeare'.*BOLTBENCH_DATA.*data fetch shakespeare-char`"):
        cls().load(("train",))


@pytest.mark.usefixtures("text")
def test_a_damaged_text_is_an_error_with_both_digests(bare_machine: Path) -> None:
    path = bare_machine / "data" / "tiny-shakespeare" / shakespeare.FILE
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(UserError, match=r"must have|must hold content with sha256 .* Remove it and run"):
        ShakespeareChar().load(("train",))


def test_the_file_is_fetched_uncompressed_and_serves_both_tasks(
    publish: Callable[[bytes], None], put: Put, mirror: tuple[Path, list[str]]
) -> None:
    root, requested = mirror
    publish(other_play())
    put(root / "tiny-shakespeare", {shakespeare.FILE: other_play()})
    assert "fetched 1 of 1 files" in ShakespeareSpeaker().fetch()
    assert requested == ["/tiny-shakespeare/input.txt"]
    assert "nothing to fetch" in ShakespeareChar().fetch()
    assert (cache_dir() / "tiny-shakespeare" / shakespeare.FILE).read_bytes() == other_play()


def test_lines_go_with_their_speech_into_the_split_of_its_stretch(play: bytes) -> None:
    lines = spoken_lines(play.decode())
    for name, found in lines.items():
        words = [line for _, line in found if line.startswith("Words")]
        numbers = [int(line.split()[-1].rstrip(".")) for line in words]
        assert numbers == sorted(numbers)
        assert {split_of(number) for number in numbers} == {name}
        assert [speaker for speaker, _ in found] == [SPEAKERS[n % 11 - 1] for n in numbers for _ in range(2)]
    assert sum(map(len, lines.values())) == 2 * sum(number % 11 > 0 for number in range(600))


def test_a_stretch_is_never_cut_and_seven_of_ten_are_for_training() -> None:
    stretches = [{split_of(STRETCH * stretch + speech) for speech in range(STRETCH)} for stretch in range(10)]
    assert all(len(splits) == 1 for splits in stretches)
    names = [next(iter(splits)) for splits in stretches]
    assert (names.count("train"), names.count("val"), names.count("test")) == (7, 1, 2)


@pytest.mark.usefixtures("play")
def test_a_line_stands_at_the_right_end_as_far_as_it_is_kept() -> None:
    inputs = ShakespeareSpeaker().load(("train",))["train"].inputs
    assert decode(inputs[1][-9:] - 1) == "And more."
    assert inputs[1][:-9].tolist() == [0] * 55
    short = ShakespeareSpeaker(max_length=5).load(("train",))["train"]
    assert decode(short.inputs[0] - 1) == "Words"
    assert SPEAKERS[int(short.targets[0])] == SPEAKERS[0]


@pytest.mark.usefixtures("real")
def test_the_real_text_has_its_digest_characters_and_floors() -> None:
    assert ShakespeareChar().check_data() == ShakespeareChar().card().sha256
    text = shakespeare.read().decode("ascii")
    assert "".join(sorted(set(text))) == shakespeare.CHARACTERS
    tokens = torch.from_numpy(shakespeare.encode(text.encode())).long()
    kept = shakespeare.without_held_out_speeches(text[: PARTS["train"]].encode())
    assert len(kept) == KEPT
    for leaves_out, train in ((False, tokens[: PARTS["train"]]), (True, torch.tensor(shakespeare.encode(kept)).long())):
        frequencies = torch.bincount(train).double() / len(train)
        for is_published, start in ((False, PARTS["train"] + PARTS["val"]), (True, PARTS["train"])):
            floor = -float(frequencies.log()[tokens[start:]].mean())
            task = ShakespeareChar(published_split=is_published, without_held_out_speeches=leaves_out)
            assert task.card().floor == pytest.approx(floor, abs=1e-12)


@pytest.mark.usefixtures("real")
def test_the_model_of_characters_may_leave_out_every_line_that_the_speakers_hold_out() -> None:
    splits = ShakespeareChar(without_held_out_speeches=True).load(("train",))
    assert len(splits["train"]) == ShakespeareChar(without_held_out_speeches=True).card().split_sizes["train"]
    windows = splits["train"].inputs
    text = "".join(shakespeare.CHARACTERS[token] for token in windows[::64].flatten().tolist())
    lines = spoken_lines(shakespeare.read().decode())
    held_out = {line for name in ("val", "test") for _, line in lines[name]} - {line for _, line in lines["train"]}
    long_lines = [line for line in held_out if len(line) > 30]
    assert len(long_lines) > 1000
    # One of them is said elsewhere too, by a character whose lines nobody holds out.
    assert [line for line in long_lines if line in text] == ["And I am ready to put armour on."]
    assert any(line in text for _, line in lines["train"] if len(line) > 30)


@pytest.mark.usefixtures("real")
def test_the_real_speakers_are_those_with_the_most_lines_and_all_are_in_every_split() -> None:
    splits, card = ShakespeareSpeaker().load(), ShakespeareSpeaker().card()
    assert splits.digest() == "773476124fb3f0ca789348d8a4c8c31983ae5f43254fdf559a3f1bfe46cc531b"
    counts = {name: torch.bincount(split.targets, minlength=10) for name, split in splits.by_name.items()}
    assert {name: int(count.sum()) for name, count in counts.items()} == card.split_sizes
    assert min(int(count.min()) for count in counts.values()) >= 20
    assert card.floor == float(counts["test"].max()) / card.split_sizes["test"]
    lines: dict[str, int] = {}
    for speech in shakespeare.read().decode().strip().split("\n\n"):
        speaker, *spoken = speech.lstrip("\n").split("\n")
        lines[speaker] = lines.get(speaker, 0) + len(spoken)
        assert speaker[:-1] not in SPEAKERS or all(len(line) <= 61 for line in spoken)
    assert tuple(name[:-1] for name in sorted(lines, key=lines.__getitem__, reverse=True)[:10]) == SPEAKERS
