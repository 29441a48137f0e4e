"""One task's section: its leaderboard row by row, its figures, and the runs that did not complete."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from results.presentation.leaderboards import caption
from results.report.columns import Cell, Column, columns_of
from results.report.differences import Difference, differences, shared_settings
from results.report.figures.frame import Figure
from results.report.figures.seeds import Strip, strip, strip_axis, strip_scale
from results.report.pictures import Picture
from results.report.ranked import Ranked
from results.report.runs import RunView, run_views
from results.statistics.comparisons import ALPHA
from results.terminal import short_settings
from results.text import decimals_for, is_percent, score_text, setting_text

MAX_ROWS: Final = 200
"""Rows of a leaderboard on the page; a note below it says how many there are and where they all stand."""
MAX_RUNS: Final = 25
"""Runs of one row on the page."""
MAX_FAILURES: Final = 100
"""Runs of one task on the page that did not complete."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One configuration.

    Args:
        key: What ties it to its marks in the figures; unique on the page.
        position: Its place in the table, from 1.
        rank: Its rank, or empty.
        family: Its family.
        own: What it changes that not all rows change alike.
        colour: Its number in the palette, or None where no figure draws it.
        strip: Its seeds as a drawing.
        cells: One for each column.
        above: How the row above is called, or empty in the first.
        differences: What it sets otherwise than the row above.
        against_first: What the test against the first row says, or empty.
        changed: All that it changes.
        runs: Its runs, `MAX_RUNS` at most.
        num_runs: How many it has.
    """

    key: str
    position: int
    rank: str
    family: str
    own: str
    colour: int | None
    strip: Markup
    cells: list[Cell]
    above: str
    differences: list[Difference]
    against_first: str
    changed: str
    runs: list[RunView]
    num_runs: int


@dataclasses.dataclass(frozen=True)
class TaskView:
    """One task as the page shows it."""

    id: str
    label: str
    kind: str
    caption: str
    shared: str
    columns: list[Column]
    axis: Markup
    rows: list[Row]
    num_rows: int
    figures: list[Figure]
    pictures: list[Picture]
    failures: list[RunView]
    num_failures: int


def task_view(
    ranked: Ranked, task_id: str, colours: Mapping[int, int], figures: list[Figure], pictures: list[Picture]
) -> TaskView:
    """Return the section of one task.

    Args:
        ranked: Its leaderboard.
        task_id: Its anchor on the page, the prefix of all ids within.
        colours: Position of a row -> its number in the palette, for those that figures draw.
        figures: Its figures.
        pictures: What its first rows made of some examples.
    """
    runs = [run for group in ranked.runs for run in group]
    failures = [run for run in runs if run["status"] != "completed"]
    shared = shared_settings(ranked.changed)
    own = _own_settings(ranked, shared)
    strips = _strips(ranked, colours)
    scale = strip_scale(strips, percent=is_percent(ranked.metric))
    columns = columns_of(ranked.table)
    rows = [
        _row(
            ranked,
            position,
            f"{task_id}-{position + 1}",
            own[position],
            columns,
            colours,
            strip(strips[position], scale),
        )
        for position in range(min(len(ranked.table), MAX_ROWS))
    ]
    return TaskView(
        id=task_id,
        label=ranked.label,
        kind=runs[0]["kind"],
        caption=_sentence(caption(ranked.table).removeprefix(f"{ranked.label}: ")),
        shared=short_settings([setting_text(shared)])[0] if shared else "",
        columns=columns,
        axis=strip_axis(scale),
        rows=rows,
        num_rows=len(ranked.table),
        figures=figures,
        pictures=pictures,
        failures=run_views(failures[:MAX_FAILURES], ranked.metric),
        num_failures=len(failures),
    )


def _row(
    ranked: Ranked,
    position: int,
    key: str,
    own: str,
    columns: list[Column],
    colours: Mapping[int, int],
    drawn: Markup,
) -> Row:
    shown = ranked.table.iloc[position]
    runs = ranked.runs[position]
    above = ranked.runs[position - 1][0] if position else None
    return Row(
        key=key,
        position=position + 1,
        rank="" if pd.isna(shown["rank"]) else str(shown["rank"]),
        family=shown["family"],
        own=own,
        colour=colours.get(position),
        strip=drawn,
        cells=[column.cells[position] for column in columns],
        above="" if above is None else f"row {position}, {above['family']}",
        differences=[] if above is None else differences(json.loads(above["spec"]), json.loads(runs[0]["spec"])),
        against_first=_against_first(shown["p_best"]),
        changed=setting_text(ranked.changed[position]),
        runs=run_views(runs[:MAX_RUNS], ranked.metric),
        num_runs=len(runs),
    )


def _own_settings(ranked: Ranked, shared: Mapping[str, Any]) -> list[str]:
    """Return what each row changes that not all rows change alike, without the groups of keys where that is clear."""
    own = [{key: value for key, value in changed.items() if key not in shared} for changed in ranked.changed]
    texts = ["" if (text := setting_text(settings)) == "default" else text for settings in own]
    return short_settings(texts)


def _against_first(p_value: float) -> str:
    """Return what the corrected p-value of a row against the first one says."""
    if math.isnan(p_value):
        return ""
    verdict = "Told apart" if p_value < ALPHA else "Not told apart"
    shown = "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"
    return f"{verdict} from the first row (p {shown}; paired t-test over shared seeds, corrected after Holm)."


def _strips(ranked: Ranked, colours: Mapping[int, int]) -> list[Strip]:
    metric = ranked.metric
    factor = 100.0 if is_percent(metric) else 1.0
    decimals = decimals_for(metric, ranked.table["mean"])
    found = []
    for position in range(min(len(ranked.table), MAX_ROWS)):
        scores = [run["test_score"] for run in ranked.runs[position] if run["status"] == "completed"]
        scores = [score for score in scores if not math.isnan(score)]
        row = ranked.table.iloc[position]
        texts = ", ".join(score_text(metric, score, decimals) for score in scores)
        found.append(
            Strip(
                scores=[factor * score for score in scores],
                mean=factor * row["mean"],
                low=factor * row["low"],
                high=factor * row["high"],
                colour=colours.get(position),
                label=f"Seeds of {row['family']}: {texts}" if texts else f"No score of {row['family']}",
            )
        )
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
