"""What every chart stands in: title, axes, grid and the element that screen readers announce."""

from __future__ import annotations

import dataclasses

from markupsafe import Markup

from results.report.figures.scale import Scale, tick_text
from results.report.figures.svg import element, text


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure of the page.

    Args:
        title: What it shows, as its heading.
        note: How to read it.
        svg: The drawing.
        headers: Headers of the table that says the same in words and figures.
        rows: The cells of that table.
    """

    title: str
    note: str
    svg: Markup
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclasses.dataclass(frozen=True)
class Box:
    """The size of a drawing and the margins around its plot area, in pixels of its own."""

    width: float = 440
    height: float = 270
    left: float = 42
    right: float = 100
    top: float = 26
    bottom: float = 40

    @property
    def x(self) -> tuple[float, float]:
        """Where the plot area begins and ends from left to right."""
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """Where the plot area begins and ends from bottom to top."""
        return self.height - self.bottom, self.top


def drawing(box: Box, title: str, description: str, *content: Markup, name: str) -> Markup:
    """Return a whole drawing; ``name`` is unique on the page and ties title and description to it."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *content,
        class_="chart",
        viewBox=f"0 0 {box.width:g} {box.height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def axes(box: Box, x: Scale, y: Scale, x_label: str, y_label: str) -> Markup:
    """Return grid, tick texts and the names of both axes; the vertical one reads across, above its axis."""
    left, right = box.x
    bottom = box.y[0]
    parts = []
    for tick in y.ticks(5):
        place = y(tick)
        parts.append(element("line", class_="grid", x1=left, x2=right, y1=place, y2=place))
        parts.append(text(tick_text(tick), left - 7, place + 3.5, class_="tick", text_anchor="end"))
    parts.append(element("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
    for tick in x.ticks(5):
        place = x(tick)
        parts.append(element("line", class_="axis", x1=place, x2=place, y1=bottom, y2=bottom + 4))
        parts.append(text(tick_text(tick), place, bottom + 16, class_="tick", text_anchor="middle"))
    parts.append(text(_name(x_label, x), right, bottom + 32, class_="name", text_anchor="end"))
    parts.append(text(_name(y_label, y), 0, 12, class_="name"))
    return element("g", *parts)


def _name(label: str, scale: Scale) -> str:
    return f"{label}, log scale" if scale.log else label
