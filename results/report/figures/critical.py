"""Mean ranks of methods on one axis, and bars over those that are not told apart.

Reference: Demsar, 2006, JMLR 7, "Statistical comparisons of classifiers over multiple data sets", figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from results.report.figures.frame import Box, Figure, drawing
from results.report.figures.scale import Scale
from results.report.figures.svg import element, path, text

AXIS: Final = 52.0
"""Where the axis lies; the critical difference itself is drawn above it."""
BAR_GAP: Final = 8.0
ROW: Final = 17.0
MAX_METHODS: Final = 24
"""More names than this cannot be read; the table has all."""
TITLE: Final = "Critical difference"


def critical_difference_figure(
    names: Sequence[str],
    mean_ranks: Sequence[float],
    bars: Sequence[tuple[int, int]],
    difference: float,
    *,
    name: str,
    note: str,
) -> Figure:
    """Draw the diagram.

    Args:
        names: Short names of the methods, the best mean rank first.
        mean_ranks: Their mean ranks, ascending.
        bars: First and last position of each run of methods that are not told apart.
        difference: The critical difference.
        name: The figure's own prefix for ids.
        note: How to read it.
    """
    rows = tuple((method, f"{rank:.2f}") for method, rank in zip(names, mean_ranks, strict=True))
    count = min(len(names), MAX_METHODS)
    shown = [(first, min(last, count - 1)) for first, last in bars if first < count - 1]
    left_half = math.ceil(count / 2)
    below = AXIS + 14 + BAR_GAP * len(shown) + 10
    box = Box(height=below + ROW * left_half, left=96, right=96)
    high = max(2.0, math.ceil(mean_ranks[count - 1]), 1.0 + difference if count == len(names) else 2.0)
    scale = Scale(1.0, high, *box.x)
    parts = [_axis(scale, box), _difference(scale, difference, box)]
    for index, (first, last) in enumerate(shown):
        place = AXIS + 12 + BAR_GAP * index
        ends = scale(mean_ranks[first]) - 4, scale(mean_ranks[last]) + 4
        parts.append(element("line", class_="clique", x1=ends[0], x2=ends[1], y1=place, y2=place))
    for index in range(count):
        is_left = index < left_half
        row = index if is_left else count - 1 - index
        parts.append(_method(names[index], scale(mean_ranks[index]), below + ROW * row, box, is_left=is_left))
    if count < len(names):
        note += f" The first {count} of {len(names)} methods are drawn."
    description = (
        f"Mean ranks from 1, the best: {', '.join(f'{method} {rank}' for method, rank in rows[:count])}. {note}"
    )
    svg = drawing(box, TITLE, description, *parts, name=name)
    return Figure(TITLE, note, svg, ("method", "mean rank"), rows)


def _axis(scale: Scale, box: Box) -> Markup:
    left, right = box.x
    parts = [element("line", class_="axis", x1=left, x2=right, y1=AXIS, y2=AXIS)]
    for tick in range(1, math.floor(scale.high) + 1, max(1, round(scale.high / 8))):
        place = scale(tick)
        parts.append(element("line", class_="axis", x1=place, x2=place, y1=AXIS, y2=AXIS - 5))
        parts.append(text(str(tick), place, AXIS - 10, class_="tick", text_anchor="middle"))
    parts.append(text("mean rank", 0, AXIS - 10, class_="name"))
    return element("g", *parts)


def _difference(scale: Scale, difference: float, box: Box) -> Markup:
    """Return the bar that shows how long the critical difference is."""
    start = box.x[0]
    end = min(scale(1.0 + difference), box.width)
    bar = path([(start, 10), (start, 18), (start, 14), (end, 14), (end, 10), (end, 18)])
    label = f"CD {difference:.2f}"
    return element("g", element("path", class_="span", d=bar), text(label, end + 6, 18, class_="name"))


def _method(name: str, place: float, row: float, box: Box, *, is_left: bool) -> Markup:
    margin = box.x[0] - 8 if is_left else box.x[1] + 8
    line = path([(place, AXIS), (place, row), (margin, row)])
    anchor = "end" if is_left else "start"
    shown = name if len(name) <= 16 else f"{name[:15]}…"
    return element(
        "g",
        element("path", class_="elbow", d=line),
        text(shown, margin + (-4 if is_left else 4), row + 4, class_="label", text_anchor=anchor),
        element("title", name),
    )
