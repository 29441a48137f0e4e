"""Fetching: over loopback, only what is missing, and nothing kept that fails its check."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.errors import DataMissingError, UserError
from tasks.sources.places import cache_dir

Put = Callable[..., Path]
Mirror = tuple[Path, list[str]]


def kept() -> set[str]:
    folder = cache_dir() / "tiny"
    return {path.name for path in folder.rglob("*")} if folder.exists() else set()


def archive_of(contents: dict[str, bytes], *, folder: str = "cifar-10-batches-bin") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_what_is_fetched_is_loaded_without_the_network(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, requested = mirror
    put(root / "tiny", idx_contents, gz=True)
    assert "fetched 4 of 4 files" in idx_task().fetch()
    assert sorted(requested) == sorted(f"/tiny/{name}.gz" for name in idx_contents)
    monkeypatch.delenv("BOLTBENCH_MIRROR")
    assert idx_task().check_data() == idx_task().card().sha256
    assert len(requested) == 4
    assert kept() == set(idx_contents)


def test_only_what_is_missing_is_fetched(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, mirror: Mirror, bare_machine: Path
) -> None:
    root, requested = mirror
    put(root / "tiny", idx_contents, gz=True)
    put(bare_machine / "data" / "tiny", idx_contents)
    assert "nothing to fetch" in idx_task().fetch()
    assert requested == []
    (bare_machine / "data" / "tiny" / "t10k-labels-idx1-ubyte").unlink()
    assert "fetched 1 of 4 files" in idx_task().fetch()
    assert requested == ["/tiny/t10k-labels-idx1-ubyte.gz"]


def test_a_damaged_file_in_the_cache_is_replaced(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, mirror: Mirror
) -> None:
    root, _ = mirror
    put(root / "tiny", idx_contents, gz=True)
    put(cache_dir() / "tiny", {**idx_contents, "train-labels-idx1-ubyte": b"damaged"})
    assert "fetched 1 of 4 files" in idx_task().fetch()
    assert (cache_dir() / "tiny" / "train-labels-idx1-ubyte").read_bytes() == idx_contents["train-labels-idx1-ubyte"]


@pytest.mark.parametrize("served", [gzip.compress(b"something else", mtime=0), b"<html>no gzip</html>"])
def test_a_wrong_file_is_refused_and_nothing_is_left(
    idx_task: Any, idx_contents: dict[str, bytes], put: Put, mirror: Mirror, served: bytes
) -> None:
    root, _ = mirror
    folder = put(root / "tiny", idx_contents, gz=True)
    first = next(iter(idx_contents))
    (folder / f"{first}.gz").write_bytes(served)
    with pytest.raises(UserError, match=f"{first}.*{idx_task.publication.files[first]}.*refused"):
        idx_task().fetch()
    assert kept() == set()


@pytest.mark.usefixtures("mirror")
def test_a_mirror_without_the_file_is_an_error_with_its_address_and_the_ways(idx_task: Any) -> None:
    with pytest.raises(DataMissingError, match=r"127\.0\.0\.1.*/tiny/train-images-idx3-ubyte\.gz.*404.*BOLTBENCH_DATA"):
        idx_task().fetch()
    assert kept() == set()


@pytest.fixture
def packed_task(cifar_task: Callable[..., Any], cifar_contents: dict[str, bytes]) -> tuple[Any, bytes]:
    packed = archive_of(cifar_contents)
    task = cifar_task(
        archive="tiny.tar.gz", archive_sha256=hashlib.sha256(packed).hexdigest(), subfolder="cifar-10-batches-bin"
    )
    return task, packed


def test_an_archive_is_fetched_and_its_files_are_taken_out(
    packed_task: tuple[Any, bytes], cifar_contents: dict[str, bytes], put: Put, mirror: Mirror
) -> None:
    task, packed = packed_task
    put(mirror[0] / "tiny", {"tiny.tar.gz": packed})
    assert "fetched 6 of 6 files" in task().fetch()
    assert kept() == set(cifar_contents)
    assert task().check_data() == task().card().sha256


def test_an_archive_that_lies_in_a_data_folder_is_used_without_a_download(
    packed_task: tuple[Any, bytes], put: Put, bare_machine: Path
) -> None:
    task, packed = packed_task
    put(bare_machine / "data" / "tiny", {"tiny.tar.gz": packed})
    assert "fetched 6 of 6 files" in task().fetch()  # its official address is a closed port
    assert len(task().load(("test",))["test"]) == 20


def test_an_archive_with_another_digest_is_refused_unopened(
    packed_task: tuple[Any, bytes], cifar_contents: dict[str, bytes], put: Put, mirror: Mirror
) -> None:
    task, _ = packed_task
    other = archive_of(cifar_contents, folder="../../outside")
    put(mirror[0] / "tiny", {"tiny.tar.gz": other})
    found = hashlib.sha256(other).hexdigest()
    with pytest.raises(UserError, match=f"{task.publication.archive_sha256}.*{found}"):
        task().fetch()
    assert kept() == set()


def test_paths_in_an_archive_never_reach_the_file_system(
    cifar_task: Callable[..., Any], cifar_contents: dict[str, bytes], put: Put, mirror: Mirror, tmp_path: Path
) -> None:
    packed = archive_of({**cifar_contents, "evil.txt": b"evil"}, folder="../../../outside")
    put(mirror[0] / "tiny", {"tiny.tar.gz": packed})
    task = cifar_task(archive="tiny.tar.gz", archive_sha256=hashlib.sha256(packed).hexdigest())
    task().fetch()
    assert kept() == set(cifar_contents)
    assert not list(tmp_path.rglob("outside"))
    assert not list(tmp_path.rglob("evil.txt"))


def test_an_archive_that_lacks_a_file_is_an_error_naming_it(
    cifar_task: Callable[..., Any], cifar_contents: dict[str, bytes], put: Put, mirror: Mirror
) -> None:
    packed = archive_of({name: content for name, content in cifar_contents.items() if name != "test_batch.bin"})
    put(mirror[0] / "tiny", {"tiny.tar.gz": packed})
    task = cifar_task(archive="tiny.tar.gz", archive_sha256=hashlib.sha256(packed).hexdigest())
    with pytest.raises(UserError, match=r"test_batch\.bin"):
        task().fetch()
    assert "test_batch.bin" not in kept()
