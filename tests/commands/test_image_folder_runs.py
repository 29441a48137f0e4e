"""Runs on a user's own pictures: the pictures identify a run, and not where they lie or where it was started."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suite.engine.devices import Execution
from suite.runs.execute import execute
from suite.runs.folder import RunFolder, Store
from suite.runs.prepare import prepare
from suite.spec import RunSpec
from tests.commands.front import Front

WORDS = ("run", "image-folder", "linear", "--budget.epochs", "3", "--execution.device", "cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder ``work/pictures`` with two classes."""
    draw = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 180)):
        folder = tmp_path / "work" / "pictures" / name
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = draw.normal(level, 20, (6, 6, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "work" / "pictures"


def test_a_run_goes_on_from_another_folder_though_its_path_was_relative(
    front: Front, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    spec = RunSpec.from_mapping(
        {
            "task": {"name": "image-folder", "folder": "pictures", "image_size": 6},
            "family": "linear",
            "budget": {"epochs": 6},
            "data": {"batch_size": 8},
        }
    )
    prepared = prepare(spec, Execution(device="cpu", block_steps=2, checkpoint_seconds=0))
    folder = RunFolder(Store(front.root).runs / prepared.run_id)
    calls = iter(range(100))
    assert execute(prepared, folder, should_stop=lambda: next(calls) == 2)[0]["status"] == "interrupted"
    monkeypatch.chdir(tmp_path)
    outcome = front("resume")
    assert outcome.code == 0, outcome
    assert front.result()["status"] == "completed"


def test_the_same_pictures_elsewhere_are_the_same_run_and_no_result_names_the_machine(
    front: Front, pictures: Path, tmp_path: Path
) -> None:
    assert front(*WORDS, "--task.folder", pictures, "--task.image_size", 6).code == 0
    shutil.copytree(pictures, tmp_path / "elsewhere")
    outcome = front(*WORDS, "--task.folder", tmp_path / "elsewhere", "--task.image_size", 6)
    assert outcome.code == 0
    assert "was done already" in outcome.out
    assert "image-folder(image_size=6)" in outcome.out
    assert str(tmp_path) not in (front.only().path / "result.json").read_text()


def test_other_pictures_are_another_run_and_have_a_table_of_their_own(
    front: Front, pictures: Path, tmp_path: Path
) -> None:
    assert front(*WORDS, "--task.folder", pictures).code == 0
    shutil.copytree(pictures, tmp_path / "other")
    (tmp_path / "other" / "dark" / "0.png").unlink()
    assert front(*WORDS, "--task.folder", tmp_path / "other").code == 0
    assert len(front.folders()) == 2
    digests = {(folder.result() or {})["data_sha256"][:8] for folder in front.folders()}
    table = front("leaderboard")
    assert table.code == 0
    assert len(digests) == 2
    for digest in digests:
        assert f"image-folder [data {digest}]" in table.out
