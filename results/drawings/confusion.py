"""Which class was taken for which: the confusion matrix over the test split."""

from __future__ import annotations

from typing import Final

import numpy as np

from results.drawings.examples import Kept
from results.drawings.sheet import LETTER, MARGIN, QUIET, Sheet, shaded

MAX_CLASSES: Final = 30
MAX_COUNTED: Final = 15
"""Up to so many classes the counts stand in the cells."""
SIDE_PIXELS: Final = 380


def confusion_of(kept: Kept) -> bytes | None:
    """Draw the share of each true class that was given each answer; None where there are no classes, or too many."""
    predictions, targets = kept.predictions, kept.targets
    if not (predictions.ndim == 2 and targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)):
        return None
    num_classes = predictions.shape[1]
    if not 2 <= num_classes <= MAX_CLASSES or targets.min() < 0:
        return None
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (targets, predictions.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = SIDE_PIXELS // num_classes
    names = kept.class_names or tuple(map(str, range(num_classes)))
    longest = max(map(len, names))
    is_long = longest > 2
    left, top = MARGIN + 30 + 6 * longest, MARGIN + 66
    side = cell * num_classes
    below = 12 + (4.3 * longest if is_long else 12)
    words = (kept.score_text, "a row is a true class, its shade a share of that class")
    width = max(left + side, MARGIN + round(LETTER * max(len(kept.run_id) + 4, *map(len, words))))
    sheet = Sheet(width + MARGIN, round(top + side + below + 26))
    sheet.put(shaded(shares, most=1.0, scale=cell), left, top)
    sheet.pixels[top : top + side : cell, left : left + side] = 225
    sheet.pixels[top : top + side, left : left + side : cell] = 225
    sheet.write(kept.run_id, MARGIN, MARGIN, size=9.5)
    for row, text in enumerate(words):
        sheet.write(text, MARGIN, MARGIN + 20 + 16 * row, color=QUIET)
    for index, name in enumerate(names):
        middle = (index + 0.5) * cell
        sheet.write(name, left - 5, top + middle, ha="right", va="center", size=8)
        turned = (
            {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "va": "top"} if is_long else {"ha": "center"}
        )
        sheet.write(name, left + middle, top + side + 5, size=8, **turned)
    sheet.write("true class", MARGIN - 2, top + side / 2, rotation=90, va="center", color=QUIET)
    sheet.write("answer", left + side / 2, top + side + below + 6, ha="center", color=QUIET)
    if num_classes <= MAX_COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "#202020"
                place = left + (column + 0.5) * cell, top + (row + 0.5) * cell
                sheet.write(str(count), *place, ha="center", va="center", size=7.5, color=colour)
    return sheet.to_png()
