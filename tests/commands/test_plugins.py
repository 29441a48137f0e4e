from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.family import FAMILIES
from suite.search.run import run_sweeps
from suite.task import TASKS
from tests.commands.front import Front

TASK = '''
"""A task that a newcomer wrote in one file: which of two blobs a point belongs to."""

import dataclasses
from collections.abc import Collection
from typing import ClassVar

import torch

from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blobs(Task):
    """Two blobs in the plane."""

    name: ClassVar[str] = "blobs"

    distance: float = 2.0
    """Distance of the two centres."""

    def card(self) -> Card:
        return Card(
            name=self.name,
            kind="image-classification",
            summary="Two blobs in the plane.",
            source="drawn",
            licence="CC0",
            citation="",
            version="1",
            sha256=self.load().digest(),
            input_shape=(1, 1, 2),
            output_shape=(2,),
            objective="cross-entropy",
            split_sizes={"train": 200, "val": 50, "test": 100},
            metric="accuracy",
            direction="maximize",
            floor=0.5,
            floor_reason="chance",
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        generator = torch.Generator().manual_seed(7)
        targets = torch.arange(350) % 2
        points = torch.randn(350, 1, 1, 2, generator=generator)
        points[:, 0, 0, 0] += self.distance * (targets - 0.5)
        ends = {"train": (0, 200), "val": (200, 250), "test": (250, 350)}
        by_name = {name: Split(points[slice(*ends[name])], targets[slice(*ends[name])]) for name in splits}
        return Splits(by_name, mean=torch.zeros(()), std=torch.ones(()))
'''
FAMILY = '''
"""A family that a newcomer wrote in one file: a radial basis network."""

import dataclasses
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from suite.family import Family
from suite.fields import Bounds, IntDistribution
from suite.layers import Dropout
from suite.supervised_learner import SupervisedLearner
from suite.task import Card


@dataclasses.dataclass(frozen=True, kw_only=True)
class Radial(Family):
    """Gaussian bumps around learned centres.

    Reference: Broomhead and Lowe, 1988.
    """

    name: ClassVar[str] = "radial"

    num_centres: Annotated[int, Bounds(low=1), IntDistribution(2, 64)] = 8
    """Centres."""

    def build(self, card: Card) -> "RadialLearner":
        return RadialLearner(card, self)


class RadialLearner(SupervisedLearner):
    def __init__(self, card: Card, settings: Radial) -> None:
        super().__init__(card)
        self.centres = nn.Parameter(torch.randn(settings.num_centres, card.num_inputs))
        self.dropout = Dropout()
        self.output = nn.Linear(settings.num_centres, card.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        distances = torch.cdist(inputs.flatten(1), self.centres)
        return self.shape_outputs(self.output(self.dropout(torch.exp(-distances))))
'''


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[list[str]]:
    (tmp_path / "blobs.py").write_text(TASK)
    (tmp_path / "radial.py").write_text(FAMILY)
    yield ["--plugin", str(tmp_path / "blobs.py"), "--plugin", str(tmp_path / "radial.py")]
    forget()


def forget() -> None:
    """Forget the plug-ins, as the end of a process does."""
    TASKS.remove("blobs")
    FAMILIES.remove("radial")


RUN = ("run", "blobs", "radial", "--budget.epochs", 20, "--execution.device", "cpu", "--regularization.dropout", 0.1)


def test_a_task_and_a_family_of_one_file_each_run_replay_and_resume(front: Front, plugins: list[str]) -> None:
    assert front(*RUN, "--family.num_centres", 6, "--task.distance", 4, "--optimization.lr", 0.02, *plugins).code == 0
    result = front.result()
    assert result["status"] == "completed"
    assert result["spec"]["family"] == {"name": "radial", "num_centres": 6}
    assert result["scores"]["test/accuracy"] > 0.9
    forget()
    outcome = front("replay", front.only().run_id, *plugins)
    assert outcome.code == 0
    assert "bit-exact" in outcome.out
    forget()
    (front.only().path / "result.json").unlink()
    assert front("resume", *plugins).code == 0
    assert front.result()["digests"] == result["digests"]
    assert "radial" in front("leaderboard").out


@pytest.mark.parametrize("is_edited", [False, True])
def test_workers_search_a_plug_in_and_refuse_one_that_was_edited_before_they_began(
    is_edited: bool, front: Front, plugins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit_and_run(*arguments: Any, **keywords: Any) -> Any:
        path = Path(plugins[-1])
        path.write_text(path.read_text() + "\nEDITED = True\n" * is_edited)
        return run_sweeps(*arguments, **keywords)

    monkeypatch.setattr("suite.search.run.run_sweeps", edit_and_run)
    short = ("--budget.steps", 12, "--evaluation.every_steps", 4, "--no-plots", "--final-seeds", 1)
    searched = ("--preset", "none", "--space.optimization.lr", "1e-3,1e-2", "--trials", 2, "--workers", 1)
    outcome = front("sweep", "blobs", "radial", *short, *searched, *plugins)
    assert "Traceback" not in outcome.text
    if is_edited:
        assert outcome.code == 1
        assert "other code than those before it" in outcome.err
        assert front.folders() == []
    else:
        assert outcome.code == 0, outcome.text
        assert "winner on 1 fresh seeds" in outcome.out
        assert {folder.status() for folder in front.folders()} == {"completed"}


def test_plug_ins_are_listed_and_shown(front: Front, plugins: list[str]) -> None:
    assert "radial" in front("list", "families", *plugins).out
    forget()
    assert "num_centres" in front("show", "radial", *plugins).out
    forget()
    assert "Two blobs" in front("show", "blobs", *plugins).out


def test_two_commands_of_one_process_may_name_the_same_plug_in(front: Front, plugins: list[str]) -> None:
    assert front("show", "radial", *plugins).code == 0
    assert front("show", "radial", *plugins).code == 0


def test_a_changed_plug_in_is_another_run(front: Front, plugins: list[str], tmp_path: Path) -> None:
    assert front(*RUN, *plugins).code == 0
    forget()
    changed = tmp_path / "later" / "radial.py"
    changed.parent.mkdir()
    changed.write_text(FAMILY.replace("torch.exp(-distances)", "torch.exp(-distances / 2)"))
    assert front(*RUN, *plugins[:3], changed).code == 0
    assert len(front.folders()) == 2


def test_resume_without_the_plug_in_names_what_is_missing_and_fails(front: Front, plugins: list[str]) -> None:
    assert front(*RUN, *plugins).code == 0
    forget()
    (front.only().path / "result.json").unlink()
    outcome = front("resume")
    assert outcome.code == 1
    assert "Unknown task 'blobs'" in outcome.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = 1\n", "must define a Task, a Family, a Regularizer, a Compressor, an Explainer or a"),
        ("def broken(:\n", "does not import: SyntaxError"),
        ("raise SystemExit(7)\n", "does not import: SystemExit"),
        (FAMILY.replace('"radial"', '"mlp"'), "'mlp' is taken already"),
    ],
)
def test_a_plug_in_that_does_not_serve_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "odd.py").write_text(content)
    front = Front(tmp_path / "root")
    outcome = front("run", "digits", "mlp", "--plugin", tmp_path / "odd.py")
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not front.root.exists()
