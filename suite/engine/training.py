"""One training from start or checkpoint to its end: what happens at the edge of each block, and in which order."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch
from torch import Tensor

from suite.atomic import writing
from suite.batch import Block
from suite.engine.budget import Budget
from suite.engine.checkpoints import BackgroundCheckpointIO, checkpoint_path, checkpoints, latest_intact
from suite.engine.data import BlockLoader, ResidentSplit
from suite.engine.evaluation import Evaluation, Score, evaluate
from suite.engine.fit import fit
from suite.engine.optimization import Optimization
from suite.engine.progress import Row, Status, TrainingState
from suite.engine.ranks import Decision, Ranks
from suite.learner import Learner


class MetricsLog(Protocol):
    """Takes the rows of a training; its position goes into each checkpoint, so that a resume cuts what came after."""

    def append(self, row: Row) -> None:
        """Add one row."""

    def position(self) -> int:
        """Return where the next row goes."""

    def sync(self) -> None:
        """Make every row so far durable; called from the thread that writes checkpoints."""

    def rewind(self, position: int) -> None:
        """Forget every row from ``position`` on."""


@dataclass
class Outcome:
    """How a training ended."""

    status: Status
    message: str = ""


@dataclass
class Training:
    """Everything that one training needs, put together by the caller."""

    learner: Learner
    loader: BlockLoader
    val: ResidentSplit | None
    score: Score
    evaluation_seed: int
    optimization: Optimization
    evaluation: Evaluation
    budget: Budget
    log: MetricsLog
    checkpoint_directory: Path
    checkpoint_seconds: float
    should_stop: Callable[[], bool] = lambda: False
    """Asked at each block edge; True ends the training as interrupted, with a checkpoint."""
    on_edge: Callable[[TrainingState, Row], None] = lambda _state, _row: None
    """Told about each block edge: progress bars and mirrors."""
    should_prune: Callable[[TrainingState, float], bool] = lambda _state, _score: False
    """Told the primary score of each validation; True ends the training as pruned, unless it is over anyhow."""
    time_limit_seconds: float | None = None
    """Seconds of training, over all attempts, after which it ends as timed out; a budget in seconds completes it."""
    state: TrainingState = field(default_factory=TrainingState)
    ranks: Ranks | None = None
    """The processes that share this training, of which this is rank 0; None is this one alone."""

    def run(self) -> tuple[Outcome, Mapping[str, Tensor]]:
        """Train, from the newest intact checkpoint where there is one.

        Returns:
            How it ended, and the selected weights (those of the best val score, or the last).
        """
        edge = _BlockEdge(self)
        checkpoint_io = BackgroundCheckpointIO(before_write=self.log.sync)
        checkpoint = latest_intact(self.checkpoint_directory)
        if checkpoint is None:
            self.log.rewind(0)
        for newer in checkpoints(self.checkpoint_directory):
            if checkpoint is None or newer.name > checkpoint.name:  # damaged: it would take a kept one's place
                checkpoint_io.remove_checkpoint(newer)
        try:
            fit(self.learner, self.loader, edge, checkpoint, ranks=self.ranks, checkpoint_io=checkpoint_io)
        finally:
            checkpoint_io.close()
        if edge.outcome.status == "completed" and self.evaluation.selection == "best-val":
            assert edge.best_weights, "a completed training was validated at its last step"
            return edge.outcome, edge.best_weights
        return edge.outcome, self.learner.selected_weights()


class _BlockEdge(lightning.Callback):
    """What happens after each block, in this order: read the losses, guard against NaN, validate, select, log, stop.

    Validation is not Lightning's: its evaluation loop costs 4-6 ms, as much as an epoch of a small net on little data.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self.outcome = Outcome("completed")
        self.best_weights: dict[str, Tensor] = {}
        self._last_checkpoint = self._last_edge = self._last_count = time.perf_counter()
        self._sigterm_handler = signal.getsignal(signal.SIGTERM)

    # -- Lightning's hooks

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._take_sigterm_back(trainer)
        self._last_checkpoint = self._last_edge = self._last_count = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Block,
        batch_idx: int,
    ) -> None:
        training, state = self.training, self.training.state
        losses = self._read_losses()
        self._count(batch)
        scores: dict[str, float] = {}
        broken = _first_non_finite(losses)
        if broken is not None:
            name, index = broken
            state.step = batch.first_step + index + 1  # what the block did after it counts for nothing
            state.epoch = state.step / training.loader.steps_per_epoch
            self._end(trainer, "diverged", f"{name} was {losses[name][index]} at step {state.step}.")
            losses = {key: values[: index + 1] for key, values in losses.items()}
        elif batch.ends_validation_interval and training.val is not None:
            scores = self._validate(trainer)
        row = Row(state.step, state.epoch, round(state.seconds, 4), losses, scores)
        training.log.append(row)
        over_time = training.budget.seconds is not None and state.seconds >= training.budget.seconds
        finished = batch.is_last or trainer.should_stop or over_time
        if over_time and training.val is not None and not scores and self.outcome.status == "completed":
            scores = self._validate(trainer)
            row = Row(state.step, state.epoch, round(state.seconds, 4), {}, scores)
            training.log.append(row)
        if scores and self.outcome.status == "completed":
            is_hopeless = training.should_prune(state, scores[f"val/{training.learner.card.metric}"])
            if is_hopeless and not finished:
                finished = True
                self._end(trainer, "pruned", f"Pruned by the search after step {state.step}.")
        limit = training.time_limit_seconds
        if not finished and limit is not None and state.seconds >= limit:
            finished = True
            self._end(trainer, "timed-out", f"More than {limit:g} seconds had passed after step {state.step}.")
        saves = not finished and time.perf_counter() - self._last_checkpoint >= training.checkpoint_seconds
        if not finished and training.should_stop():
            saves = True
            self._end(trainer, "interrupted", f"Stopped by a signal after step {state.step}.")
        trainer.should_stop = trainer.should_stop or over_time
        if training.ranks is not None:
            training.ranks.tell(Decision(trainer.should_stop, saves, state.lr_scale))
        if saves:
            self._save(trainer)
        training.on_edge(state, row)
        self._last_edge = time.perf_counter()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # The loops count blocks, whose length is free; our own step counter is what a resume goes on from.
        checkpoint.pop("loops", None)

    def state_dict(self) -> dict[str, Any]:
        return {
            "training": self.training.state.to_mapping(),
            "best_weights": self.best_weights,
            "log_position": self.training.log.position(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.training.state = TrainingState.from_mapping(state_dict["training"])
        self.best_weights = dict(state_dict["best_weights"])
        self.training.log.rewind(state_dict["log_position"])
        self.training.learner.lr_scale = self.training.state.lr_scale
        self.training.loader.first_step = self.training.state.step

    def _take_sigterm_back(self, trainer: lightning.Trainer) -> None:
        """Undo Lightning's handler: after it a SIGTERM ends fit by an exception, with no checkpoint and no result."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._sigterm_handler)
        # It calls the caller's handler too, so that a signal of the moments in between is not lost.
        trainer._signal_connector.received_sigterm = False

    # -- the steps at an edge

    def _read_losses(self) -> dict[str, list[float]]:
        """Read the block's losses from the device, all in one transfer."""
        by_name = self.training.learner.block_losses
        stacked = torch.stack(list(by_name.values()))
        values = (stacked if self.training.ranks is None else self.training.ranks.mean(stacked)).tolist()
        return {f"train/{'loss' if name == 'total' else name}": row for name, row in zip(by_name, values, strict=True)}

    def _count(self, block: Block) -> None:
        now = time.perf_counter()
        state = self.training.state
        self.training.loader.pacer.observe(steps=len(block.sizes), seconds=now - self._last_edge)
        state.step, state.epoch = block.end_step, block.epoch
        state.seconds += now - self._last_count  # validation, logging and checkpoints in between included
        self._last_count = now

    def _validate(self, trainer: lightning.Trainer) -> dict[str, float]:
        """Score val; keep the weights when they are the best, and let early stopping and plateau see the score."""
        training, state = self.training, self.training.state
        assert training.val is not None
        card, learner = training.learner.card, training.learner
        found, _ = evaluate(
            learner,
            training.val,
            batch_size=training.evaluation.batch_size,
            score=training.score,
            noise_seed=training.evaluation_seed,
        )
        score = found[card.metric]
        state.num_validations += 1
        broken = {f"val/{name}": value for name, value in found.items() if not math.isfinite(value)}
        if broken:
            self._end(trainer, "diverged", f"{', '.join(broken)} was {next(iter(broken.values()))}.")
            return {f"val/{name}": value for name, value in found.items()}
        if state.step < learner.first_selectable_step:
            return {f"val/{name}": value for name, value in found.items()}
        if state.best_score is None or card.is_better(score, state.best_score):
            state.best_score, state.best_step, state.best_epoch = score, state.step, state.epoch
            self.best_weights = learner.selected_weights()
        self._stop_early(trainer, score)
        self._follow_plateau(score)
        return {f"val/{name}": value for name, value in found.items()}

    def _stop_early(self, trainer: lightning.Trainer, score: float) -> None:
        """Stop when no score of the last ``patience`` validations gained enough on the best before them."""
        learner, state = self.training.learner, self.training.state
        if learner.patience is None:
            return
        margin = learner.min_improvement if learner.card.direction == "maximize" else -learner.min_improvement
        if state.stopping_best is None or learner.card.is_better(score, state.stopping_best + margin):
            state.stopping_best, state.stopping_validations = score, 0
        else:
            state.stopping_validations += 1
            trainer.should_stop = trainer.should_stop or state.stopping_validations >= learner.patience

    def _follow_plateau(self, score: float) -> None:
        """Lower the learning rate when val stands still, as torch's ReduceLROnPlateau does with threshold 0."""
        training, state = self.training, self.training.state
        if training.optimization.schedule != "reduce-on-plateau":
            return
        if state.plateau_best is None or training.learner.card.is_better(score, state.plateau_best):
            state.plateau_best, state.plateau_validations = score, 0
            return
        state.plateau_validations += 1
        if state.plateau_validations > training.optimization.plateau_patience:
            state.plateau_validations = 0
            state.lr_scale *= training.optimization.decay_factor
            training.learner.lr_scale = state.lr_scale

    def _end(self, trainer: lightning.Trainer, status: Status, message: str) -> None:
        self.outcome = Outcome(status, message)
        trainer.should_stop = True

    def _save(self, trainer: lightning.Trainer) -> None:
        training = self.training
        with writing(training.checkpoint_directory):
            training.checkpoint_directory.mkdir(exist_ok=True)
        trainer.save_checkpoint(checkpoint_path(training.checkpoint_directory, training.state.step))
        self._last_checkpoint = time.perf_counter()


def _first_non_finite(losses: Mapping[str, list[float]]) -> tuple[str, int] | None:
    """Return the name and index of the first value that is NaN or infinite, by step and then by name."""
    found = [
        (index, name)
        for name, values in losses.items()
        for index, value in enumerate(values)
        if not math.isfinite(value)
    ]
    return (min(found)[1], min(found)[0]) if found else None
