"""Sources that are pinned: what a process says of its code is what it has imported."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite import sources
from suite.runs.environment import code_sha256
from suite.spec import RunSpec

SPEC = RunSpec.from_mapping({"task": "digits", "family": "mlp"})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the sources that decide, taken for the place where they lie."""
    for name in ("suite", "tasks"):
        shutil.copytree(sources.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    monkeypatch.setattr("suite.runs.environment.ROOT", tmp_path)
    monkeypatch.setattr(sources, "_pinned", {})
    sources._sha256.clear()
    yield tmp_path
    sources._sha256.clear()


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
    before = sources.pinned_sha256()
    edit(checkout / name)
    assert sources.pinned_sha256() == before
    sources.pin_sources()
    assert sources.pinned_sha256() != before


def test_a_file_that_decides_nothing_makes_no_difference(checkout: Path) -> None:
    before = sources.pinned_sha256()
    edit(checkout / "suite" / "commands" / "ui.py")
    sources.pin_sources()
    assert sources.pinned_sha256() == before


def test_a_plugin_counts_as_it_was_imported_wherever_it_lies(checkout: Path) -> None:
    found = []
    for folder in ("one", "other"):
        path = checkout / folder / "plugin.py"
        path.parent.mkdir()
        path.write_text("X = 1\n")
        sources.pin_sources()
        sources.pin(path)
        edit(path)
        found.append(sources.pinned_sha256())
    assert found[0] == found[1]
    sources.pin(path)
    assert sources.pinned_sha256() != found[0]
