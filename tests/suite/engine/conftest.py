"""Runs whose val scores and losses follow a script, made through the same door as every run."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import safetensors.torch
import torch
from torch import Tensor

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.family import Family
from suite.runs.execute import execute
from suite.runs.folder import RunFolder
from suite.runs.metrics_log import Curves, read_curves
from suite.runs.prepare import prepare
from suite.spec import RunSpec, settings_groups
from suite.supervised_learner import SupervisedLearner
from suite.task import Card, Splits, Task

OPTIMIZATION = {"optimizer": "sgd", "momentum": 0.0, "lr": 1.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scripted(Family):
    """A family whose val scores and broken losses are written down.

    Reference: none.
    """

    name: ClassVar[str] = "scripted"
    built: ClassVar[list["ScriptedLearner"]] = []

    scores: tuple[float, ...] = (1.0,)
    """Val score of each validation, the last one for all after it; a negative one is NaN."""
    every_steps: int = 1
    """Steps between two validations."""
    broken_step: int | None = None
    """Step (from 1) whose loss is no number."""
    broken_value: Literal["nan", "inf", "-inf"] = "nan"
    """What that loss is."""

    def build(self, card: Card) -> "ScriptedLearner":
        self.built.append(ScriptedLearner(card, self))
        return self.built[-1]


class ScriptedLearner(SupervisedLearner):
    """One weight that grows by the learning rate at each step, and a count of steps that checkpoints carry.

    The metric is the squared error against 0, so that predicting the square root of a score yields that score.
    """

    count: Tensor

    def __init__(self, card: Card, script: Scripted) -> None:
        super().__init__(card)
        self.script = script
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.num_steps = 0
        self.rates: list[float] = []

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.num_steps += 1
        self.count += 1
        noise = torch.rand(())  # drawn as dropout draws: equal curves mean equal noise at every step
        total = -self.weight + batch.inputs.mean() + noise
        if self.num_steps == self.script.broken_step:
            total = total * 0 + float(self.script.broken_value)
        return {"total": total}

    def predict(self, batch: Batch) -> Tensor:
        validation = math.ceil(int(self.count) / self.script.every_steps)
        score = self.script.scores[min(validation, len(self.script.scores)) - 1]
        return torch.full((len(batch.targets), *self.card.output_shape), score).sqrt()

    def set_learning_rate(self, step: int) -> None:
        super().set_learning_rate(step)
        self.rates.append(self.configured_optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.configured_optimizer = super().configure_optimizers()
        return self.configured_optimizer


@dataclasses.dataclass
class Finished:
    """What a scripted run left."""

    result: dict[str, Any]
    folder: Path
    learner: ScriptedLearner

    @property
    def curves(self) -> Curves:
        return read_curves(self.folder / "metrics.jsonl")

    @property
    def selected(self) -> float:
        """The weight that was selected."""
        content = (self.folder / "checkpoints" / "selected.safetensors").read_bytes()
        return safetensors.torch.load(content)["weight"].item()


@pytest.fixture
def train(tmp_path: Path, toys: dict[str, type[Task]]) -> Callable[..., Finished]:
    """Return a function that makes a scripted run, by default in the folder ``run`` of the test."""

    class ToZero(toys["toy-regression"]):  # type: ignore[misc]
        """The regression with targets of 0, to be minimised or maximised."""

        name = "to-zero"
        direction: ClassVar[str] = "minimize"

        def card(self) -> Card:
            return dataclasses.replace(super().card(), name=self.name, direction=self.direction)

        def load(self, splits: Any = ("train", "val", "test")) -> Splits:
            loaded = super().load(splits)
            zeros = {
                name: dataclasses.replace(split, targets=torch.zeros_like(split.targets))
                for name, split in loaded.by_name.items()
            }
            return dataclasses.replace(loaded, by_name=zeros)

    class ToZeroMaximized(ToZero):
        """The same, to be maximised."""

        direction = "maximize"

    def run(
        scores: Sequence[float] = (1.0,),
        *,
        steps: int | None = None,
        direction: str = "minimize",
        every_steps: int = 1,
        block_steps: int | None = 1,
        checkpoint_seconds: float = 1e9,
        folder: str = "run",
        script: dict[str, Any] | None = None,
        groups: dict[str, dict[str, Any]] | None = None,
        **arguments: Any,
    ) -> Finished:
        seconds = (groups or {}).get("budget", {}).get("seconds")
        total = len(scores) * every_steps if steps is None and seconds is None else steps
        given = {
            "optimization": OPTIMIZATION,
            "data": {"batch_size": 8},
            "budget": {"steps": total},
            "evaluation": {"every_steps": every_steps},
        }
        settings: dict[str, Any] = {
            name: cls.from_mapping({**given.get(name, {}), **(groups or {}).get(name, {})})
            for name, cls in settings_groups().items()
        }
        task = ToZero() if direction == "minimize" else ToZeroMaximized()
        family = Scripted(scores=tuple(map(float, scores)), every_steps=every_steps, **(script or {}))
        execution = Execution(device="cpu", block_steps=block_steps, checkpoint_seconds=checkpoint_seconds)
        prepared = prepare(RunSpec(task=task, family=family, **settings), execution)
        result, _ = execute(prepared, RunFolder(tmp_path / folder), **arguments)
        error = tmp_path / folder / "error.txt"
        assert result["status"] != "failed", error.read_text()
        return Finished(result, tmp_path / folder, family.built[-1])

    return run
