"""Every seed as a dot, the mean as a line and the interval as a bar: one strip for each row of a leaderboard."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from results.report.figures.scale import Scale, fit, tick_text
from results.report.figures.svg import element, text

WIDTH: Final = 220.0
HEIGHT: Final = 22.0
PAD: Final = 8.0


@dataclasses.dataclass(frozen=True)
class Strip:
    """What one strip shows, in the unit that the page shows.

    Args:
        scores: The score of every seed.
        mean: Their mean.
        low: Where the interval begins; NaN where there is none.
        high: Where it ends.
        colour: Number in the palette, or None.
        label: What it says in words.
    """

    scores: Sequence[float]
    mean: float
    low: float
    high: float
    colour: int | None
    label: str


def strip_scale(strips: Sequence[Strip], *, percent: bool) -> Scale:
    """Return the one axis that all strips of a table share."""
    values = [value for strip in strips for value in (*strip.scores, strip.low, strip.high)]
    return fit(values, PAD, WIDTH - PAD, bounds=(0.0, 100.0) if percent else None)


def strip_axis(scale: Scale) -> Markup:
    """Return the axis that stands in the header of the column."""
    parts = []
    for tick in scale.ticks(4):
        place = scale(tick)
        parts.append(element("line", class_="axis", x1=place, x2=place, y1=14, y2=18))
        parts.append(text(tick_text(tick), place, 11, class_="tick", text_anchor="middle"))
    return _svg(18, *parts, aria_hidden="true")


def strip(shown: Strip, scale: Scale) -> Markup:
    """Return the drawing of one row."""
    middle = HEIGHT / 2
    colour = "" if shown.colour is None else f" s{shown.colour}"
    parts = [element("line", class_="grid", x1=scale(tick), x2=scale(tick), y1=0, y2=HEIGHT) for tick in scale.ticks(4)]
    if math.isfinite(shown.low) and math.isfinite(shown.high):
        low, high = scale(shown.low), scale(shown.high)
        parts.append(
            element("rect", class_="interval", x=low, width=max(high - low, 1.0), y=middle - 4, height=8, rx=2)
        )
    parts += [element("circle", class_="dot", cx=scale(score), cy=middle, r=2.6) for score in shown.scores]
    if math.isfinite(shown.mean):
        place = scale(shown.mean)
        parts.append(element("line", class_="mean", x1=place, x2=place, y1=middle - 8, y2=middle + 8))
    return _svg(HEIGHT, *parts, role="img", aria_label=shown.label, class_=f"strip{colour}")


def _svg(height: float, *content: Markup, **attributes: str) -> Markup:
    size = {"viewBox": f"0 0 {WIDTH:g} {height:g}", "width": f"{WIDTH:g}", "height": f"{height:g}"}
    return element("svg", *content, **({"class_": "strip"} | attributes), **size)
