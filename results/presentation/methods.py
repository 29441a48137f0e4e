"""Methods across tasks as they are shown: aggregates, and ranks with their critical difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from results.presentation.columns import Column, Row, count_text, decimal, p_text, whole


def aggregate_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of methods over several tasks."""

    def value(key: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            found = "" if math.isnan(row[key]) else f"{row[key]:z.3f}"
            low, high = row[f"{key}_low"], row[f"{key}_high"]
            return found if math.isnan(low) else f"{found} [{low:z.3f}, {high:z.3f}]"

        return text

    columns = [
        Column("rank", "rank", whole("rank")),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("iqm", "IQM", value("iqm")),
        Column("mean", "mean", value("mean"), by_default=False),
        Column("gap", "optimality gap", value("optimality_gap")),
        Column("improvement", "P(improvement)", value("improvement")),
        Column("mean-rank", "mean rank", decimal("mean_rank", 2)),
        Column("seeds", "seeds", whole("n")),
        Column("failed", "failed", whole("failed")),
    ]
    attrs = table.attrs
    sentences = [f"{count_text(len(attrs['tasks']), 'task')}: {', '.join(attrs['tasks'])}. Scores: 0 floor, 1 ceiling."]
    if table["iqm_low"].notna().any():
        sentences.append(f"Intervals: {100 * attrs['level']:.0f} %, studentised stratified bootstrap over seeds.")
    else:
        sentences.append("No intervals: they need ten scores per method, such as two tasks with five seeds.")
    sentences += [_rank_sentence(attrs), *_shared(attrs), *(f"Left out: {text}" for text in attrs["left_out"])]
    return columns, " ".join(filter(None, sentences)), "aggregate"


def rank_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of mean ranks."""
    columns = [
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("mean-rank", "mean rank", decimal("mean_rank", 2)),
    ]
    attrs = table.attrs
    what = f"Ranks over {attrs['num_blocks']} {attrs['blocks']} ({', '.join(attrs['tasks'])})."
    sentences = [what, _rank_sentence(attrs), *_shared(attrs), *(f"Left out: {text}" for text in attrs["left_out"])]
    return columns, " ".join(filter(None, sentences)), "ranks"


def _rank_sentence(attrs: Mapping[Any, Any]) -> str:
    if attrs["critical_difference"] is None:
        return ""
    text = f"Mean ranks differ significantly from {attrs['critical_difference']:.2f} on (Nemenyi, 5 %)"
    p = attrs["friedman_p_value"]
    return f"{text}; Friedman p {p_text(p) if p < 0.001 else f'= {p_text(p)}'}." if p is not None else f"{text}."


def _shared(attrs: Mapping[Any, Any]) -> list[str]:
    return [f"All on {task}: {text}." for task, text in attrs["shared"].items() if text != "default"]
