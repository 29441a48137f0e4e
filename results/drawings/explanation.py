"""What explanation methods say of some examples: the relevance of each position, beside the truth where it is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from results.drawings.examples import Array, Kept, arrays_of, read_kept
from results.drawings.sheet import DPI, LETTER, MARGIN, QUIET, Pixels, Sheet, png_of, shaded, tile_of
from results.errors import RecordError
from results.files import read_bytes
from results.plots import INK
from results.schema import WAY_OUT

MAX_EXAMPLES: Final = 4
TILE_PIXELS: Final = 120
GAP: Final = 14
PREFIX: Final = "contributions/"
BLUES: Final = LinearSegmentedColormap.from_list("relevance", ["#ffffff", "#08306b"])
RANK: Final = "relevance-rank"


@dataclass(frozen=True)
class Told:
    """What was kept of an explanation."""

    run_id: str
    split: str
    inputs: Array
    indices: Array
    relevance: dict[str, Array]
    """(examples, *positions) by method, each example's largest being 1."""
    evidence: Array | None
    heads: dict[str, str]
    """What stands beside each method's name: its score where there is one."""
    chance: float | None

    @property
    def rows(self) -> dict[str, Array]:
        """What is drawn of each example by its heading, the truth first."""
        truth = {} if self.evidence is None else {"evidence": self.evidence.astype(np.float64)}
        return truth | {self.heads[name]: values for name, values in self.relevance.items()}

    @property
    def chosen(self) -> list[int]:
        """Which of the examples are drawn, from all parts of their order."""
        count = min(MAX_EXAMPLES, len(self.indices))
        return [int(place) for place in np.linspace(0, len(self.indices) - 1, count).round()]


def explanation_of(run_folder: Path) -> bytes | None:
    """Draw the latest explanation of a run; None where there is none.

    Raises:
        RecordError: A file is damaged.
    """
    told = _read(run_folder)
    if told is None:
        return None
    kept = read_kept(run_folder)
    return _pictures(told, kept) if told.inputs.ndim == 4 else _steps(told, kept)


def _read(run_folder: Path) -> Told | None:
    content = read_bytes(run_folder / "explanation.json")
    arrays = arrays_of(run_folder / "attributions.npz")
    if content is None or arrays is None:
        return None
    try:
        summary = json.loads(content)
        heads = {name: _head(name, about["scores"]) for name, about in summary["methods"].items()}
        return Told(
            run_id=str(summary["run_id"]),
            split=str(summary["split"]),
            inputs=arrays["inputs"],
            indices=arrays["indices"],
            relevance={name: _relevance(arrays[PREFIX + name]) for name in heads},
            evidence=arrays.get("evidence"),
            heads=heads,
            chance=summary["chance"],
        )
    except (ValueError, KeyError, TypeError) as error:
        place = run_folder / "explanation.json"
        raise RecordError(f"{place} must be what `boltbench explain` wrote, but: {error!r}. {WAY_OUT}") from error


def _head(name: str, scores: dict[str, float] | None) -> str:
    return name if scores is None else f"{name} {scores[RANK]:.2f}"


def _relevance(contributions: Array) -> Array:
    sizes = np.abs(contributions.astype(np.float64))
    most = sizes.reshape(len(sizes), -1).max(axis=1).reshape(-1, *[1] * (sizes.ndim - 1))
    return np.asarray(sizes / np.where(most > 0, most, 1.0))


def _words(told: Told) -> str:
    words = "the darkest of a row or tile is its most relevant position"
    if told.chance is None:
        return words
    return f"{words}; numbers are relevance rank accuracy, chance {told.chance:.2f}"


def _steps(told: Told, kept: Kept | None) -> bytes:
    """Draw each example as a curve or as its tokens, and below it one strip of relevance for each method."""
    rows = told.rows
    is_text = np.issubdtype(told.inputs.dtype, np.integer)
    left, strip, curve, head = 0.28, 0.16, 0.22 if is_text else 0.62, 0.24
    line = head + curve + strip * len(rows) + 0.14
    with style.context("default"):
        figure = Figure(figsize=(7.4, 0.62 + line * len(told.chosen)), dpi=DPI)
        FigureCanvasAgg(figure)
        height = figure.get_figheight()
        figure.text(0.02, 1 - 0.1 / height, told.run_id, fontsize=9.5, va="top")
        figure.text(0.02, 1 - 0.32 / height, _words(told), fontsize=8.5, va="top", color=QUIET)
        for place, index in enumerate(told.chosen):
            top = height - 0.58 - place * line
            upper = figure.add_axes((left, (top - head - curve) / height, 0.97 - left, curve / height))
            _draw_example(upper, told.inputs[index])
            upper.set_title(_name(told, kept, index), fontsize=8, loc="left", pad=3)
            bottom = top - head - curve - strip * len(rows)
            lower = figure.add_axes((left, bottom / height, 0.97 - left, strip * len(rows) / height))
            lower.imshow(
                np.stack([values[index] for values in rows.values()]),
                aspect="auto",
                cmap=BLUES,
                vmin=0,
                vmax=1,
                interpolation="nearest",
            )
            lower.set_yticks(range(len(rows)), list(rows), fontsize=7.5)
            lower.set_xticks([])
            lower.tick_params(length=0)
            for edge in range(len(rows) - 1):
                lower.axhline(edge + 0.5, color="#d0d0d0", linewidth=0.6)
            lower.spines[:].set_color("#d0d0d0")
        return png_of(figure)


def _draw_example(axes: Axes, example: Array) -> None:
    length = example.shape[-1]
    axes.set_xlim(-0.5, length - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if np.issubdtype(example.dtype, np.integer):
        for step in range(0, length, max(1, length // 40)):
            axes.text(step, 0.1, str(example[step]), ha="center", va="bottom", fontsize=7)
        return
    signal: Any = example if example.ndim == 2 else example[None]
    for channel in signal:
        low, high = channel.min(), channel.max()
        axes.plot(range(length), (channel - low) / ((high - low) or 1.0), color=INK, linewidth=1.0)
    axes.set_ylim(-0.08, 1.08)


def _pictures(told: Told, kept: Kept | None) -> bytes:
    """Draw one row for each example: the picture, and a map for each method."""
    rows, scale = told.rows, max(1, TILE_PIXELS // told.inputs.shape[2])
    tiles = [
        [_tile(told.inputs[index], scale), *(_map(rows[name][index], scale) for name in rows)] for index in told.chosen
    ]
    headings = ["input", *rows]
    height, width, _ = tiles[0][1].shape
    widths = [max(width, round(LETTER * len(text))) for text in headings]
    words = _words(told)
    longest = max(sum(widths) + GAP * (len(widths) - 1), round(LETTER * max(len(told.run_id) + 4, len(words))))
    top, line = MARGIN + 84, height + 26
    sheet = Sheet(2 * MARGIN + longest, top + len(tiles) * line + MARGIN - 10)
    sheet.write(told.run_id, MARGIN, MARGIN, size=9.5)
    sheet.write(words, MARGIN, MARGIN + 20, color=QUIET)
    left = MARGIN
    for column, text in enumerate(headings):
        sheet.write(text, left, MARGIN + 44, color=QUIET)
        for row, of_example in enumerate(tiles):
            sheet.put(of_example[column], left, top + row * line)
        left += widths[column] + GAP
    for row, index in enumerate(told.chosen):
        sheet.write(_name(told, kept, index), MARGIN, top + row * line - 15)
    return sheet.to_png()


def _tile(example: Array, scale: int) -> Pixels:
    shown = example if len(example) in (1, 3) else example[:1]
    return _framed(tile_of(shown, low=float(shown.min()), high=float(shown.max()), scale=scale))


def _map(relevance: Array, scale: int) -> Pixels:
    return _framed(shaded(relevance, most=1.0, scale=scale))


def _framed(tile: Pixels) -> Pixels:
    return np.asarray(np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=190), dtype=np.uint8)


def _name(told: Told, kept: Kept | None, index: int) -> str:
    """Return what was asked and answered, or the number of the example where that is no class."""
    example = int(told.indices[index])
    if kept is None or told.split != "test":
        return f"{told.split} example {example}"
    return kept.answer_to(example)
