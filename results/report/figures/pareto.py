"""Score against cost: what no other configuration beats in both stands on the front."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from results.report.figures.frame import Box, Figure, axes, drawing
from results.report.figures.labels import names_beside
from results.report.figures.scale import Scale, fit, tick_text
from results.report.figures.svg import element, path
from results.text import decimals_for, is_percent, metric_text, score_text

LOG_FROM: Final = 8.0
"""Costs that span more than this factor are drawn on a logarithmic axis."""
MAX_NAMED: Final = 12
"""More names than this would cover the points."""


@dataclasses.dataclass(frozen=True)
class Point:
    """One configuration.

    Args:
        label: Its short name.
        key: What ties it to its row.
        colour: Its number in the palette, or None.
        cost: Parameters or seconds.
        score: Its mean score.
        low: Where the interval of the mean begins; NaN where there is none.
        high: Where it ends.
        on_front: Whether no other configuration is at least as good in both and better in one.
    """

    label: str
    key: str
    colour: int | None
    cost: float
    score: float
    low: float
    high: float
    on_front: bool


def pareto_front(
    points: Sequence[Point],
    *,
    metric: str,
    maximize: bool,
    cost: str,
    name: str,
    title: str,
    num_left_out: int = 0,
) -> Figure:
    """Draw score against cost; ``cost`` names it, and ``name`` is the figure's own prefix for ids."""
    box = Box(right=20)
    factor = 100.0 if is_percent(metric) else 1.0
    costs = [point.cost for point in points]
    wide = min(costs) > 0 and max(costs) / min(costs) > LOG_FROM
    x = fit(costs, *box.x, log=wide)
    edges = [factor * edge for point in points for edge in (point.low, point.high, point.score)]
    y = fit(edges, *box.y, bounds=(0.0, 100.0) if is_percent(metric) else None)
    front = sorted((point for point in points if point.on_front), key=lambda point: (point.cost, point.score))
    steps: list[tuple[float, float]] = []
    for point in front:
        place = (x(point.cost), y(factor * point.score))
        if steps:
            steps.append((place[0], steps[-1][1]))
        steps.append(place)
    if steps:
        steps.append((box.x[1], steps[-1][1]))
    # The front last, so that it lies on top.
    marks = [_mark(point, x(point.cost), y, factor) for point in sorted(points, key=lambda point: point.on_front)]
    placed = [(point.label, x(point.cost), y(factor * point.score)) for point in _named(points)]
    dots = [(x(point.cost), y(factor * point.score)) for point in points]
    better = "up" if maximize else "down"
    note = f"Better is {better} and to the left. The line joins what nothing beats in both; bars are the intervals."
    if num_left_out:
        note += f" The last {num_left_out:,} of the leaderboard are not drawn."
    svg = drawing(
        box,
        title,
        f"{metric_text(metric)} against {cost}. {note}",
        axes(box, x, y, cost, metric_text(metric)),
        element("path", class_="front", d=path(steps)),
        *marks,
        *names_beside(placed, dots, box),
        name=name,
    )
    decimals = decimals_for(metric, [point.score for point in points])
    rows = tuple(
        (point.label, tick_text(point.cost), score_text(metric, point.score, decimals), "yes" if point.on_front else "")
        for point in sorted(points, key=lambda point: (point.cost, point.score))
    )
    return Figure(title, note, svg, ("configuration", cost, metric_text(metric), "on the front"), rows)


def _named(points: Sequence[Point]) -> list[Point]:
    """Return the points that get a name: the front first, then those that have a colour."""
    order = sorted(points, key=lambda point: (not point.on_front, point.colour is None))
    return [point for point in order if point.on_front or point.colour is not None][:MAX_NAMED]


def _mark(point: Point, x: float, y: Scale, factor: float) -> Markup:
    middle = y(factor * point.score)
    bar = None
    if math.isfinite(point.low) and math.isfinite(point.high):
        bar = element("line", class_="bar", x1=x, x2=x, y1=y(factor * point.low), y2=y(factor * point.high))
    colour = "" if point.colour is None else f" s{point.colour}"
    return element(
        "g",
        *([] if bar is None else [bar]),
        element("circle", cx=x, cy=middle, r=4.5 if point.on_front else 3.5),
        element("title", point.label),
        class_=f"point{'' if point.on_front else ' beaten'}{colour}",
        data_key=point.key,
    )
