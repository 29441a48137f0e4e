"""Any of the tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from results.presentation.tables import Shown, present

_KEY = re.compile(r"(?<![^ ])([\w.-]+)=")
_HEADERS = {"rank": "#", "parameters": "params"}
_MIN_WIDTHS = {"family": 6, "setting": 10, "study": 6, "task": 6, "sampler": 6}
"""Columns that give way on a narrow terminal, and how far; numbers never do."""


def render(table: pd.DataFrame, columns: Sequence[str] | None = None) -> Table:
    """Return a table for the terminal: the best rows bold, ties with them underlined, failed runs red.

    Keys of settings are shown without their group (``width``, not ``family.width``) where that is clear within the
    table. Unless columns are asked for, those that say nothing are left out: empty ones, and no failures; and for want
    of room val, and determinism, of which the caption speaks.
    """
    shown = present(table, columns)
    below = shown.caption
    if columns is None:
        shown, levels = _compact(shown)
        below += f" {levels}" if levels else ""
    keys = [column.key for column in shown.columns]
    cells = [list(row) for row in shown.cells]
    if "setting" in keys:
        at = keys.index("setting")
        for row, setting in zip(cells, short_settings([row[at] for row in cells]), strict=True):
            row[at] = setting
    # Text throughout: a plain string is markup to rich, and a setting such as [red] would vanish.
    rendered = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        caption=Text(below, style="dim"),
        caption_justify="left",
    )
    for column in shown.columns:
        rendered.add_column(
            Text(_HEADERS.get(column.key, column.header)),
            justify="left" if column.is_text else "right",
            overflow="fold",
            no_wrap=column.key not in _MIN_WIDTHS,
            min_width=_MIN_WIDTHS.get(column.key),
        )
    for row, best, tied in zip(cells, shown.best, shown.tied, strict=True):
        texts = [Text(cell) for cell in row]
        for key, text in zip(keys, texts, strict=True):
            if key == "failed" and text.plain not in ("", "0"):
                text.stylize("red")
            if key == "score" and tied:
                text.stylize("underline")
        rendered.add_row(*texts, style="bold" if best else "")
    return rendered


def _compact(shown: Shown) -> tuple[Shown, str]:
    """Return a table without the columns that say nothing here, and a sentence on determinism."""
    levels = ""
    dropped = {"val"}
    for index, column in enumerate(shown.columns):
        values = {row[index] for row in shown.cells}
        if values <= {""} or (column.key == "failed" and values == {"0"}):
            dropped.add(column.key)
        if column.key == "determinism" and values:
            dropped.add(column.key)
            levels = f"All {values.pop()}." if len(values) == 1 else "Determinism differs from row to row."
    return shown.without(dropped), levels


def short_settings(settings: Iterable[str]) -> list[str]:
    """Return settings without the groups of their keys, save where two groups share a key's name."""
    texts = list(settings)
    groups: dict[str, set[str]] = {}
    for text in texts:
        for key in _KEY.findall(text):
            groups.setdefault(key.rpartition(".")[2], set()).add(key)

    def shorten(match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        return f"{name if len(groups[name]) == 1 else match[1]}="

    return [_KEY.sub(shorten, text) for text in texts]
