"""Whether a training may be shared by several processes: what is known before anything is created."""

from __future__ import annotations

import torch

from suite.batch import Batch
from suite.engine.devices import Execution
from suite.engine.ranks import reason_against
from suite.errors import UserError
from suite.learner import Learner
from suite.spec import RunSpec
from suite.task import Card


def check_sharing(spec: RunSpec, execution: Execution, card: Card) -> None:
    """Raise `UserError` when the processes that are asked for cannot share this training."""
    size = execution.num_devices
    compression = spec.optimization.gradient_compression
    if size == 1:
        if execution.strategy != "auto":
            raise UserError(
                f"execution.strategy={execution.strategy!r} is for several devices, but execution.num_devices=1. "
                "Take more devices, or leave it out."
            )
        if compression != "none":
            raise UserError(
                f"optimization.gradient_compression={compression!r} compresses what several processes send each other, "
                "but execution.num_devices=1. Take more devices, or none."
            )
        return
    if spec.compression is not None:
        raise UserError(f"A model is compressed on one device, but got execution.num_devices={size}. Leave it out.")
    if spec.origin is not None or spec.transfer.is_on:
        raise UserError(
            f"A run that begins with another's weights, or freezes layers, is made on one device, but got "
            f"execution.num_devices={size}. Leave it out."
        )
    if torch.cuda.is_available() and execution.device != "cpu" and torch.cuda.device_count() < size:
        raise UserError(
            f"`num_devices <= GPUs` must hold, but got execution.num_devices={size} and {torch.cuda.device_count()}."
        )
    if execution.block_steps not in (None, 1):
        raise UserError(
            f"Several devices act together after every step, but got execution.block_steps={execution.block_steps}. "
            "Leave it out."
        )
    used = spec.data.num_used(card.split_sizes["train"])
    rest = used % spec.data.batch_size
    smallest = rest if rest and (not spec.data.drop_last or used < spec.data.batch_size) else spec.data.batch_size
    if smallest < size:
        raise UserError(
            f"`examples of a batch >= num_devices` must hold, but the smallest batch of an epoch has {smallest} and "
            f"execution.num_devices={size}. Use --data.drop_last true, or another --data.batch_size."
        )


def check_shares(learner: Learner, batch: Batch, size: int) -> None:
    """Raise `UserError` when a part of the batch would train ``learner`` otherwise than the whole."""
    reason = reason_against(learner, batch)
    if reason is not None:
        raise UserError(
            f"{size} devices must give the result of one, but this model would not: {reason}. "
            "Use --execution.num_devices 1, or other settings of the family."
        )
