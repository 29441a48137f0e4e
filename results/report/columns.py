"""A leaderboard's columns for the page: texts as they are read, values as they are sorted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from results.report.figures.scale import tick_text
from results.text import decimals_for, metric_text, score_text


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What is read.
        value: What is sorted by; empty where there is no value, which comes last either way.
    """

    text: str | Markup
    value: str


@dataclasses.dataclass(frozen=True)
class Column:
    """One column.

    Args:
        key: Its class in the style.
        header: Its name.
        help: What it means, in one sentence.
        cells: One for each row.
        is_text: Whether it holds words, which stand left and sort by letters.
        best_first: Whether the first click sorts the highest value up, as it does for scores that grow.
    """

    key: str
    header: str
    help: str
    cells: list[Cell]
    is_text: bool = False
    best_first: bool = False


def duration(seconds: float) -> str:
    """Return a time as it is read: ``8.9 s``, ``12 min``, ``3.4 h``."""
    if seconds < 120:
        return f"{seconds:,.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


NUMBERS: Final[tuple[tuple[str, str, str, Callable[[float], str]], ...]] = (
    ("n", "seeds", "Completed runs, one for each seed, that the score is the mean of.", "{:,.0f}".format),
    ("failed", "failed", "Runs of this configuration that did not complete.", "{:,.0f}".format),
    ("num_parameters", "parameters", "Trained numbers of the model.", "{:,.0f}".format),
    ("flops_per_example", "FLOPs", "Operations of one training step, for each example.", tick_text),
    ("seconds", "seconds", "Mean time of training, over all attempts of a run.", "{:,.1f}".format),
    ("peak_memory_mib", "MiB", "Highest use of memory while training, mean over seeds.", "{:,.0f}".format),
    ("energy_joules", "joules", "Energy of training, where the device tells it, mean over seeds.", "{:,.0f}".format),
    ("tuning_trials", "trials", "Trials of the search that chose the settings; 0 for the defaults.", "{:,.0f}".format),
    ("tuning_seconds", "tuning", "How long that search took.", duration),
)
"""Columns of the leaderboard that are shown as they stand: column, header, help and how a value reads."""


def columns_of(table: pd.DataFrame) -> list[Column]:
    """Return the columns that hold a value in any row; that of failures only where a run failed."""
    metric = table.attrs["metric"]
    decimals = decimals_for(metric, [*table["mean"], *table["val_mean"]])
    grows = table.attrs["direction"] == "maximize"
    rows = table.to_dict("records")

    def scores(column: str, spread: str | None = None) -> list[Cell]:
        spreads = [math.nan if spread is None else row[spread] for row in rows]
        texts = [score_text(metric, row[column], decimals, sd) for row, sd in zip(rows, spreads, strict=True)]
        return [Cell(text, _key(row[column])) for text, row in zip(texts, rows, strict=True)]

    found = [
        _score(table, scores("mean", "sd")),
        Column("interval", f"{table.attrs['level']:.0%} interval", INTERVAL_HELP, _intervals(rows, metric, decimals)),
        Column("group", "alike", GROUP_HELP, [Cell(row["group"], row["group"]) for row in rows], is_text=True),
        Column("val", "val", "Mean on val, which the weights were chosen by.", scores("val_mean"), best_first=grows),
    ]
    for key, header, meaning, reading in NUMBERS:
        if key != "failed" or table["failed"].any():
            cells = [Cell(_text(row[key], reading), _key(row[key])) for row in rows]
            found.append(Column(key, header, meaning, cells))
    levels = [Cell(row["determinism"], row["determinism"]) for row in rows]
    found.append(Column("determinism", "determinism", "The weakest level among the runs.", levels, is_text=True))
    return [column for column in found if any(cell.text for cell in column.cells)]


INTERVAL_HELP: Final = "Where the mean over many more seeds would lie, by Student's t; sorted by its lower end."
GROUP_HELP: Final = "Rows that share a letter are not told apart by paired tests over shared seeds."


def _score(table: pd.DataFrame, cells: list[Cell]) -> Column:
    grows = table.attrs["direction"] == "maximize"
    meaning = "Mean on test ± standard deviation over seeds."
    return Column("score", metric_text(table.attrs["metric"]), meaning, cells, best_first=grows)


def _intervals(rows: list[dict[Any, Any]], metric: str, decimals: int) -> list[Cell]:
    cells = []
    for row in rows:
        low, high = (score_text(metric, row[end], decimals) for end in ("low", "high"))
        cells.append(Cell(f"[{low}, {high}]" if low else "", _key(row["low"])))
    return cells


def _text(value: Any, reading: Callable[[float], str]) -> str:
    return "" if pd.isna(value) else reading(value)


def _key(value: Any) -> str:
    return "" if pd.isna(value) else repr(float(value))
