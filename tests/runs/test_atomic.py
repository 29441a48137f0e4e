import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.atomic import WriteError, sha256_of, write_bytes, write_text


@given(content=st.binary(max_size=3000))
def test_what_is_written_is_read_back_with_its_sha256(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "content"
    assert write_bytes(path, content) == hashlib.sha256(content).hexdigest() == sha256_of(path)
    assert path.read_bytes() == content


def test_text_is_utf8_and_the_file_is_for_everyone_to_read(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "Größe")
    assert (tmp_path / "text").read_bytes() == "Größe".encode()
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o644


def test_a_second_write_replaces_the_first_and_leaves_one_file(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "long" * 1000)
    write_text(tmp_path / "text", "short")
    assert (tmp_path / "text").read_text() == "short"
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_reader_never_sees_half_of_a_write(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "a" * 100_000)
    with path.open("rb") as before:
        write_text(path, "b" * 100_000)
        assert set(before.read()) == {ord("a")}
    assert set(path.read_bytes()) == {ord("b")}


def test_a_write_into_a_missing_folder_is_an_error_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file") as caught:
        write_text(tmp_path / "absent" / "text", "x")
    assert caught.value.filename == str(tmp_path / "absent" / "text")
    assert list(tmp_path.iterdir()) == []


def test_a_write_over_a_folder_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError, match="name"):
        write_text(tmp_path / "name", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_a_full_disk_is_an_error_that_leaves_the_old_file(tmp_path: Path) -> None:
    import resource
    import signal

    path = tmp_path / "text"
    write_text(path, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_bytes(path, os.urandom(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["text"]
