"""The figures of one task: learning curves over seeds, and score against cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd

from results.frontier import on_front
from results.report.figures.curves import Line, learning_curves
from results.report.figures.frame import Figure
from results.report.figures.pareto import Point, pareto_front
from results.report.ranked import Ranked
from results.report.series import over_seeds

CurveOf = Callable[[str], pd.DataFrame | None]
"""From a run id to its curve, or to None where there is none."""

MAX_SEEDS: Final = 20
"""Seeds whose curves are read for one line."""
MAX_POINTS: Final = 200
"""Configurations that a figure of score against cost shows."""
EPOCHS_FROM: Final = 3.0
"""Curves of fewer epochs run along steps."""


def task_figures(ranked: Ranked, task_id: str, colours: Mapping[int, int], curve_of: CurveOf) -> list[Figure]:
    """Return the figures of one task that have something to show."""
    return [*_curves(ranked, task_id, colours, curve_of), *_fronts(ranked, task_id, colours)]


def _curves(ranked: Ranked, task_id: str, colours: Mapping[int, int], curve_of: CurveOf) -> list[Figure]:
    curves: dict[int, list[pd.DataFrame]] = {}
    for position in colours:
        runs = [run for run in ranked.runs[position] if run["status"] == "completed"][:MAX_SEEDS]
        found = [curve for run in runs if (curve := curve_of(run["run_id"])) is not None and len(curve)]
        if found:
            curves[position] = found
    if not curves:
        return []
    longest = max(float(curve["epoch"].max()) for group in curves.values() for curve in group)
    axis = "epoch" if longest >= EPOCHS_FROM else "step"
    several = any(len(group) > 1 for group in curves.values())
    left_out = len(ranked.table) - len(colours)
    labels = ranked.labels()
    how = "Line: mean over seeds; band: from the lowest seed to the highest." if several else "One seed each."
    if left_out > 0:
        how += f" The other {left_out} configurations are not drawn."
    figures = []
    for metric, name, title, binned in (
        (ranked.metric, f"val/{ranked.metric}", f"{ranked.metric} on val while training", False),
        ("loss", "train/loss", "Training loss", True),
    ):
        lines = [
            Line(labels[position], f"{task_id}-{position + 1}", colours[position], series)
            for position, group in curves.items()
            if (series := over_seeds(group, name, axis, binned=binned)) is not None
        ]
        if lines:
            figures.append(
                learning_curves(
                    lines,
                    title=title[:1].upper() + title[1:],
                    metric=metric,
                    axis=axis,
                    name=f"{task_id}-{'loss' if binned else 'val'}",
                    note=how,
                    trim=binned,
                )
            )
    return figures


def _fronts(ranked: Ranked, task_id: str, colours: Mapping[int, int]) -> list[Figure]:
    table = ranked.table
    labels = ranked.labels()
    maximize = table.attrs["direction"] == "maximize"
    figures = []
    for column, cost in (("num_parameters", "parameters"), ("seconds", "seconds of training")):
        known = table[table["mean"].notna() & table[column].notna()]
        shown = known.head(MAX_POINTS)
        if len(shown) < 2 or shown[column].nunique() < 2:
            continue
        front = on_front(shown[column], shown["mean"], table.attrs["direction"])
        points = [
            Point(
                label=labels[position],
                key=f"{task_id}-{position + 1}",
                colour=colours.get(position),
                cost=float(shown[column].loc[position]),
                score=float(shown["mean"].loc[position]),
                low=float(shown["low"].loc[position]),
                high=float(shown["high"].loc[position]),
                on_front=best,
            )
            for position, best in zip(shown.index, front, strict=True)
        ]
        figures.append(
            pareto_front(
                points,
                metric=ranked.metric,
                maximize=maximize,
                cost=cost,
                name=f"{task_id}-{column}",
                title=f"Score against {cost}",
                num_left_out=len(known) - len(shown),
            )
        )
    return figures
