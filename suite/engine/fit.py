"""Lightning's Trainer as every training here uses it: one epoch of blocks, and nothing that it would do by itself."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from suite.engine.data import BlockLoader, ResidentData
from suite.engine.ranks import Ranks
from suite.learner import Learner


def fit(
    learner: Learner,
    loader: BlockLoader,
    edge: lightning.Callback,
    checkpoint: Path | None,
    *,
    ranks: Ranks | None,
    checkpoint_io: CheckpointIO,
) -> None:
    """Have Lightning train, from ``checkpoint`` where there is one, with ``edge`` after each block."""
    # Lightning prints hardware lines and tips for every Trainer; a plan makes hundreds of them.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Our loader has no workers to add: it gathers from tensors that are on the device already.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Lightning 2.6 under torch 2.13, whenever it looks for tensors in a batch.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        # Norms of frozen layers, whose statistics are held on purpose.
        warnings.filterwarnings("ignore", message="Found .* in eval mode at the start of training.*")
        trainer = lightning.Trainer(
            accelerator=loader.split.targets.device.type,
            strategy="auto" if ranks is None else ranks.strategy(),
            devices=1 if ranks is None else ranks.size,
            use_distributed_sampler=False,  # every rank takes every batch, and cuts its part out
            max_epochs=1,  # one Trainer epoch is one training, validated at our own block edges, see engine/training.py
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[edge],
            plugins=[checkpoint_io],
            default_root_dir=Path.cwd(),  # nothing is written there
        )
        if ranks is not None:
            ranks.attach(learner)
        try:
            trainer.fit(learner, datamodule=ResidentData(loader), ckpt_path=checkpoint, weights_only=True)
        finally:
            if ranks is not None:
                ranks.leave()
