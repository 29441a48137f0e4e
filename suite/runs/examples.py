"""A few test examples and what the model looks at in them, kept in the run folder so that pictures can be drawn."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from suite.atomic import write_bytes
from suite.batch import Batch
from suite.engine.data import ResidentSplit
from suite.learner import Learner
from suite.runs.folder import EXAMPLES, RunFolder

NUM_EXAMPLES = 8
MAX_WEIGHTS = 2**20
"""Attention weights that are kept at most, so that long inputs do not fill the disk: a megabyte and a half."""


@torch.no_grad()
def save_examples(folder: RunFolder, learner: Learner, split: ResidentSplit) -> None:
    """Write ``examples.npz``: inputs as the model sees them, which ones they are, and attention weights if any."""
    # From all parts of the split, whose order may go by class.
    indices = torch.linspace(0, len(split) - 1, min(NUM_EXAMPLES, len(split))).round().long()
    learner.eval()
    batch = split.gather(indices.to(split.targets.device))
    arrays = {"indices": indices.numpy(), "inputs": batch.inputs.cpu().numpy()}
    names = learner.card.class_names
    if names:
        arrays["class_names"] = np.array(names)
    attention = _attention(learner, batch)
    if attention is not None:
        arrays["attention"] = attention.half().cpu().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stubs take the names for other arguments
    write_bytes(folder.path / EXAMPLES, buffer.getvalue())


def _attention(learner: Learner, batch: Batch) -> Tensor | None:
    """Return the weights of as many examples as may be kept; of the last layer alone where one example has too many."""
    attention = learner.attention_maps(batch)
    if attention is None:
        return None
    if attention[0].numel() > MAX_WEIGHTS:
        attention = attention[:, -1:]
    return attention[: max(1, MAX_WEIGHTS // attention[0].numel())]
