"""What a run keeps when its training went well and something went wrong beside it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.task import TASKS
from tests.commands.front import Front

MOODY = '''
import dataclasses
from pathlib import Path
from typing import ClassVar

from suite.task import SPLIT_NAMES
from tasks.digits import Digits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moody(Digits):
    """Digits, whose data and judge are away while a file of that name is there."""

    name: ClassVar[str] = "moody"

    def load(self, splits=SPLIT_NAMES):
        if Path("no-train").exists():
            raise FileNotFoundError(2, "No such file or directory", "/mnt/moody/train.bin")
        if "test" in splits and Path("no-test").exists():
            raise PermissionError(13, "Permission denied", "/mnt/moody/test.bin")
        return super().load(splits)

    def score(self, predictions, targets):
        if len(targets) == 360 and Path("no-judge").exists():
            raise RuntimeError("the judge is away")
        if Path("no-power").exists():
            raise OSError(5, "Input/output error")
        return super().score(predictions, targets)
'''
WORDS = ("run", "moody", "linear", "--budget.epochs", "2", "--execution.device", "cpu")


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[tuple[str, str]]:
    (tmp_path / "moody.py").write_text(MOODY)
    yield "--plugin", str(tmp_path / "moody.py")
    TASKS.remove("moody")


@pytest.mark.parametrize(("trouble", "named"), [("no-judge", "the judge is away"), ("no-test", "/mnt/moody/test.bin")])
def test_a_run_that_could_not_be_scored_keeps_its_cost_and_is_scored_by_resume(
    front: Front, moody: tuple[str, str], trouble: str, named: str
) -> None:
    assert front(*WORDS, *moody).code == 0
    undisturbed = front.result()
    Path(trouble).touch()
    assert front(*WORDS, *moody, "--force").code == 1
    folder = front.only()
    failed = front.result()
    assert failed["status"] == "failed"
    assert named in failed["message"]
    assert named in (folder.path / "error.txt").read_text()
    assert failed["scores"] == {}
    assert failed["cost"]["steps"] == undisturbed["cost"]["steps"] == 40
    assert failed["cost"]["seconds"] > 0
    assert "resume" in front("doctor").out
    curves = (folder.path / "metrics.jsonl").stat().st_mtime_ns

    assert front("resume", *moody).code == 1  # as long as the trouble lasts, nothing is lost by trying
    Path(trouble).unlink()
    outcome = front("resume", *moody)
    assert outcome.code == 0
    assert "gone on with: 1." in outcome.out
    mended = front.result()
    assert mended["status"] == "completed"
    for part in ("digests", "scores", "selection"):
        assert mended[part] == undisturbed[part]
    assert mended["cost"] == failed["cost"]
    assert (folder.path / "metrics.jsonl").stat().st_mtime_ns == curves
    assert folder.damaged_files() == []
    assert sorted(path.name for path in (folder.path / "checkpoints").iterdir()) == ["selected.safetensors"]
    assert not (folder.path / "error.txt").exists()


def test_a_run_whose_saved_weights_are_damaged_is_trained_anew(front: Front, moody: tuple[str, str]) -> None:
    assert front(*WORDS, *moody).code == 0
    undisturbed = front.result()["digests"]
    Path("no-judge").touch()
    front(*WORDS, *moody, "--force")
    Path("no-judge").unlink()
    (front.only().path / "checkpoints" / "selected.safetensors").write_bytes(b"")
    assert front("resume", *moody).code == 0
    assert front.result()["digests"] == undisturbed


def test_an_error_of_the_system_in_a_tasks_code_is_no_full_disk(front: Front, moody: tuple[str, str]) -> None:
    Path("no-power").touch()
    outcome = front(*WORDS, *moody)
    assert outcome.code == 1
    assert "could not be written" not in outcome.text
    assert front.result()["status"] == "failed"
    assert "Input/output error" in front.result()["message"]
    assert json.loads((front.only().path / "result.json").read_text())["cost"] is None


def test_data_that_the_system_does_not_hand_out_is_named_before_anything_is_created(
    tmp_path: Path, moody: tuple[str, str]
) -> None:
    from suite.runs import splits

    splits._load.cache_clear()
    Path("no-train").touch()
    front = Front(tmp_path / "absent")
    outcome = front(*WORDS, *moody)
    assert outcome.code == 2
    assert "'moody'" in outcome.err
    assert "/mnt/moody/train.bin" in outcome.err
    assert "Traceback" not in outcome.err
    assert not front.root.exists()
