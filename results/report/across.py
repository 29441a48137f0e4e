"""The section across tasks: aggregates of normalised scores, mean ranks, and what searches cost and gained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from results.across import aggregate, critical_difference
from results.errors import LeaderboardError
from results.report.columns import Cell, Column
from results.report.figures.critical import critical_difference_figure
from results.report.figures.frame import Figure
from results.report.searches import search_tables
from results.report.tables import Table

RANK_NOTE: Final = (
    "Methods under one bar are not told apart: their mean ranks differ by less than the critical difference "
    "(Nemenyi, 5 %)."
)
COLUMNS: Final = (
    ("iqm", "interquartile mean", "Mean of the middle half of all normalised scores, tasks and seeds pooled."),
    ("mean", "mean", "Mean of all normalised scores."),
    ("optimality_gap", "optimality gap", "By how much scores fall short of the ceiling on average; lower is better."),
    ("improvement", "beats another", "How often a seed beats one of another method on the same task."),
)
"""Aggregates that have an interval: column, header, help."""


@dataclasses.dataclass(frozen=True)
class AcrossView:
    """The section across tasks.

    Args:
        caption: What was compared on which tasks, and what was left out.
        tables: Its tables.
        figures: Its figures.
        reason: Why there is no comparison of methods, or empty.
    """

    caption: str
    tables: list[Table]
    figures: list[Figure]
    reason: str


def across_view(records: pd.DataFrame, trials: pd.DataFrame | None) -> AcrossView | None:
    """Return the section, or None where there is one task alone and no search."""
    searches = search_tables(records, trials)
    several = records.loc[records["purpose"] == "benchmark", "task_label"].nunique() > 1
    if not several:
        return AcrossView("", searches, [], "") if searches else None
    captions, tables, figures, reasons = [], [], [], []
    for make in (_aggregate, _ranks):
        try:
            caption, table, figure = make(records)
        except LeaderboardError as error:
            reasons.append(str(error))
        else:
            captions += [caption] if caption else []
            tables += [] if table is None else [table]
            figures += [] if figure is None else [figure]
    # Both say why they are not there, often in the same words.
    return AcrossView(" ".join(captions), [*tables, *searches], figures, " ".join(dict.fromkeys(reasons)))


def _aggregate(records: pd.DataFrame) -> tuple[str, Table | None, Figure | None]:
    table = aggregate(records)
    rows = table.to_dict("records")
    names = _names(rows)
    columns = [
        Column(
            "rank", "#", "Rank by the interquartile mean.", [Cell(str(row["rank"]), str(row["rank"])) for row in rows]
        ),
        Column("method", "method", "A family with its settings.", [Cell(name, name) for name in names], is_text=True),
    ]
    for key, header, meaning in COLUMNS:
        best_first = key != "optimality_gap"
        columns.append(Column(key, header, meaning, [_with_interval(row, key) for row in rows], best_first=best_first))
    columns.append(
        _number("mean_rank", "mean rank", "Mean over tasks of the rank by mean score.", rows, "{:.2f}".format)
    )
    columns.append(_number("n", "seeds", "Seeds of each task that count.", rows, "{:,.0f}".format))
    if table["failed"].any():
        columns.append(_number("failed", "failed", "Runs that did not complete.", rows, "{:,.0f}".format))
    tasks = table.attrs["tasks"]
    caption = (
        f"{len(rows)} methods with scores on all of {_listed(list(tasks))}. Scores are normalised: "
        f"0 is a task's floor and 1 its ceiling. Brackets hold {table.attrs['level']:.0%} intervals, where there are "
        "enough scores for one."
    )
    return " ".join([caption, *_left_out(table.attrs)]), Table("Aggregates across tasks", columns), None


def _ranks(records: pd.DataFrame) -> tuple[str, Table | None, Figure | None]:
    table = critical_difference(records)
    attrs = table.attrs
    over = f"{attrs['num_blocks']} {attrs['blocks']}"
    p_value = attrs["friedman_p_value"]
    note = f"{RANK_NOTE} Ranks are over {over}."
    if p_value is not None:
        note += f" Friedman's test that all rank alike: p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}."
    figure = critical_difference_figure(
        _names(table.to_dict("records")),
        table["mean_rank"].tolist(),
        attrs["cliques"],
        attrs["critical_difference"],
        name="across-ranks",
        note=note,
    )
    return "", None, figure


def _with_interval(row: Mapping[Any, Any], key: str) -> Cell:
    value, low, high = row[key], row[f"{key}_low"], row[f"{key}_high"]
    if math.isnan(value):
        return Cell("", "")
    interval = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
    return Cell(f"{value:.3f}{interval}", repr(float(value)))


def _number(
    key: str, header: str, meaning: str, rows: Sequence[Mapping[Any, Any]], reading: Callable[[float], str]
) -> Column:
    cells = [Cell(reading(row[key]), repr(float(row[key]))) for row in rows]
    return Column(key, header, meaning, cells)


def _names(rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Return a name for each method: its family, with its settings where the family has several."""
    families = [row["family"] for row in rows]
    return [
        row["family"]
        if families.count(row["family"]) == 1 or not row["setting"]
        else f"{row['family']} ({row['setting']})"
        for row in rows
    ]


def _left_out(attrs: Mapping[Any, Any]) -> list[str]:
    return ["Left out:", *attrs["left_out"]] if attrs["left_out"] else []


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
