"""What the ranks behind rank 0 do in a shared training: take every step, write nothing, and do as they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch

from suite.batch import Block
from suite.engine.checkpoints import AtomicCheckpointIO
from suite.engine.data import BlockLoader
from suite.engine.fit import fit
from suite.engine.progress import TrainingState
from suite.engine.ranks import Ranks
from suite.learner import Learner


def follow(learner: Learner, loader: BlockLoader, ranks: Ranks, checkpoint: Path | None) -> None:
    """Train beside rank 0, from the checkpoint that it goes on from, until it says that it is over."""
    follower = _Follower(learner, loader, ranks)
    fit(learner, loader, follower, checkpoint, ranks=ranks, checkpoint_io=AtomicCheckpointIO())


class _Follower(lightning.Callback):
    state_key = "_BlockEdge"
    """A checkpoint holds what rank 0's callback has saved."""

    def __init__(self, learner: Learner, loader: BlockLoader, ranks: Ranks) -> None:
        self._learner, self._loader, self._ranks = learner, loader, ranks

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Block,
        batch_idx: int,
    ) -> None:
        self._ranks.mean(torch.stack(list(self._learner.block_losses.values())))
        decision = self._ranks.hear()
        self._learner.lr_scale = decision.lr_scale
        trainer.should_stop = decision.is_over
        if decision.saves:
            trainer.save_checkpoint("")  # rank 0 writes it, and waits until all have come so far

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = TrainingState.from_mapping(state_dict["training"])
        self._loader.first_step, self._learner.lr_scale = state.step, state.lr_scale
