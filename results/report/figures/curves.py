"""Learning curves: a line for each configuration, a band over its seeds, its name at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from markupsafe import Markup

from results.report.figures.frame import Box, Figure, axes, drawing
from results.report.figures.scale import fit, wants_log
from results.report.figures.svg import area, element, path, spread, text
from results.report.series import Series
from results.text import decimals_for, is_percent, metric_text, score_text

LABEL_GAP: Final = 13.5
TRIMMED_SHARE: Final = 0.02
"""The first losses may tower over the rest: then a linear axis leaves this share of all points out at the top."""
TOWERING: Final = 1.5
"""How much longer the axis would be with them."""
SHARES: Final = (0.25, 0.5, 0.75, 1.0)
"""The points of a curve that the table beside the figure gives."""


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the figure.

    Args:
        label: Its short name.
        key: What ties it to the rows and marks of the same configuration elsewhere on the page.
        colour: Its number in the palette.
        series: Its points.
    """

    label: str
    key: str
    colour: int
    series: Series


def learning_curves(
    lines: Sequence[Line], *, title: str, metric: str, axis: str, name: str, note: str, trim: bool = False
) -> Figure:
    """Draw the lines.

    Args:
        lines: The lines, in the order of the leaderboard; at least one.
        title: The figure's heading.
        metric: What runs upwards.
        axis: What runs along, ``step`` or ``epoch``.
        name: The figure's own prefix for ids.
        note: How to read the figure.
        trim: Whether high values at the beginning may leave the picture.
    """
    box = Box()
    factor = 100.0 if is_percent(metric) else 1.0
    x = dataclasses.replace(fit([0.0], *box.x), low=0.0, high=max(line.series.x[-1] for line in lines))
    values = factor * np.concatenate([edge for line in lines for edge in (line.series.low, line.series.high)])
    log = not is_percent(metric) and wants_log(values.tolist())
    kept = values[values <= np.quantile(values, 1 - TRIMMED_SHARE)]
    if trim and not log and np.ptp(values) > TOWERING * np.ptp(kept):
        values = kept
        note += f" The highest {TRIMMED_SHARE:.0%} of all points lie above the picture."
    y = fit(values.tolist(), *box.y, log=log, bounds=(0.0, 100.0) if is_percent(metric) else None)
    bands, marks, names = [], [], []
    ends = [min(max(y(factor * line.series.mean[-1]), box.top), box.y[0]) for line in lines]
    places = spread(ends, LABEL_GAP, box.top, box.y[0])
    for line, end, place in zip(lines, ends, places, strict=True):
        colour = f"s{line.colour}"
        xs = [x(value) for value in line.series.x]
        low, mean, high = (
            [y(factor * value) for value in edge] for edge in (line.series.low, line.series.mean, line.series.high)
        )
        if line.series.num_seeds > 1:
            bands.append(element("path", class_=f"band {colour}", d=area(xs, low, high), data_key=line.key))
        points = path(zip(xs, mean, strict=True))
        marks.append(element("path", class_=f"line {colour}", d=points, data_key=line.key))
        if len(xs) == 1:  # a path of one point shows nothing
            marks.append(element("circle", class_=f"dot {colour}", cx=xs[0], cy=mean[0], r=3.5, data_key=line.key))
        names.append(_label(line, box, (xs[-1], end), place))
    clip = element(
        "clipPath",
        element("rect", x=box.left, y=box.top - 4, width=box.x[1] - box.left + 2, height=box.y[0] - box.top + 4),
        id=f"{name}-clip",
    )
    svg = drawing(
        box,
        title,
        f"{metric_text(metric)} against {axis}s for {', '.join(line.label for line in lines)}. {note}",
        axes(box, x, y, f"{axis}s", metric_text(metric)),
        element("defs", clip),
        element("g", *bands, *marks, clip_path=f"url(#{name}-clip)"),
        *names,
        name=name,
    )
    decimals = decimals_for(metric, [float(line.series.mean[-1]) for line in lines])
    rows = tuple(
        (
            line.label,
            str(line.series.num_seeds),
            *(score_text(metric, line.series.at(share), decimals) for share in SHARES),
        )
        for line in lines
    )
    return Figure(title, note, svg, ("configuration", "seeds", *(f"after {share:.0%}" for share in SHARES)), rows)


def _label(line: Line, box: Box, end: tuple[float, float], place: float) -> Markup:
    """Return the name of a line in the right margin, and what leads to it from the line's end."""
    margin = box.x[1]
    leader = path([(end[0] + 2, end[1]), (margin + 8, place), (margin + 13, place)])
    return element(
        "g",
        element("path", class_="leader", d=leader),
        text(line.label, margin + 17, place + 4, class_="label"),
        class_=f"s{line.colour}",
        data_key=line.key,
    )
