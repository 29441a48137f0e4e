"""A leaderboard with the runs behind each of its rows, and which of the rows the figures draw."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pandas as pd

from results.leaderboard import leaderboard
from results.report.palette import NUM_COLOURS


@dataclasses.dataclass(frozen=True)
class Ranked:
    """The leaderboard of one task.

    Args:
        table: What `results.leaderboard.leaderboard` returns.
        runs: For each of its rows the rows of the records, ordered by seed.
        changed: For each of its rows the settings that differ from the defaults.
    """

    table: pd.DataFrame
    runs: list[list[dict[Any, Any]]]
    changed: list[dict[str, Any]]

    @property
    def label(self) -> str:
        """The task's label."""
        return str(self.table.attrs["task"])

    @property
    def metric(self) -> str:
        """The primary metric."""
        return str(self.table.attrs["metric"])

    def labels(self) -> list[str]:
        """Return a short name for each row: its family, with its place where a family has several rows."""
        families = list(self.table["family"])
        return [
            family if families.count(family) == 1 else f"{family} #{position}"
            for position, family in enumerate(families, start=1)
        ]


def rank(records: pd.DataFrame, label: str) -> Ranked:
    """Return the leaderboard of one task, with its runs."""
    table = leaderboard(records, label)
    groups: dict[tuple[str, str], list[dict[Any, Any]]] = {}
    shown = records[(records["task_label"] == label) & (records["purpose"] == "benchmark")]
    for run in shown.to_dict("records"):
        groups.setdefault((run["family"], run["config_id"]), []).append(run)
    runs = [groups[key] for key in zip(table["family"], table["config_id"], strict=True)]
    return Ranked(table, runs, [json.loads(group[0]["changed"]) for group in runs])


def drawn_rows(table: pd.DataFrame) -> list[int]:
    """Return the positions of the rows that figures draw in colour: the best of each family, then the next best."""
    ranked = [position for position, rank in enumerate(table["rank"]) if not pd.isna(rank)]
    firsts: dict[str, int] = {}
    for position in ranked:
        firsts.setdefault(table["family"].iloc[position], position)
    others = [position for position in ranked if position not in firsts.values()]
    return sorted([*firsts.values(), *others][:NUM_COLOURS])
