"""The user's own images: both label rules, every fault named, the cache trusted only while nothing changed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from suite.cli import main
from suite.errors import UserError
from suite.task import SPLIT_NAMES, SplitName
from tasks import image_folder
from tasks.image_folder import ImageFolder
from tasks.sources import arrays
from tasks.sources.folder import scan
from tasks.sources.places import cache_dir

COLOURS = {"cat": (200, 30, 10), "dog": (10, 60, 220)}


@pytest.fixture
def by_folder(tmp_path: Path) -> Path:
    root = tmp_path / "by folder"
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (20 + number, 30), colour).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def by_name(tmp_path: Path) -> Path:
    root = tmp_path / "by name"
    root.mkdir()
    for name, colour in COLOURS.items():
        for number in range(10):
            Image.new("RGB", (20, 30 + number), colour).save(root / f"{name}.{number}.png")
    return root


def test_both_label_rules_give_the_classes_and_the_pixels(by_folder: Path, by_name: Path) -> None:
    for task in (
        ImageFolder(folder=str(by_folder), image_size=8),
        ImageFolder(folder=str(by_name), image_size=8, labels="file-names"),
    ):
        card, splits = task.card(), task.load()
        assert card.class_names == ("cat", "dog")
        assert card.input_shape == (3, 8, 8)
        assert {name: len(split) for name, split in splits.by_name.items()} == card.split_sizes
        assert card.split_sizes == {"train": 16, "val": 2, "test": 2}
        assert card.floor == 0.5
        for split in splits.by_name.values():
            assert split.inputs.dtype == torch.uint8
            for image, target in zip(split.inputs, split.targets, strict=True):
                assert image.unique(dim=1).shape[1] == 1
                assert tuple(image[:, 0, 0].tolist()) == COLOURS[card.class_names[target]]
        assert task.check_data() == card.sha256


def test_grey_is_one_channel(by_folder: Path) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=4, channels=1)
    assert task.load(("train",))["train"].inputs.shape == (16, 1, 4, 4) == (16, *task.card().input_shape)


def test_resizing_averages_instead_of_picking_pixels(by_folder: Path) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    for number in range(10):
        Image.fromarray(stripes).save(by_folder / "cat" / f"{number}.png")
    splits = ImageFolder(folder=str(by_folder), image_size=8).load(("train",))
    cats = splits["train"].inputs[splits["train"].targets == 0]
    assert cats.float().std() < 5
    assert 120 < cats.float().mean() < 135


def test_exif_orientation_is_obeyed(by_folder: Path) -> None:
    left_white = np.zeros((40, 40, 3), dtype=np.uint8)
    left_white[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to show
    for number in range(10):
        (by_folder / "cat" / f"{number}.png").unlink()
        Image.fromarray(left_white).save(by_folder / "cat" / f"{number}.jpg", exif=exif, quality=95)
    splits = ImageFolder(folder=str(by_folder), image_size=8).load(("train",))
    cat = splits["train"].inputs[splits["train"].targets == 0][0].float()
    assert cat[:, :3].mean() > 240
    assert cat[:, 5:].mean() < 15


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_of_8_bits_becomes_colour(by_folder: Path, mode: str) -> None:
    suffix = "tiff" if mode == "CMYK" else "png"
    Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(by_folder / "cat" / f"odd.{suffix}")
    inputs = torch.cat([split.inputs for split in ImageFolder(folder=str(by_folder)).load().by_name.values()])
    assert int((inputs == 255).all(dim=3).all(dim=2).all(dim=1).sum()) == 1


def test_files_that_are_no_sound_images_are_named_and_counted(by_folder: Path) -> None:
    (by_folder / "cat" / "notes.txt").write_text("not an image")
    Image.fromarray(np.zeros((4, 4), dtype=np.uint16)).save(by_folder / "cat" / "deep.png")
    whole = (by_folder / "dog" / "3.png").read_bytes()
    (by_folder / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"3 of 22 .* are not") as caught:
        ImageFolder(folder=str(by_folder)).load()
    for name in ("cat/notes.txt", "cat/deep.png", "dog/3.png"):
        assert name in str(caught.value)
    assert not list(cache_dir().rglob("*.npz"))


def test_values_that_are_no_numbers_never_come_in(by_folder: Path) -> None:
    Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32)).save(by_folder / "cat" / "float.tiff")
    with pytest.raises(UserError, match=r"cat/float\.tiff \(mode F is not supported\)"):
        ImageFolder(folder=str(by_folder)).load()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_only_the_images_that_were_asked_for_are_decoded(by_folder: Path, split: SplitName) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    listing = scan(str(by_folder), "folders")
    damaged = listing.files[listing.splits()[split][0]].path
    (by_folder / damaged).write_bytes(b"no image")
    others = [name for name in SPLIT_NAMES if name != split]
    if split != "train":
        assert set(task.load(others).by_name) == set(others)
        for name in others:
            task.check_split(name)
    with pytest.raises(UserError, match=damaged):
        task.load((split,))
    with pytest.raises(UserError, match=damaged):
        task.check_split(split)


def test_a_damaged_test_image_is_found_before_a_run_begins(
    by_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(by_folder.parent)
    listing = scan(str(by_folder), "folders")
    damaged = listing.files[listing.splits()["test"][0]].path
    (by_folder / damaged).write_bytes(b"no image")
    assert main(["run", "image-folder", "linear", "--task.folder", by_folder.name]) == 2
    assert damaged in capsys.readouterr().err
    assert not (by_folder.parent / "runs").exists()


def test_what_is_no_file_is_named(by_folder: Path) -> None:
    (by_folder / "cat" / "gone.png").symlink_to(by_folder / "nowhere.png")
    os.mkfifo(by_folder / "dog" / "pipe.png")
    with pytest.raises(UserError, match=r"2 in .* are not") as caught:
        ImageFolder(folder=str(by_folder)).card()
    assert "cat/gone.png (a link to nothing)" in str(caught.value)
    assert "dog/pipe.png (no regular file)" in str(caught.value)


def test_a_class_without_images_is_an_error(by_folder: Path) -> None:
    (by_folder / "bird").mkdir()
    with pytest.raises(UserError, match=r"at least 7 images.*too few in bird \(0\)"):
        ImageFolder(folder=str(by_folder)).card()


def test_no_more_than_ten_files_are_named(by_folder: Path) -> None:
    for number in range(15):
        (by_folder / "cat" / f"broken{number:02}.jpg").write_bytes(b"no")
    with pytest.raises(UserError, match=r"15 of 35") as caught:
        ImageFolder(folder=str(by_folder)).load()
    assert str(caught.value).count("broken") == 10


def test_wrong_folders_are_errors(by_folder: Path, by_name: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--task\.folder"):
        ImageFolder().card()
    with pytest.raises(UserError, match="nowhere"):
        ImageFolder(folder=str(tmp_path / "nowhere")).load()
    with pytest.raises(UserError, match=r"20 files lie .*cat\.0\.png.*file-names"):
        ImageFolder(folder=str(by_name)).card()
    with pytest.raises(UserError, match=r"at least 7 images.*0 \(2\)"):
        ImageFolder(folder=str(by_folder), labels="file-names").card()
    shutil.rmtree(by_folder / "dog")
    with pytest.raises(UserError, match=r"at least 2 classes.*\['cat'\]"):
        ImageFolder(folder=str(by_folder)).card()


def test_a_ring_of_links_is_an_error(by_folder: Path) -> None:
    (by_folder / "cat" / "loop").symlink_to(by_folder)
    with pytest.raises(UserError, match="linked twice"):
        ImageFolder(folder=str(by_folder)).card()


def test_more_than_fits_in_memory_is_an_error_with_the_way_out(
    by_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_folder, "MAX_BYTES", 20 * 3 * 64 * 64 - 1)
    with pytest.raises(UserError, match=r"Use a smaller task\.image_size"):
        ImageFolder(folder=str(by_folder)).load()
    monkeypatch.setattr(image_folder, "MAX_BYTES", 20 * 3 * 64 * 64)
    assert len(ImageFolder(folder=str(by_folder)).load(("val",))["val"]) == 2


def test_a_second_load_comes_from_the_cache_and_is_equal(by_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    first = task.load().digest()
    monkeypatch.setattr(Image, "open", None)
    assert task.load().digest() == first


def test_the_cache_of_the_test_split_is_not_read_for_train_and_val(
    by_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    task.load()
    read: list[Path] = []
    real = arrays.load_for
    monkeypatch.setattr(arrays, "load_for", lambda key, path, name: read.append(path) or real(key, path, name))
    task.load(("test",))
    with_test = set(read)
    read.clear()
    assert set(task.load(("train", "val")).by_name) == {"train", "val"}
    assert len(set(read)) == 2
    assert len(with_test - set(read)) == 1


def test_a_changed_image_changes_pixels_and_digest(by_folder: Path) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    before, digest = task.load().digest(), task.card().sha256
    Image.new("RGB", (20, 30), (0, 0, 0)).save(by_folder / "cat" / "0.png")
    os.utime(by_folder / "cat" / "0.png", (1, 1))
    assert task.load().digest() != before
    assert task.card().sha256 != digest
    assert task.check_data() == task.card().sha256


def test_content_changed_behind_the_same_size_and_time_is_found_by_the_check(by_folder: Path) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    path = by_folder / "cat" / "0.png"
    digest, status = task.card().sha256, path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert task.card().sha256 == digest
    with pytest.raises(UserError, match=f"must have sha256 {digest}"):
        task.check_data()


def test_a_damaged_cache_is_made_anew_and_said_so(by_folder: Path) -> None:
    task = ImageFolder(folder=str(by_folder), image_size=8)
    first = task.load().digest()
    for path in cache_dir().rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(UserWarning, match="is damaged"):
        assert task.load().digest() == first
    assert task.load().digest() == first


def test_the_same_images_elsewhere_have_the_same_digest_and_splits(by_folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    by_folder_card = ImageFolder(folder=str(by_folder)).card()
    digest = ImageFolder(folder=str(by_folder)).load().digest()
    by_folder.rename(elsewhere)
    assert ImageFolder(folder=str(elsewhere)).card().sha256 == by_folder_card.sha256
    assert ImageFolder(folder=str(elsewhere)).load().digest() == digest


def test_a_cache_that_cannot_be_written_costs_a_warning(by_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = by_folder.parent / "a file"
    blocked.write_text("")
    monkeypatch.setenv("BOLTBENCH_CACHE", str(blocked))
    with pytest.warns(UserWarning, match=r"cannot be written .* BOLTBENCH_CACHE"):
        assert len(ImageFolder(folder=str(by_folder), image_size=8).load(("val",))["val"]) == 2
