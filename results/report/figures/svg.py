"""SVG elements as text: every attribute and every word escaped, every coordinate rounded once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def element(tag: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """Return one element; a plain string among the children is text, and an attribute of None is left out.

    ``stroke_width`` becomes ``stroke-width`` and ``class_`` becomes ``class``.
    """
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is not None:
            text = value if isinstance(value, str) else number(value)
            parts.append(f' {name.rstrip("_").replace("_", "-")}="{escape(text)}"')
    content = Markup("").join(children)
    parts.append(f">{content}</{tag}>" if content else "/>")
    return Markup("".join(parts))


def number(value: float) -> str:
    """Return a coordinate with one decimal at most, which is a tenth of a pixel."""
    return f"{value:z.1f}".removesuffix(".0")


def path(points: Iterable[tuple[float, float]]) -> str:
    """Return the data of a path through the points; a point that is not finite interrupts it."""
    parts: list[str] = []
    pen = "M"
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            parts.append(f"{pen}{number(x)} {number(y)}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def area(xs: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> str:
    """Return the data of closed paths between two edges, one for each stretch where both are finite."""
    parts: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for point in [*zip(xs, lows, highs, strict=True), (math.nan, math.nan, math.nan)]:
        if all(map(math.isfinite, point)):
            stretch.append(point)
        elif stretch:
            forth = [(x, high) for x, _, high in stretch]
            back = [(x, low) for x, low, _ in reversed(stretch)]
            parts.append(f"{path([*forth, *back])}Z")
            stretch = []
    return "".join(parts)


def text(words: str, x: float, y: float, **attributes: str | float | None) -> Markup:
    """Return a text element at a point."""
    return element("text", words, x=x, y=y, **attributes)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart so that neighbours are ``gap`` apart, within [low, high] where that has room for all.

    The order stays, and what was far enough apart stays where it was.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = [min(max(places[index], low), high) for index in order]
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    if moved and moved[-1] > high:
        moved[-1] = high
        for index in range(len(moved) - 2, -1, -1):
            moved[index] = min(moved[index], moved[index + 1] - gap)
    result = [0.0] * len(places)
    for place, index in zip(moved, order, strict=True):
        result[index] = place
    return result
