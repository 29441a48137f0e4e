"""The end of a compressed run: its model packed, read back, and measured beside the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from suite.learner import Learner
from suite.runs.folder import WEIGHTS, RunFolder
from suite.runs.footprint import footprint
from suite.runs.prepare import Prepared
from suite.runs.source import restore
from suite.seeds import derive


def pack_selected(prepared: Prepared, learner: Learner, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is to be written of the selected weights."""
    spec, train = prepared.spec, prepared.resident("train")
    assert spec.compression is not None and train is not None
    learner.to(prepared.device).load_selected_weights(weights)
    learner.eval()
    return spec.compression.pack(learner, train, derive(spec.seed, "calibration"))


def read_back(prepared: Prepared, folder: RunFolder) -> tuple[Learner, dict[str, Any]]:
    """Return the model as it lies on disk, which is the one that is scored, and its figures beside the original's."""
    spec, parent, train = prepared.spec, prepared.parent, prepared.resident("train")
    assert spec.compression is not None and parent is not None and train is not None
    path = folder.path / WEIGHTS
    compressed, original = restore(spec, prepared.card, path, prepared.device), parent.build(prepared.device)
    figures = footprint(compressed, original, weights=path, original_weights=parent.weights, train=train)
    return compressed, {**figures, "note": spec.compression.note(compressed)}
