"""What a generator made: samples beside test pictures, or samples over test points."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.drawings.examples import Array, Kept
from results.drawings.sheet import DPI, MARGIN, Pixels, Sheet, grid_of, png_of, tile_of
from results.plots import INK, PALE

SIDE: Final = 8
"""Pictures along each side of a grid."""
TILE_PIXELS: Final = 44
"""A picture is enlarged by a whole number to about so many pixels."""
MAX_POINTS: Final = 2500


def samples_of(kept: Kept) -> bytes | None:
    """Draw samples of pictures or of points in the plane; None for anything else."""
    if kept.predictions.ndim == 4 and kept.predictions.shape[1] in (1, 3):
        return _pictures(kept)
    if kept.predictions.ndim == 2 and kept.predictions.shape[1] == 2:
        return _points(kept)
    return None


def _pictures(kept: Kept) -> bytes:
    low, high = float(kept.targets.min()), float(kept.targets.max())
    grids = [_grid(part, low, high) for part in (kept.predictions, spread(kept.targets, SIDE * SIDE))]
    height, width, _ = grids[0].shape
    top, between = MARGIN + 40, 24
    sheet = Sheet(2 * MARGIN + 2 * width + between, top + height + MARGIN)
    sheet.write(kept.run_id, MARGIN, MARGIN, size=9.5)
    for grid, left, text in zip(grids, (MARGIN, MARGIN + width + between), ("samples", "test pictures"), strict=True):
        sheet.write(text, left, top - 17, color="#606060")
        sheet.put(grid, left, top)
    sheet.write(kept.score_text, sheet.pixels.shape[1] - MARGIN, top - 17, ha="right", color="#606060")
    return sheet.to_png()


def _grid(pictures: Array, low: float, high: float) -> Pixels:
    shown = pictures[: SIDE * SIDE]
    scale = max(1, round(TILE_PIXELS / shown.shape[2]))
    return grid_of([tile_of(picture, low=low, high=high, scale=scale) for picture in shown], SIDE)


def spread(examples: Array, count: int) -> Array:
    """Return ``count`` of the examples, from all parts of their order, which may go by class."""
    chosen: Array = examples[np.linspace(0, len(examples) - 1, min(count, len(examples))).round().astype(int)]
    return chosen


def _points(kept: Kept) -> bytes:
    samples, targets = kept.predictions[:MAX_POINTS], kept.targets[:MAX_POINTS]
    low, high = targets.min(axis=0), targets.max(axis=0)
    # The data's range and a quarter more on each side: a sample from far away shall not shrink the rest to a dot.
    edge = 0.25 * (high - low).max()
    is_outside = ((samples < low - edge) | (samples > high + edge)).any(axis=1)
    with style.context("default"):
        figure = Figure(figsize=(5.2, 5.4), dpi=DPI)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.09, 0.06, 0.88, 0.81))
        axes.plot(
            *targets.T, linestyle="none", marker="o", markersize=9, color=PALE, markeredgewidth=0, label="test points"
        )
        axes.plot(
            *samples.T, linestyle="none", marker="o", markersize=1.8, color=INK, markeredgewidth=0, label="samples"
        )
        axes.set_xlim(low[0] - edge, high[0] + edge)
        axes.set_ylim(low[1] - edge, high[1] + edge)
        axes.set_aspect("equal")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        # Above the axes: a generator that collapsed may put everything anywhere, the middle included.
        axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0, frameon=False)
        outside = f", {is_outside.sum()} of {len(samples)} samples outside" if is_outside.any() else ""
        figure.text(0.09, 0.975, kept.run_id, fontsize=9.5, va="top")
        figure.text(0.09, 0.935, kept.score_text + outside, fontsize=8.5, va="top", color="#606060")
        return png_of(figure)
