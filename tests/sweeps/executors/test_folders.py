from pathlib import Path

import pytest

from sweeps.executors.folders import pack, unpack


def test_a_folder_arrives_with_every_file_but_the_hidden_ones(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "checkpoints").mkdir(parents=True)
    (here / "result.json").write_text("{}")
    (here / "checkpoints" / "weights.bin").write_bytes(b"\0\1\2")
    (here / ".lock").write_text("process 1")
    (here / "checkpoints" / ".half.tmp").write_bytes(b"ha")
    files = pack(here)
    assert files == {"checkpoints/weights.bin": b"\0\1\2", "result.json": b"{}"}
    unpack(there, files)
    assert pack(there) == files


def test_what_was_there_before_gives_way(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-1.ckpt").write_text("of an earlier attempt")
    (tmp_path / "tuning.json").write_text("a note")
    (tmp_path / "result.json").write_text("interrupted")
    (tmp_path / ".lock").write_text("held")
    unpack(tmp_path, {"new.txt": b"new", "checkpoints/step-2.ckpt": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "checkpoints", "new.txt", "tuning.json"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-2.ckpt"]


def test_the_proof_that_a_folder_is_complete_goes_first_and_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result.json").write_text("earlier")
    seen = []

    def watch(self: Path, target: Path) -> None:
        seen.append((target.name, (tmp_path / "result.json").exists()))
        rename(self, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", watch)
    unpack(tmp_path, {"result.json": b"{}", "z.txt": b"z", "a.txt": b"a"})
    assert seen == [("a.txt", False), ("z.txt", False), ("result.json", False)]


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_path_that_leads_out_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must lie within its folder"):
        unpack(tmp_path / "in", {"fine.txt": b"", name: b""})
    assert list(tmp_path.iterdir()) == []
