"""Where a model looks: attention weights beside the test examples that they belong to."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.drawings.examples import Array, Kept
from results.drawings.sheet import DPI, LETTER, MARGIN, QUIET, Pixels, Sheet, enlarged, png_of, shaded, tile_of
from results.plots import INK, PALE

MAX_EXAMPLES: Final = 4
MAX_MAPS: Final = 6
"""Heads of the last layers beyond so many are left out, the first ones first."""
TILE_PIXELS: Final = 120
GAP: Final = 14


def attention_of(kept: Kept) -> bytes | None:
    """Draw attention maps; None where the model has none."""
    if kept.attention is None or kept.inputs is None or kept.indices is None:
        return None
    if kept.attention.shape[3] > 1 or _is_picture(kept.inputs):
        return _sheet(kept, kept.inputs, kept.attention, kept.indices)
    return _curves(kept, kept.inputs, kept.attention, kept.indices)


def _is_picture(inputs: Array) -> bool:
    return inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def _sheet(kept: Kept, inputs: Array, attention: Array, indices: Array) -> bytes:
    """Draw one row for each example: the input where it is a picture, and a matrix or a strip for each head."""
    count = min(MAX_EXAMPLES, len(attention))
    heads = [(layer, head) for layer in range(attention.shape[1]) for head in range(attention.shape[2])][-MAX_MAPS:]
    rows = [[_input(inputs[index]), *(_map(attention[index][place]) for place in heads)] for index in range(count)]
    headings = ["input", *(f"layer {layer + 1}, head {head + 1}" for layer, head in heads)]
    if attention.shape[1:3] == (1, 1):
        headings[1] = "attention"
    if not _is_picture(inputs):
        rows, headings = [row[1:] for row in rows], headings[1:]
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(headings))]
    widths = [max(width, 7 * len(text)) for width, text in zip(widths, headings, strict=True)]
    height = max(tile.shape[0] for row in rows for tile in row)
    top, line = MARGIN + 100, height + 26
    words = [kept.score_text, "a row asks, a column is looked at; the darkest is the largest weight of its map"]
    if attention.shape[3] == 1:
        words[1] = "darker rows weigh more in the answer"
    longest = max(len(kept.run_id) + 4, *map(len, words))
    width = 2 * MARGIN + max(sum(widths) + GAP * (len(widths) - 1), round(LETTER * longest))
    sheet = Sheet(width, top + count * line + MARGIN - 10)
    sheet.write(kept.run_id, MARGIN, MARGIN, size=9.5)
    for place, text in enumerate(words):
        sheet.write(text, MARGIN, MARGIN + 20 + 16 * place, color=QUIET)
    left = MARGIN
    for column, text in enumerate(headings):
        sheet.write(text, left, MARGIN + 60, color=QUIET)
        for index, row in enumerate(rows):
            sheet.put(row[column], left, top + index * line)
        left += widths[column] + GAP
    for index in range(count):
        sheet.write(kept.answer_to(int(indices[index])), MARGIN, top + index * line - 15)
    return sheet.to_png()


def _input(example: Array) -> Pixels:
    if example.ndim != 3:
        return np.zeros((1, 1, 3), dtype=np.uint8)
    scale = max(1, TILE_PIXELS // example.shape[1])
    return tile_of(example, low=float(example.min()), high=float(example.max()), scale=scale)


def _map(weights: Array) -> Pixels:
    """Return (query, key) as a framed square, or the weights of one query as rows beside the picture's."""
    matrix = weights.T if len(weights) == 1 else weights
    scale = max(1, TILE_PIXELS // len(matrix))
    tile = shaded(matrix, most=float(matrix.max()), scale=scale)
    if len(weights) == 1:
        tile = np.repeat(enlarged(tile[:, :1], 1), 28, axis=1)
    framed = np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=190)
    return np.asarray(framed, dtype=np.uint8)


def _curves(kept: Kept, inputs: Array, attention: Array, indices: Array) -> bytes:
    """Draw each example as a curve or as its tokens, with the weights of its steps as bars behind."""
    count = min(MAX_EXAMPLES, len(attention))
    with style.context("default"):
        figure = Figure(figsize=(7.0, 0.8 + 1.25 * count), dpi=DPI)
        FigureCanvasAgg(figure)
        height = figure.get_figheight()
        figure.text(0.02, 1 - 0.1 / height, kept.run_id, fontsize=9.5, va="top")
        words = f"{kept.score_text}; bars are the weights of the steps, the largest in full height"
        figure.text(0.02, 1 - 0.32 / height, words, fontsize=8.5, va="top", color=QUIET)
        for index in range(count):
            bottom = (height - 0.55 - 1.25 * (index + 1)) / height
            axes = figure.add_axes((0.03, bottom + 0.22 / height, 0.94, 0.8 / height))
            _draw_steps(axes, inputs[index], attention[index].reshape(-1, attention.shape[-1]).mean(axis=0))
            axes.set_title(kept.answer_to(int(indices[index])), fontsize=8, loc="left", pad=2)
        return png_of(figure)


def _draw_steps(axes: Axes, example: Array, weights: Array) -> None:
    steps = np.arange(len(weights))
    edges = np.arange(len(weights) + 1) - 0.5
    axes.stairs(weights / weights.max(), edges, fill=True, color=PALE)  # one path; bars would be one artist each
    axes.set_xlim(-0.5, len(weights) - 0.5)
    axes.set_ylim(0, 1.05)
    axes.set_yticks([])
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if np.issubdtype(example.dtype, np.integer):
        axes.set_xticks([])
        for step in steps[:: max(1, len(steps) // 32)]:  # plain words cost half of what ticks do
            axes.text(step, -0.06, str(example[step]), ha="center", va="top", fontsize=7)
        return
    signal: Any = example if example.ndim == 2 else example[None]
    if signal.shape[1] != len(weights):
        return
    low, high = signal.min(), signal.max()
    for channel in signal:
        axes.plot(steps, (channel - low) / ((high - low) or 1.0), color=INK, linewidth=1.0)
