"""Shares of variance as they are shown."""

from __future__ import annotations

import math

import pandas as pd

from results.presentation.columns import Column, Row, count_text, whole
from results.text import decimals_for, metric_text, score_text


def variance_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of the shares of variance."""
    metric = table.attrs["metric"]
    decimals = decimals_for(metric, table["sd"])

    def share(row: Row) -> str:
        if math.isnan(row["share"]):
            return ""
        text = f"{100 * row['share']:.0f} %"
        return text if math.isnan(row["low"]) else f"{text} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"

    columns = [
        Column("source", "what varies", lambda row: row["source"], is_text=True),
        Column("sd", f"sd of {metric_text(metric)}", lambda row: score_text(metric, row["sd"], decimals)),
        Column("share", "share of variance", share),
        Column("rounds", "rounds", whole("n")),
    ]
    attrs = table.attrs
    sentences = [
        f"{attrs['task']}, {attrs['family']} ({attrs['setting']}): what is left of the variance between runs when one "
        "source alone varies. Sources act together, so shares may add up to more than 100 %.",
        f"Interval: {100 * attrs['level']:.0f} %, jackknife over rounds.",
    ]
    missing = attrs["num_rounds"] - int(table["n"].iloc[0])
    if missing:
        sentences.append(f"{count_text(missing, 'round')} left out: a run did not complete.")
    return columns, " ".join(sentences), "variance"
