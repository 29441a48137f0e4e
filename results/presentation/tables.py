"""Any of the tables as headers, texts and a caption, rounded once for the terminal, Markdown and every page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from results.errors import LeaderboardError, did_you_mean
from results.presentation.columns import Column
from results.presentation.leaderboards import task_view
from results.presentation.methods import aggregate_view, rank_view
from results.presentation.searches import budget_view, tuning_view
from results.presentation.variance import variance_view


@dataclasses.dataclass(frozen=True)
class Shown:
    """A table ready to be written."""

    name: str
    """What its files are called."""
    columns: list[Column]
    cells: list[list[str]]
    best: list[bool]
    tied: list[bool]
    """Rows that are not told apart from the best one."""
    caption: str

    def without(self, keys: set[str]) -> Shown:
        """Return the table without some of its columns."""
        kept = [index for index, column in enumerate(self.columns) if column.key not in keys]
        return dataclasses.replace(
            self,
            columns=[self.columns[index] for index in kept],
            cells=[[row[index] for index in kept] for row in self.cells],
        )


def present(table: pd.DataFrame, columns: Sequence[str] | None = None) -> Shown:
    """Return a table as it is shown.

    Args:
        table: What `leaderboard`, `aggregate`, `critical_difference`, `best_of_k` or `default_against_tuned` returns.
        columns: Keys of columns, in order; None takes those that are shown by default, ``["all"]`` every one.

    Raises:
        LeaderboardError: A column is unknown to this kind of table.
    """
    known, caption_text, name = _VIEWS[table.attrs["view"]](table)
    rows: list[Any] = table.to_dict("records")
    has_best = "rank" in table
    best = [has_best and not pd.isna(row["rank"]) and row["rank"] == 1 for row in rows]
    first = set(rows[0].get("group", "")) if rows else set()
    tied = [not is_best and bool(first & set(row.get("group", ""))) for is_best, row in zip(best, rows, strict=True)]
    chosen = _chosen(known, columns)
    cells = [[column.text(row) for column in chosen] for row in rows]
    return Shown(name, chosen, cells, best, tied, caption_text)


def _chosen(known: Sequence[Column], keys: Sequence[str] | None) -> list[Column]:
    if keys is None:
        return [column for column in known if column.by_default]
    if list(keys) == ["all"]:
        return list(known)
    by_key = {column.key: column for column in known}
    for key in keys:
        if key not in by_key:
            raise LeaderboardError(
                f"This table has no column {key!r}.{did_you_mean(key, by_key)} Columns: all, {', '.join(by_key)}."
            )
    return [by_key[key] for key in dict.fromkeys(keys)]


_VIEWS: Final = {
    "variance": variance_view,
    "task": task_view,
    "aggregate": aggregate_view,
    "ranks": rank_view,
    "budget": budget_view,
    "tuning": tuning_view,
}
