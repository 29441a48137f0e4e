"""The learning curve of one run as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from results.curves import read_curve
from results.files import read_result
from results.text import decimals_for, is_percent, metric_text, score_text

INK: Final = "#1f4e79"
PALE: Final = "#9db8d2"
MARK: Final = "#b03a2e"
NUM_SMOOTHED_POINTS: Final = 50
"""The smoothed line averages over this share of the curve: one in 50 of its steps."""
MIN_WINDOW: Final = 5
"""Shorter curves are drawn as they are."""
LOG_SCALE_FROM: Final = 50.0
"""Losses that span more than this factor are drawn on a logarithmic scale."""


def learning_curve(run_folder: Path) -> bytes:
    """Draw training loss per step and the primary metric on val, the selected step marked, as PNG bytes.

    Equal run folders give equal bytes. An unfinished run is drawn as far as it went, with nothing selected.

    Raises:
        RecordError: There is no such run, or its files are damaged.
    """
    folder = Path(run_folder)
    curve = read_curve(folder)
    result = read_result(folder) or {}
    # The default style, whatever matplotlibrc lies on this machine: else equal runs would not give equal bytes.
    with style.context("default"):
        # Fixed margins: a layout that is solved for costs as much as the drawing itself.
        figure = Figure(figsize=(7.0, 5.0), dpi=120)
        figure.subplots_adjust(left=0.12, right=0.975, top=0.925, bottom=0.095, hspace=0.1)
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        status = result.get("status", "unfinished")
        figure.suptitle(folder.name if status == "completed" else f"{folder.name} ({status})", fontsize=11)
        _draw_loss(upper, _series(curve, "train/loss"))
        _draw_metric(lower, curve, result)
        lower.set_xlabel("step", fontsize=9)
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
            axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
            axes.set_axisbelow(True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()


def _draw_loss(axes: Axes, losses: pd.DataFrame) -> None:
    axes.set_ylabel("train loss", fontsize=9)
    if losses.empty:
        _say_nothing(axes)
        return
    steps, values = losses["step"].to_numpy(), losses["value"]
    finite = values.dropna()
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > LOG_SCALE_FROM:
        axes.set_yscale("log")
    window = len(values) // NUM_SMOOTHED_POINTS
    if window < MIN_WINDOW:
        axes.plot(steps, values.to_numpy(), color=INK, linewidth=1.2)
        return
    axes.plot(steps, values.to_numpy(), color=PALE, linewidth=0.6, label="per step")
    smooth = values.rolling(window, center=True, min_periods=1).mean().where(values.notna())
    axes.plot(steps, smooth.to_numpy(), color=INK, linewidth=1.4, label=f"mean of {window} steps")
    # A fixed place: "best" compares it with every point, 2 s for 300,000 steps.
    axes.legend(loc="upper right", fontsize=8, framealpha=0.8, edgecolor="none")


def _draw_metric(axes: Axes, curve: pd.DataFrame, result: dict[str, Any]) -> None:
    known = [name for name in curve["name"].unique() if name.startswith("val/")]
    wanted = f"val/{result['metric']}" if "metric" in result else next(iter(sorted(known)), "val/metric")
    metric = wanted.removeprefix("val/")
    axes.set_ylabel(f"val {metric_text(metric)}", fontsize=9)
    scores = _series(curve, wanted)
    if scores.empty:
        _say_nothing(axes)
        return
    factor = 100.0 if is_percent(metric) else 1.0
    axes.plot(
        scores["step"].to_numpy(),
        factor * scores["value"].to_numpy(),
        color=INK,
        linewidth=1.2,
        marker="o",
        markersize=2.5,
    )
    step = (result.get("selection") or {}).get("step")
    if step is None:
        return
    axes.axvline(step, color=MARK, linewidth=0.8, linestyle="--")
    at_step = scores.loc[scores["step"] == step, "value"].dropna()
    label = f"selected: step {step}"
    if len(at_step):
        score = float(at_step.iloc[0])
        label += f", {score_text(metric, score, decimals_for(metric, [score]))}"
        axes.plot([step], [factor * score], color=MARK, marker="o", markersize=5, linestyle="none", label=label)
    axes.legend(fontsize=8, framealpha=0.8, edgecolor="none")


def _series(curve: pd.DataFrame, name: str) -> pd.DataFrame:
    return curve[curve["name"] == name]


def _say_nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center", fontsize=9, color="#808080")
