"""What came back: test pictures as they went in, as they came out, and as they should be."""

from __future__ import annotations

from typing import Final

import numpy as np

from results.drawings.examples import Array, Kept
from results.drawings.sheet import GAP, LETTER, MARGIN, QUIET, Sheet, grid_of, tile_of

MAX_EXAMPLES: Final = 8
TILE_PIXELS: Final = 66
LABEL_PIXELS: Final = 52


def reconstructions_of(kept: Kept) -> bytes | None:
    """Draw a few test pictures in three rows, or in two where nothing was done to the inputs; None without pictures."""
    is_picture = kept.predictions.ndim == 4 and kept.predictions.shape == kept.targets.shape
    if not is_picture or kept.predictions.shape[1] not in (1, 3) or kept.indices is None or kept.inputs is None:
        return None
    chosen = kept.indices[:MAX_EXAMPLES]
    inputs, outputs, targets = kept.inputs[: len(chosen)], kept.predictions[chosen], kept.targets[chosen]
    is_same = inputs.shape == targets.shape and bool(np.array_equal(inputs, targets))
    rows: dict[str, Array] = {"output": outputs, "target": targets}
    if is_same:
        rows = {"input": inputs, "output": outputs}
    elif inputs.shape == targets.shape:
        rows = {"input": inputs, **rows}
    low, high = float(kept.targets.min()), float(kept.targets.max())
    scale = max(1, round(TILE_PIXELS / outputs.shape[2]))
    tiles = [tile_of(picture, low=low, high=high, scale=scale) for row in rows.values() for picture in row]
    grid = grid_of(tiles, len(chosen))
    top, left = MARGIN + 40, MARGIN + LABEL_PIXELS
    width = max(left + grid.shape[1], MARGIN + round(LETTER * (len(kept.run_id) + 4)))
    sheet = Sheet(width + MARGIN, top + grid.shape[0] + MARGIN)
    sheet.write(kept.run_id, MARGIN, MARGIN, size=9.5)
    sheet.write(kept.score_text, MARGIN, top - 20, color=QUIET)
    side = tiles[0].shape[0]
    for index, name in enumerate(rows):
        sheet.write(name, MARGIN, top + index * (side + GAP) + side / 2, va="center")
    sheet.put(grid, left, top)
    return sheet.to_png()
