"""Searches as they are shown: the best of k trials, and tuned against default."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from results.presentation.columns import Column, Row, decimal, p_text, whole
from results.text import decimals_for, metric_text, score_text


def budget_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of searches at equal numbers of trials."""
    ks = table.attrs["ks"]
    decimals = {
        str(metric): decimals_for(str(metric), [value for k in ks for value in rows[f"best_of_{k}"]])
        for metric, rows in table.groupby("metric", sort=True)
    }

    def best(position: int) -> Callable[[Row], str]:
        k = ks[position]

        def text(row: Row) -> str:
            if math.isnan(row[f"best_of_{k}"]):
                return ""
            rank = row[f"rank_at_{k}"]
            before = row[f"rank_at_{ks[position - 1]}"] if position else rank
            moved = "" if pd.isna(before) or before == rank else " up" if rank < before else " down"
            return f"{score_text(row['metric'], row[f'best_of_{k}'], decimals[row['metric']])} (#{rank}{moved})"

        return text

    columns = [
        Column("task", "task", lambda row: row["task_label"], is_text=True),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("study", "study", lambda row: row["study"], is_text=True),
        Column("metric", "val", lambda row: metric_text(row["metric"]), is_text=True),
        *(Column(f"best-of-{k}", f"best of {k}", best(position)) for position, k in enumerate(ks)),
        Column("trials", "trials", whole("num_trials")),
        Column("scoreless", "no score", whole("num_without_score")),
        Column("seconds", "seconds", decimal("seconds", 0)),
        Column("sampler", "sampler", lambda row: row["sampler"], is_text=True),
    ]
    text = (
        "Expected best val score of k trials, with the rank among the searches of the task and how it moved since the "
        "k before. Unbiased for random search; for a guided sampler it is the best of k of these trials in any order. "
        "A trial without a score counts as the worst of its study."
    )
    return columns, text, "budget"


def tuning_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of what tuning gained."""
    decimals = {
        str(metric): decimals_for(str(metric), [*rows["default_mean"], *rows["tuned_mean"]])
        for metric, rows in table.groupby("metric", sort=True)
    }

    def score(key: str, spread: str | None = None) -> Callable[[Row], str]:
        return lambda row: score_text(
            row["metric"], row[key], decimals[row["metric"]], row[spread] if spread else math.nan
        )

    def gain(row: Row) -> str:
        text = score("gain")(row)
        return text if math.isnan(row["gain_low"]) else f"{text} [{score('gain_low')(row)}, {score('gain_high')(row)}]"

    columns = [
        Column("task", "task", lambda row: row["task_label"], is_text=True),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("study", "study", lambda row: row["study"], is_text=True),
        Column("metric", "test", lambda row: metric_text(row["metric"]), is_text=True),
        Column("default", "default", score("default_mean", "default_sd")),
        Column("tuned", "tuned", score("tuned_mean", "tuned_sd")),
        Column("gain", "gain", gain),
        Column("p", "p", lambda row: p_text(row["p_value"])),
        Column("seeds", "seeds", whole("n")),
        Column("trials", "trials", whole("tuning_trials")),
        Column("search-seconds", "search s", decimal("tuning_seconds", 0)),
        Column("device-seconds", "device s", decimal("tuning_device_seconds", 0)),
    ]
    text = "Tuned against default on fresh shared seeds; a positive gain is better. Interval: 95 %, Student's t."
    return columns, text, "tuning"
