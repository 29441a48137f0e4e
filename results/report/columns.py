"""A leaderboard's columns for the page: texts as they are read, values as they are sorted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

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


NUMBERS: Final[tuple[tuple[str, str, str, Callable[[float], str]], ...]] = (
    ("n", "seeds", "Completed runs, one for each seed, that the score is the mean of.", "{:,.0f}".format),
    ("failed", "failed", "Runs of this configuration that did not complete.", "{:,.0f}".format),
    ("num_parameters", "parameters", "Trained numbers of the model.", "{:,.0f}".format),
    ("seconds", "seconds", "Mean time of training, over all attempts of a run.", "{:,.1f}".format),
)
"""Columns of the leaderboard that are shown as they stand: column, header, help and how a value reads."""


def columns_of(table: pd.DataFrame) -> list[Column]:
    """Return the columns that hold a value in any row."""
    metric = table.attrs["metric"]
    decimals = decimals_for(metric, [*table["mean"], *table["val_mean"]])
    grows = table.attrs["direction"] == "maximize"
    rows = table.to_dict("records")

    def scores(column: str, spread: str | None = None) -> list[Cell]:
        return [
            Cell(
                score_text(metric, row[column], decimals, math.nan if spread is None else row[spread]),
                _key(row[column]),
            )
            for row in rows
        ]

    found = [
        Column(
            "score",
            metric_text(metric),
            "Mean on test ± standard deviation over seeds.",
            scores("mean", "sd"),
            best_first=grows,
        ),
        Column("val", "val", "Mean on val, which the weights were chosen by.", scores("val_mean"), best_first=grows),
    ]
    for key, header, meaning, reading in NUMBERS:
        cells = [Cell(_text(row[key], reading), _key(row[key])) for row in rows]
        found.append(Column(key, header, meaning, cells))
    levels = [Cell(row["determinism"], row["determinism"]) for row in rows]
    found.append(Column("determinism", "determinism", "The weakest level among the runs.", levels, is_text=True))
    return [column for column in found if any(cell.text for cell in column.cells)]


def _text(value: Any, reading: Callable[[float], str]) -> str:
    return "" if pd.isna(value) else reading(value)


def _key(value: Any) -> str:
    return "" if pd.isna(value) else repr(float(value))
