"""Run folders with the arrays that pictures are drawn from."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.results.conftest import make_runs, runs

__all__ = ["make_runs", "runs"]

ROWS = [{"step": 2, "epoch": 1.0, "train/loss": [0.9, 0.5], "val/accuracy": 0.5}]


@pytest.fixture
def tested(runs: Any) -> Callable[..., Path]:
    """Return a function that writes a completed run with arrays; ``examples`` go into examples.npz."""

    def write(predictions: Any, targets: Any, *, examples: dict[str, Any] | None = None, **changes: Any) -> Path:
        folder = runs.add(**({"selection": {"rule": "best-val", "step": 2, "epoch": 1.0}} | changes))
        runs.write_metrics(folder, ROWS)
        np.savez(folder / "predictions.npz", predictions=predictions, targets=targets)
        if examples is not None:
            np.savez(folder / "examples.npz", **examples)
        return folder

    return write


@pytest.fixture
def drawn() -> Callable[[Path], dict[str, NDArray[np.uint8]]]:
    """Return a function that draws a run and gives the pixels of each picture by name."""
    from results.drawings.of_run import pictures_of_run

    def draw(folder: Path) -> dict[str, NDArray[np.uint8]]:
        found = {}
        for name, content in pictures_of_run(folder):
            with Image.open(io.BytesIO(content)) as image:
                assert image.format == "PNG"
                assert not {"Software", "Creation Time", "date"} & set(image.info)
                found[name] = np.asarray(image.convert("RGB"))
        return found

    return draw
