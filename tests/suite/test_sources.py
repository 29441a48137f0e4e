"""Sources that are pinned: what a process says of its code is what it has imported."""

import shutil
from pathlib import Path

import pytest

from suite import sources
from suite.runs.environment import code_sha256
from suite.spec import RunSpec

SPEC = RunSpec.from_mapping({"task": "digits", "family": "mlp"})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources that decide, taken for the place where they lie."""
    for name in ("suite", "tasks"):
        shutil.copytree(sources.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    monkeypatch.setattr("suite.runs.environment.ROOT", tmp_path)
    for name in ("_packages", "_plugins"):
        monkeypatch.setattr(sources, name, {})
    monkeypatch.setattr(sources, "_sha256", [])
    return tmp_path


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\nEDITED = True\n")


def test_an_edit_changes_the_code_until_it_is_pinned(checkout: Path) -> None:
    first = code_sha256(SPEC)
    edit(checkout / "suite" / "learner.py")
    second = code_sha256(SPEC)
    assert second != first
    sources.pin_sources()
    assert code_sha256(SPEC) == second
    edit(checkout / "suite" / "learner.py")
    assert code_sha256(SPEC) == second
    sources.pin_sources()
    assert code_sha256(SPEC) not in (first, second)


@pytest.mark.parametrize("name", ["suite/engine/data.py", "suite/families/cnn.py", "tasks/sources/splits.py"])
def test_processes_with_other_sources_differ_in_their_digest(name: str, checkout: Path) -> None:
    before = sources.pinned_sha256([])
    edit(checkout / name)
    assert sources.pinned_sha256([]) == before
    sources.pin_sources()
    assert sources.pinned_sha256([]) != before


def test_a_file_that_decides_nothing_makes_no_difference(checkout: Path) -> None:
    before = sources.pinned_sha256([])
    edit(checkout / "suite" / "commands" / "ui.py")
    sources.pin_sources()
    assert sources.pinned_sha256([]) == before


def test_a_plugin_is_what_was_imported_until_the_next_command(checkout: Path) -> None:
    path = checkout / "plugin.py"
    path.write_text("X = 1\n")
    without = sources.pinned_sha256([])
    sources.pin_plugin(path)
    edit(path)
    assert sources.pinned(path) == b"X = 1\n"
    assert sources.pinned_sha256([]) == without, "a worker may not have the plug-ins of other jobs"
    before = sources.pinned_sha256([str(path)])
    sources.pin_plugin(path)
    assert sources.pinned_sha256([str(path)]) not in (before, without)
    sources.pin_sources()
    assert sources.pinned(path) is None
