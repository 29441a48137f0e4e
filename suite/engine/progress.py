"""Where a training stands: the counters that survive a checkpoint, and the rows that are logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

Status = Literal["completed", "pruned", "diverged", "failed", "out-of-memory", "timed-out", "interrupted", "lost"]


@dataclasses.dataclass
class TrainingState:
    """Counters of one training. ``step`` counts optimiser steps and only grows; ``seconds`` spans all attempts."""

    step: int = 0
    epoch: float = 0.0
    seconds: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    best_epoch: float = 0.0
    stopping_best: float | None = None
    """Score that early stopping measures the next ones against."""
    stopping_validations: int = 0
    plateau_best: float | None = None
    plateau_validations: int = 0
    lr_scale: float = 1.0
    num_validations: int = 0

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return dataclasses.asdict(self)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TrainingState:
        """Read what `to_mapping` returned."""
        return cls(**mapping)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the metrics log: the losses of a block's steps, and the val scores where it ended an interval."""

    step: int
    epoch: float
    seconds: float
    losses: Mapping[str, list[float]]
    """Per-step values by name (``train/loss``); the last one belongs to ``step``."""
    scores: Mapping[str, float]
    """Val scores by name (``val/accuracy``), empty inside an interval."""

    def to_mapping(self) -> dict[str, Any]:
        """Return the row as it is written."""
        return {"step": self.step, "epoch": self.epoch, "seconds": self.seconds, **self.losses, **self.scores}
