"""Tasks over published files: found, checked, split, and nothing read that was not asked for."""

import dataclasses
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suite.cli import main
from suite.errors import DataMissingError, UserError
from suite.task import TASKS
from tasks.sources import cifar, files, idx

Put = Callable[..., Path]


def test_idx_decodes_a_file_written_by_hand() -> None:
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert idx.decode(content, "file").tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("content", "law"),
    [
        (b"", "magic bytes"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]), "magic bytes"),
        (bytes([0, 0, 8, 3, 0, 0]), "header of 16 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2]), r"hold \(3,\) bytes .* holds 2"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), r"hold \(1,\) bytes .* holds 2"),
    ],
)
def test_idx_that_breaks_its_format_is_an_error_naming_the_file(content: bytes, law: str) -> None:
    with pytest.raises(UserError, match=f"'some-file' .*{law}"):
        idx.decode(content, "some-file")


def test_cifar_decodes_label_and_planes_of_each_record() -> None:
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3]) * 1024
    images, labels = cifar.decode(record * 2, "file")
    assert labels.tolist() == [7, 7]
    assert images.shape == (2, 3, 32, 32)
    assert [set(images[0, channel].flat) for channel in range(3)] == [{1}, {2}, {3}]


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3074), bytes([10]) + bytes(3072)])
def test_cifar_that_breaks_its_format_is_an_error_naming_the_file(content: bytes) -> None:
    with pytest.raises(UserError, match="some-file"):
        cifar.decode(content, "some-file")


@pytest.mark.parametrize("gz", [False, True])
def test_files_are_found_compressed_or_not(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, gz: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "given" / "tiny", idx_contents, gz=gz)
    monkeypatch.setenv("BOLTBENCH_DATA", str(tmp_path / "given"))
    splits = idx_task().load()
    assert {name: len(split) for name, split in splits.by_name.items()} == {"train": 50, "val": 10, "test": 20}
    images = idx.decode(idx_contents["t10k-images-idx3-ubyte"], "t10k")
    assert np.array_equal(splits["test"].inputs[:, 0].numpy(), images)
    assert splits["test"].targets.dtype == torch.int64


@pytest.mark.parametrize("place", ["given/tiny", "given", "work/data/tiny", "installed", "cache/tiny"])
def test_every_documented_place_is_looked_at(
    place: str, idx_task: Any, idx_contents: dict[str, bytes], put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given").mkdir()
    monkeypatch.setenv("BOLTBENCH_DATA", str(tmp_path / "given"))
    installed = dataclasses.replace(idx_task.publication, installed=str(tmp_path / "installed"))
    monkeypatch.setattr(idx_task, "publication", installed)
    with pytest.raises(DataMissingError):
        idx_task().load()
    put(tmp_path / place, idx_contents)
    assert len(idx_task().load(("val",))["val"]) == 10


def test_missing_data_is_an_error_that_names_the_ways_to_get_it() -> None:
    task = TASKS.get("fashion-mnist")
    nowhere = dataclasses.replace(task.publication, installed="")  # type: ignore[attr-defined]  # a file task's own
    with pytest.raises(DataMissingError) as caught:
        files.read(nowhere, "train-images-idx3-ubyte")
    for way in ("BOLTBENCH_DATA", "dataset-fashion-mnist", "boltbench data fetch fashion-mnist"):
        assert way in str(caught.value)


def test_a_folder_that_is_not_there_in_boltbench_data_is_an_error(
    idx_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOLTBENCH_DATA", "/nowhere/at/all")
    with pytest.raises(UserError, match="BOLTBENCH_DATA must name a folder that exists, but got '/nowhere/at/all'"):
        idx_task().load()


def test_a_damaged_file_is_named_with_both_digests(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path
) -> None:
    folder = put(bare_machine / "data" / "tiny", idx_contents)
    file = folder / "train-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    expected, found = idx_task.publication.files[file.name], hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match=f"{file.name}.*{expected}.*{found}"):
        idx_task().load(("train",))


@pytest.mark.parametrize("cut", [10, 200])
def test_a_cut_gzip_file_is_named(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path, cut: int
) -> None:
    folder = put(bare_machine / "data" / "tiny", idx_contents, gz=True)
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz.*no whole gzip file"):
        idx_task().load(("train",))


def test_a_good_copy_behind_a_damaged_one_is_used_and_said_so(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path, tmp_path: Path
) -> None:
    put(bare_machine / "data" / "tiny", {**idx_contents, "t10k-labels-idx1-ubyte": b"other"})
    put(tmp_path / "cache" / "tiny", idx_contents)
    with pytest.warns(UserWarning, match="t10k-labels-idx1-ubyte.* must hold .* is used instead"):
        assert len(idx_task().load(("test",))["test"]) == 20


def test_test_files_are_not_opened_for_train_and_val(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path
) -> None:
    training = {name: content for name, content in idx_contents.items() if name.startswith("train")}
    put(bare_machine / "data" / "tiny", training)
    assert set(idx_task().load(("train", "val")).by_name) == {"train", "val"}
    with pytest.raises(DataMissingError, match="t10k-images"):
        idx_task().load(("test",))


@pytest.mark.parametrize("content", [None, b"other"])
def test_a_test_file_that_is_missing_or_damaged_is_found_before_a_run_begins(
    idx_task: Any,
    idx_contents: dict[str, bytes],
    put: Put,
    bare_machine: Path,
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(bare_machine / "data" / "tiny", idx_contents)
    path = bare_machine / "data" / "tiny" / "t10k-labels-idx1-ubyte"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    TASKS.add(idx_task)
    try:
        assert main(["run", "tiny", "linear"]) == 2
    finally:
        TASKS.remove("tiny")
    said = capsys.readouterr().err
    assert "t10k-labels-idx1-ubyte" in said
    assert "boltbench data fetch tiny" in said
    assert not (bare_machine / "runs").exists()


def test_the_floor_is_the_share_of_the_most_frequent_class_where_classes_differ_in_size(idx_task: Any) -> None:
    """MNIST's test part has 980, 1135, 1032, 1010, 982, 892, 958, 1028, 974 and 1009 digits from 0 to 9."""
    assert TASKS.get("mnist")().card().floor == 1135 / 10_000
    assert "most frequent" in TASKS.get("mnist")().card().floor_reason
    assert idx_task().card().floor == 0.1
    assert "equally frequent" in idx_task().card().floor_reason


def test_full_train_is_the_published_train_in_its_order_with_an_empty_val(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path
) -> None:
    put(bare_machine / "data" / "tiny", idx_contents)
    task = idx_task(full_train=True)
    splits = task.load()
    assert {name: len(split) for name, split in splits.by_name.items()} == task.card().split_sizes
    assert task.card().split_sizes == {"train": 60, "val": 0, "test": 20}
    published = idx.decode(idx_contents["train-images-idx3-ubyte"], "train")
    assert np.array_equal(splits["train"].inputs[:, 0].numpy(), published)
    pixels = splits["train"].inputs.double()
    assert torch.equal(splits.mean, pixels.mean().float().reshape(1, 1, 1))


def test_val_has_every_class_in_proportion_and_figures_come_from_what_is_left(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path
) -> None:
    put(bare_machine / "data" / "tiny", idx_contents)
    splits = idx_task().load()
    assert torch.bincount(splits["val"].targets).tolist() == [1] * 10
    assert torch.bincount(splits["train"].targets).tolist() == [5] * 10
    assert torch.equal(splits.mean, splits["train"].inputs.double().mean().float().reshape(1, 1, 1))


def test_the_card_knows_its_digest_without_data_and_sound_data_has_it(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path
) -> None:
    cards = [idx_task(full_train=full_train).card().sha256 for full_train in (False, True)]
    assert cards[0] != cards[1]
    put(bare_machine / "data" / "tiny", idx_contents)
    assert [idx_task(full_train=full_train).check_data() for full_train in (False, True)] == cards


def test_files_with_other_counts_than_the_card_says_are_an_error(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bare_machine / "data" / "tiny", idx_contents)
    monkeypatch.setattr(idx_task, "num_train", 61)
    with pytest.raises(UserError, match=r"shape \(61, 1, 4, 5\).*shape \(60, 1, 4, 5\)"):
        idx_task().load(("train",))


@pytest.mark.parametrize("place", ["data/tiny", "data/tiny/cifar-10-batches-bin"])
def test_cifar_is_read_in_the_order_of_its_files(
    cifar_task: Callable[..., Any], cifar_contents: dict[str, bytes], put: Put, bare_machine: Path, place: str
) -> None:
    put(bare_machine / place, cifar_contents)
    splits = cifar_task(subfolder="cifar-10-batches-bin")(full_train=True).load()
    batches = [cifar.decode(content, name) for name, content in cifar_contents.items()]
    assert np.array_equal(splits["train"].inputs.numpy(), np.concatenate([images for images, _ in batches[:5]]))
    assert np.array_equal(splits["test"].targets.numpy(), batches[5][1])
    assert splits.mean.shape == splits.std.shape == (3, 1, 1)
    pixels = splits["train"].inputs.double()
    assert torch.equal(splits.mean.flatten(), pixels.mean(dim=(0, 2, 3)).float())
    assert torch.allclose(splits.std.flatten(), pixels.std(dim=(0, 2, 3), correction=0).float(), rtol=1e-6)


def test_real_fashion_mnist_has_its_digests(given_data: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if not given_data:
        pytest.skip("needs the real files: set BOLTBENCH_DATA to the folder that holds fashion-mnist/")
    monkeypatch.setenv("BOLTBENCH_DATA", given_data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = TASKS.get("fashion-mnist")().load()
    assert splits.digest() == "b30d4a26f94341f3544f83579a6abcf7f9e09eb056e5cf771bc4074ef3b7eba4"
    assert torch.bincount(splits["val"].targets).tolist() == [500] * 10
    full = TASKS.get("fashion-mnist")(full_train=True).load(("train",))  # type: ignore[call-arg]  # a file task's own
    # 0.2860 and 0.3530 are the figures that everybody normalises with.
    assert round(full.mean.item() / 255, 4) == 0.2860
    assert round(full.std.item() / 255, 4) == 0.3530
