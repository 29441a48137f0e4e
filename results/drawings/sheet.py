"""A sheet of paper in pixels: tiles and words are put where they belong, and nothing is scaled or laid out anew.

Axes of matplotlib cost 10 to 15 ms each, and a picture of samples has a hundred. Here all tiles are one array.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, 3)."""

DPI: Final = 100
MARGIN: Final = 14
"""Empty pixels around everything."""
LETTER: Final = 7.0
"""Pixels that a letter of small print takes at most, on average over a line."""
GAP: Final = 2
"""Pixels between two tiles."""
INK: Final = "#202020"
QUIET: Final = "#606060"


class Sheet:
    """White paper of ``width`` x ``height`` pixels, from the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels: Pixels = np.full((height, width, 3), 255, dtype=np.uint8)
        self._words: list[tuple[float, float, str, dict[str, Any]]] = []

    def put(self, tile: Pixels, left: int, top: int) -> None:
        """Put a tile with its top left corner there."""
        height, width, _ = tile.shape
        self.pixels[top : top + height, left : left + width] = tile

    def write(self, text: str, left: float, top: float, *, size: float = 8.5, **how: Any) -> None:
        """Write one line whose top left corner is there; ``how`` goes to matplotlib's text."""
        self._words.append((left, top, text, {"fontsize": size, "color": INK, "va": "top", "ha": "left", **how}))

    def to_png(self) -> bytes:
        """Return the sheet as PNG: equal sheets give equal bytes."""
        height, width, _ = self.pixels.shape
        # The default style, whatever matplotlibrc lies on this machine: else equal runs would not give equal bytes.
        with style.context("default"):
            figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
            FigureCanvasAgg(figure)
            figure.figimage(self.pixels, origin="upper")
            for left, top, text, how in self._words:
                figure.text(left / width, 1 - top / height, text, **how)
            return png_of(figure)


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG that says nothing of software or date."""
    buffer = io.BytesIO()
    # The lowest compression but none: the files are small, and more takes three times as long.
    figure.savefig(buffer, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()


def tile_of(picture: NDArray[Any], *, low: float, high: float, scale: int) -> Pixels:
    """Return one picture (channels, height, width) in grey or colour, each pixel a square of ``scale`` pixels.

    Values from ``low`` to ``high`` go from black to white; beyond them they are cut off.
    """
    span = (high - low) or 1.0
    grey = np.clip((picture.astype(np.float64) - low) / span, 0, 1)
    channels = grey if len(grey) == 3 else np.repeat(grey[:1], 3, axis=0)
    return enlarged(np.round(255 * channels).astype(np.uint8).transpose(1, 2, 0), scale)


def shaded(shares: NDArray[Any], *, most: float, scale: int) -> Pixels:
    """Return a matrix as white to dark blue squares; ``most`` and above are darkest."""
    strength = np.clip(shares.astype(np.float64) / (most or 1.0), 0, 1)[..., None]
    colours = 255 * (1 - strength) + np.array([8, 48, 107]) * strength
    return enlarged(np.round(colours).astype(np.uint8), scale)


def enlarged(pixels: Pixels, scale: int) -> Pixels:
    """Return every pixel as a square of ``scale`` pixels."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def grid_of(tiles: list[Pixels], columns: int) -> Pixels:
    """Return tiles of one size row by row, with white gaps between them."""
    height, width, _ = tiles[0].shape
    rows = -(-len(tiles) // columns)
    grid = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        grid[top : top + height, left : left + width] = tile
    return grid
