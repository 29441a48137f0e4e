"""Tables as pictures: the critical-difference diagram, and scores against cost with the Pareto front."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.frontier import COSTS, pareto
from results.plots import INK, MARK, PALE
from results.presentation.columns import p_text
from results.text import is_percent, metric_text

MAX_LABELLED: Final = 30
"""Beyond so many rows names would lie on each other, and the front alone is named."""
COST_TEXTS: Final = {
    "num_parameters": "parameters",
    "flops_per_example": "operations per example, forward and backward",
    "seconds": "seconds of training",
    "peak_memory_mib": "peak memory, MiB",
    "energy_joules": "energy, joules",
}
assert tuple(COST_TEXTS) == COSTS

_ROW: Final = 0.24
"""Inches between two names of a rank diagram."""


def pictures_of(table: pd.DataFrame) -> dict[str, bytes]:
    """Return the pictures of any table by what they show; empty where there is nothing to draw."""
    if table.attrs["view"] == "ranks":
        return {"ranks": rank_diagram(table)}
    if table.attrs["view"] != "task":
        return {}
    drawn = {cost: front_picture(table, cost) for cost in ("num_parameters", "seconds")}
    return {cost.replace("_", "-"): picture for cost, picture in drawn.items() if picture is not None}


def rank_diagram(ranks: pd.DataFrame) -> bytes:
    """Draw mean ranks on a line, the best on the right, with bars over methods that are not told apart, as PNG.

    Reference: Demsar, 2006, JMLR 7, figure 1.

    Args:
        ranks: What `results.across.critical_difference` returns.
    """
    attrs = ranks.attrs
    means = ranks["mean_rank"].to_numpy()
    names = _names(ranks)
    num_methods = len(means)
    bars = _levels(attrs["cliques"])
    half = (num_methods + 1) // 2
    height = 1.6 + _ROW * (half + 0.6 * (max(bars, default=-1) + 1))
    with _figure(8.0, height) as (figure, axes, buffer):
        axes.set_xlim(num_methods + 0.3, 0.7)
        bottom = -(half + 0.6 * (max(bars, default=-1) + 1) + 1.4)
        axes.set_ylim(bottom, 2.6)
        axes.axis("off")
        axes.plot([1, num_methods], [0, 0], color="black", linewidth=1)
        for tick in range(1, num_methods + 1):
            axes.plot([tick, tick], [0, 0.25], color="black", linewidth=1)
            axes.text(tick, 0.4, str(tick), ha="center", va="bottom", fontsize=8)
        difference = attrs["critical_difference"]
        drawn = min(difference, num_methods - 1)
        axes.plot([1, 1 + drawn], [1.7, 1.7], color=MARK, linewidth=2)
        cut = "" if drawn == difference else ", wider than the axis"
        axes.text(
            1 + drawn / 2, 1.85, f"critical difference {difference:.2f}{cut}", ha="center", fontsize=8, color=MARK
        )
        for level, (first, last) in zip(bars, attrs["cliques"], strict=True):
            y = -0.45 - 0.6 * level
            axes.plot(
                [means[first] - 0.05, means[last] + 0.05], [y, y], color=INK, linewidth=3.5, solid_capstyle="butt"
            )
        below = -0.45 - 0.6 * (max(bars, default=-1) + 1)
        for index, (mean, name) in enumerate(zip(means, names, strict=True)):
            is_right = index < half
            y = below - (index if is_right else num_methods - 1 - index) - 0.5
            end = 0.75 if is_right else num_methods + 0.25
            axes.plot([mean, mean, end], [0, y, y], color="#606060", linewidth=0.8)
            side = "left" if is_right else "right"
            axes.text(end, y, f" {name}  {mean:.2f} ", ha=side, va="center", fontsize=8.5)
        p = attrs["friedman_p_value"]
        test = "" if p is None else f"; Friedman p {p_text(p) if p < 0.001 else '= ' + p_text(p)}"
        what = f"Mean ranks over {attrs['num_blocks']} {attrs['blocks']} of {', '.join(attrs['tasks'])}{test}"
        figure.suptitle(what, fontsize=9)
    return buffer.getvalue()


def front_picture(table: pd.DataFrame, cost: str = "num_parameters") -> bytes | None:
    """Draw the score of each row of a leaderboard against a cost, the Pareto front joined, as PNG.

    None where fewer than two rows have both.
    """
    known = table[table["mean"].notna() & table[cost].notna()]
    if len(known) < 2:
        return None
    metric = table.attrs["metric"]
    factor = 100.0 if is_percent(metric) else 1.0
    front = pareto(table, cost)
    with _figure(7.0, 4.6) as (figure, axes, buffer):
        costs, scores = known[cost].astype(float), factor * known["mean"]
        axes.errorbar(
            costs, scores, yerr=factor * known["sd"].fillna(0.0), fmt="o", color=INK, ecolor=PALE, markersize=4
        )
        on_front = front[cost].astype(float), factor * front["mean"]
        axes.plot(*on_front, color=MARK, linewidth=1, drawstyle="steps-post", label="Pareto front")
        axes.plot(*on_front, color=MARK, linestyle="none", marker="o", markersize=5, zorder=3)
        if costs.min() > 0 and costs.max() / costs.min() > 20:
            axes.set_xscale("log")
        for row in (known if len(known) <= MAX_LABELLED else front).to_dict("records"):
            place = (float(row[cost]), factor * row["mean"])
            axes.annotate(row["family"], place, xytext=(5, 4), textcoords="offset points", fontsize=8)
        axes.margins(x=0.12, y=0.1)
        axes.set_xlabel(COST_TEXTS[cost], fontsize=9)
        axes.set_ylabel(f"test {metric_text(metric)}, mean ± sd", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.grid(color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(fontsize=8, frameon=False, loc="best")
        figure.suptitle(str(table.attrs["task"]), fontsize=10)
    return buffer.getvalue()


def _names(ranks: pd.DataFrame) -> list[str]:
    families = list(ranks["family"])
    return [
        family if families.count(family) == 1 else f"{family} ({_shortened(setting)})"
        for family, setting in zip(families, ranks["setting"], strict=True)
    ]


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _levels(cliques: Sequence[tuple[int, int]]) -> list[int]:
    """Return a row for each bar, such that bars of one row do not touch."""
    ends: list[int] = []
    levels = []
    for first, last in cliques:
        level = next((index for index, end in enumerate(ends) if end < first), len(ends))
        ends[level:] = [last, *ends[level + 1 :]]
        levels.append(level)
    return levels


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Axes, io.BytesIO]]:
    """Yield an empty figure, and write it as PNG when the caller is done."""
    buffer = io.BytesIO()
    # The default style, whatever matplotlibrc lies on this machine: else equal tables would not give equal bytes.
    with style.context("default"):
        figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        assert isinstance(axes, Axes)
        yield figure, axes, buffer
        figure.savefig(buffer, format="png", metadata={"Software": None})
