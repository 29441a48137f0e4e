"""A table of the page that is no leaderboard: a title and sortable columns."""

from __future__ import annotations

import dataclasses
from typing import Final

from results.report.columns import Column

MAX_ROWS: Final = 100
"""Rows of such a table on the page."""


@dataclasses.dataclass(frozen=True)
class Table:
    """One table.

    Args:
        title: Its heading.
        columns: Its columns, of which one at least holds a row's name.
        note: How to read it.
        more: What gives all rows, for a table with too many.
    """

    title: str
    columns: list[Column]
    note: str = ""
    more: str = "boltbench leaderboard"

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0].cells)

    @property
    def num_shown(self) -> int:
        """How many of them are shown."""
        return min(self.num_rows, MAX_ROWS)
