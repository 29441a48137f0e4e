"""Names beside points: each where it covers no other name and no point, and none where there is no such place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from results.report.figures.frame import Box
from results.report.figures.svg import text

LETTER_WIDTH: Final = 6.3
HEIGHT: Final = 12.0
DISTANCE: Final = 8.0

Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def names_beside(
    named: Sequence[tuple[str, float, float]], points: Sequence[tuple[float, float]], box: Box
) -> list[Markup]:
    """Return a text for each name that finds room, the first names first.

    Args:
        named: Name, x and y.
        points: Every point that must stay free.
        box: Where names must stay.
    """
    taken: list[Rectangle] = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    placed = []
    for name, x, y in named:
        width = LETTER_WIDTH * len(name)
        for anchor, dx, dy in (
            ("start", DISTANCE, 4.0),
            ("end", -DISTANCE, 4.0),
            ("middle", 0.0, -DISTANCE),
            ("middle", 0.0, DISTANCE + 9),
            ("start", 4.0, -DISTANCE),
            ("start", 4.0, DISTANCE + 9),
            ("end", -4.0, -DISTANCE),
            ("end", -4.0, DISTANCE + 9),
        ):
            left = x + dx - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            wanted = (left, y + dy - HEIGHT + 2, left + width, y + dy + 2)
            inside = wanted[0] >= box.left and wanted[2] <= box.width and wanted[1] >= 14 and wanted[3] <= box.y[0]
            if inside and not any(_cover(wanted, other) for other in taken):
                taken.append(wanted)
                placed.append(text(name, x + dx, y + dy, class_="label", text_anchor=anchor))
                break
    return placed


def _cover(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
