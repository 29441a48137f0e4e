"""The Pareto front: the rows that no other row beats in both score and cost."""

from __future__ import annotations

import pandas as pd

COSTS = ("num_parameters", "flops_per_example", "seconds", "peak_memory_mib", "energy_joules")
"""The columns of a leaderboard that a score may be weighed against."""


def on_front(costs: pd.Series, scores: pd.Series, direction: str) -> pd.Series:
    """Return for each row whether no other row is at least as good in both cost and score, and better in one.

    Rows that lack a cost or a score are never on the front. Equal rows are on it together.
    """
    sign = -1.0 if direction == "maximize" else 1.0
    points = pd.DataFrame({"cost": costs.astype("float64"), "loss": sign * scores.astype("float64")}).dropna()
    points = points.sort_values(["cost", "loss"], kind="stable")
    # The best score of all strictly cheaper rows, and of those that cost as much.
    cheapest = points.groupby("cost")["loss"].min()
    before = cheapest.cummin().shift(fill_value=float("inf"))
    best = (points["loss"] < points["cost"].map(before)) & (points["loss"] == points["cost"].map(cheapest))
    return best.reindex(costs.index, fill_value=False).astype(bool)


def pareto(table: pd.DataFrame, cost: str = "num_parameters") -> pd.DataFrame:
    """Return the rows of a leaderboard that are on the front of its score against ``cost``, the cheapest first."""
    assert cost in COSTS
    front = table[on_front(table[cost], table["mean"], table.attrs["direction"])]
    return front.sort_values([cost, "mean"], kind="stable", ignore_index=True)
