"""The head of the report: what was compared, how much of it, what won where, and on which machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from results.report.columns import duration
from results.report.environments import Environment, environments_of
from results.report.ranked import Ranked
from results.report.sources import Sources
from results.report.tasks import TaskView
from results.text import decimals_for, metric_text, score_text


@dataclasses.dataclass(frozen=True)
class Leader:
    """What won on one task."""

    task_id: str
    task: str
    metric: str
    families: str
    score: str
    floor: str
    num_rows: int
    num_runs: int
    num_failed: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the head of the page says."""

    totals: list[tuple[str, str]]
    sentences: list[str]
    leaders: list[Leader]
    environments: list[Environment]


def summary_of(records: pd.DataFrame, ranked: Sequence[Ranked], views: Sequence[TaskView], sources: Sources) -> Summary:
    """Return the head of the page.

    Args:
        records: The records that it shows.
        ranked: Its leaderboards.
        views: Its sections, in the same order.
        sources: What belongs to the runs beside.
    """
    ranked_runs = records[records["purpose"] == "benchmark"]
    failed = int((ranked_runs["status"] != "completed").sum())
    families = ranked_runs["family"].nunique()
    totals = [
        (f"{len(ranked_runs):,}", "run" if len(ranked_runs) == 1 else "runs"),
        (f"{len(views):,}", "task" if len(views) == 1 else "tasks"),
        (f"{families:,}", "family" if families == 1 else "families"),
        (f"{sum(view.num_rows for view in views):,}", "configurations"),
        (f"{failed:,}", "did not complete"),
        (duration(float(records["seconds"].sum())), "of training"),
    ]
    return Summary(
        totals, _sentences(records), list(map(_leader, ranked, views)), environments_of(records, sources.environment)
    )


def _sentences(records: pd.DataFrame) -> list[str]:
    sentences = []
    first, last = records["started_at"].min(), records["finished_at"].max()
    if not pd.isna(first) and not pd.isna(last):
        sentences.append(f"Runs were made from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC.")
    protocol = records.attrs.get("protocol")
    if protocol is not None:
        sentences.append(f"All follow version {protocol} of the protocol.")
    for purpose, one, several in (
        ("trial", "trial of a sweep is", "trials of sweeps are"),
        ("variance", "run for a measure of variance is", "runs for measures of variance are"),
    ):
        count = int((records["purpose"] == purpose).sum())
        if count:
            sentences.append(f"{count:,} {one if count == 1 else several} not ranked.")
    unfinished = records.attrs.get("num_unfinished") or 0
    if unfinished:
        folders = "1 run folder holds" if unfinished == 1 else f"{unfinished:,} run folders hold"
        sentences.append(f"{folders} no result yet and are not counted; `boltbench resume` goes on with them.")
    return sentences


def _leader(ranked: Ranked, view: TaskView) -> Leader:
    table = ranked.table
    first = table[table["rank"] == 1]
    decimals = decimals_for(ranked.metric, table["mean"])
    score = "" if first.empty else score_text(ranked.metric, first["mean"].iloc[0], decimals, first["sd"].iloc[0])
    return Leader(
        task_id=view.id,
        task=view.label,
        metric=metric_text(ranked.metric),
        families=", ".join(dict.fromkeys(first["family"])) or "none",
        score=score,
        floor=score_text(ranked.metric, table.attrs["floor"], decimals),
        num_rows=view.num_rows,
        num_runs=table.attrs["num_runs"],
        num_failed=view.num_failures,
    )
