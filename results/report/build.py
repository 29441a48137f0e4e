"""From records to the document: every section made, then the page filled in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pandas as pd

from results.errors import LeaderboardError
from results.leaderboard import task_labels
from results.report.across import across_view
from results.report.claims import claims_view
from results.report.page import render
from results.report.palette import family_colours, line_colours
from results.report.pictures import task_pictures
from results.report.ranked import Ranked, drawn_rows, rank
from results.report.sources import Sources
from results.report.summary import summary_of
from results.report.task_figures import task_figures
from results.report.tasks import TaskView, task_view

TITLE: Final = "Boltbench report"


def build_report(
    records: pd.DataFrame,
    *,
    sources: Sources | None = None,
    tasks: Sequence[str] | None = None,
    title: str = TITLE,
) -> str:
    """Return the report as one HTML document; equal records and curves give equal bytes.

    Args:
        records: What `results.records.load_records` returns.
        sources: Curves, fingerprints and pictures of the runs; None leaves them out.
        tasks: Labels of tasks as `results.leaderboard.task_labels` lists them; None takes all.
        title: The heading.

    Raises:
        LeaderboardError: There are no runs to rank, or none of a task that was asked for; or runs of one task cannot
            be compared.
    """
    sources = sources or Sources()
    labels = list(tasks) if tasks is not None else task_labels(records)
    if not labels:
        raise LeaderboardError(
            "A report needs at least one finished run, but there is none. `boltbench run` makes one."
        )
    every = [rank(records, label) for label in dict.fromkeys(labels)]
    ranked = [one for one in every if len(one.table)]
    if not ranked:
        raise LeaderboardError(
            "A report needs runs with a score on test, or runs that failed, but there are trials of sweeps alone. "
            "`boltbench run` makes others."
        )
    colours = _colours(ranked)
    views: list[TaskView] = []
    for one, own in zip(ranked, colours, strict=True):
        task_id = f"task-{len(views) + 1}-{_slug(one.label)}"
        figures = task_figures(one, task_id, own, sources.curve)
        views.append(task_view(one, task_id, own, figures, task_pictures(one, sources.pictures)))
    shown = records[records["task_label"].isin(labels)]
    return render(
        title=title,
        summary=summary_of(shown, ranked, views, sources),
        tasks=views,
        claims=None if tasks is not None else claims_view(sources.verdicts),
        across=across_view(shown, sources.trials),
        footer="Made by Boltbench from run folders; needs no network and no other file.",
    )


def _colours(ranked: Sequence[Ranked]) -> list[dict[int, int]]:
    """Return position of a drawn row -> colour, for each task."""
    drawn = [drawn_rows(one.table) for one in ranked]
    families = [
        [one.table["family"].iloc[position] for position in rows] for one, rows in zip(ranked, drawn, strict=True)
    ]
    preferred = family_colours(families)
    return [
        dict(zip(rows, line_colours(names, preferred), strict=True))
        for rows, names in zip(drawn, families, strict=True)
    ]


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
