"""Tables as bytes: Markdown, LaTeX and HTML for readers, CSV, JSON and Parquet for programs.

Equal records give equal bytes. Readers get the rounded texts of `results.presentation`; programs get every column in
full precision.
"""

from __future__ import annotations

import html
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from results.presentation.tables import Shown, present

SUFFIXES: Final = {
    "markdown": "md",
    "csv": "csv",
    "json": "json",
    "parquet": "parquet",
    "latex": "tex",
    "html": "html",
}
"""Format -> suffix of its files."""
BINARY: Final = ("parquet",)
"""Formats that no terminal can show."""

_MARKUP = re.compile(r"([\\|`*<])")
_LATEX: Final = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
}


def export(table: pd.DataFrame, format: str, columns: Sequence[str] | None = None) -> bytes:
    """Return a table in one of the formats in `SUFFIXES`.

    ``columns`` choose what readers see, as for `present`; CSV, JSON and Parquet hold every column.
    """
    if format in _FOR_PROGRAMS:
        return _FOR_PROGRAMS[format](table)
    return _FOR_READERS[format](present(table, columns)).encode()


def file_names(labels: Sequence[str]) -> dict[str, str]:
    """Return for each table what its files are called, every name once."""
    names: dict[str, str] = {}
    for label in labels:
        plain = "".join(letter if letter.isalnum() or letter in "-_.=" else "_" for letter in label).strip("_") or "_"
        name, number = plain, 2
        while name in names.values():
            name, number = f"{plain}-{number}", number + 1
        names[label] = name
    return names


def to_markdown(shown: Shown) -> str:
    """Return a Markdown table with its caption below."""
    lines = [
        _row([escape(column.header) for column in shown.columns]),
        _row(["---" if column.is_text else "---:" for column in shown.columns]),
        *(_row([escape(cell) for cell in cells]) for cells in shown.cells),
    ]
    return "\n".join([*lines, "", escape(shown.caption), ""])


def to_latex(shown: Shown) -> str:
    """Return a table in booktabs' style: the best rows' values bold, those not told apart from them underlined."""
    spec = "".join("l" if column.is_text else "r" for column in shown.columns)
    lines = [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", f"\\caption{{{_latex(shown.caption)}}}"]
    lines += [f"\\begin{{tabular}}{{{spec}}}", r"\toprule"]
    lines.append(_latex_row([_latex(column.header) for column in shown.columns]))
    lines.append(r"\midrule")
    for cells, best, tied in zip(shown.cells, shown.best, shown.tied, strict=True):
        marked = []
        for column, cell in zip(shown.columns, cells, strict=True):
            text = _latex(cell)
            if column.key in _MARKED and text:
                text = f"\\textbf{{{text}}}" if best else f"\\underline{{{text}}}" if tied else text
            marked.append(text)
        lines.append(_latex_row(marked))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def to_html(shown: Shown) -> str:
    """Return one ``<table>`` to be put into a page: best values strong, those not told apart from them underlined."""
    lines = ['<table class="boltbench">', f"<caption>{_html(shown.caption)}</caption>", "<thead>", "<tr>"]
    for column in shown.columns:
        lines.append(f'<th scope="col" class="{_kind(column.is_text)}">{_html(column.header)}</th>')
    lines += ["</tr>", "</thead>", "<tbody>"]
    for cells, best, tied in zip(shown.cells, shown.best, shown.tied, strict=True):
        lines.append("<tr>")
        for column, cell in zip(shown.columns, cells, strict=True):
            text = _html(cell)
            if column.key in _MARKED and text:
                text = f"<strong>{text}</strong>" if best else f"<u>{text}</u>" if tied else text
            lines.append(f'<td class="{_kind(column.is_text)}">{text}</td>')
        lines.append("</tr>")
    return "\n".join([*lines, "</tbody>", "</table>", ""])


def to_csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV in full precision; each row of a leaderboard with its task, metric and direction."""
    full = table.copy()
    if table.attrs["view"] == "task":
        for position, name in enumerate(("task", "metric", "direction")):
            full.insert(position, name, table.attrs[name])
    return full.to_csv(index=False, lineterminator="\n").encode()


def to_json(table: pd.DataFrame) -> bytes:
    """Return a table as one JSON object: what it is, its columns, and its rows as mappings; no value is null."""
    rows = [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]
    content = {**_about(table), "columns": list(table.columns), "rows": rows}
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return a table as Parquet, with what it is as JSON under the key ``boltbench`` of the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = table.copy()
    plain.attrs = {}
    content = pa.Table.from_pandas(plain, preserve_index=False)
    about = json.dumps(_about(table), ensure_ascii=False, allow_nan=False).encode()
    content = content.replace_schema_metadata({**(content.schema.metadata or {}), b"boltbench": about})
    sink = io.BytesIO()
    pq.write_table(content, sink, compression="zstd")
    return sink.getvalue()


def escape(text: str) -> str:
    """Return ``text`` as it reads literally within a Markdown table's cell."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


_MARKED: Final = ("score", "iqm")
"""Columns whose best value is marked."""
_FOR_PROGRAMS: Final[dict[str, Callable[[pd.DataFrame], bytes]]] = {
    "csv": to_csv,
    "json": to_json,
    "parquet": to_parquet,
}
_FOR_READERS: Final[dict[str, Callable[[Shown], str]]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "html": to_html,
}


def _about(table: pd.DataFrame) -> dict[str, Any]:
    return {str(name): _plain(value) for name, value in table.attrs.items()}


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; what is missing becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _latex_row(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _html(text: str) -> str:
    return html.escape(text)


def _kind(is_text: bool) -> str:
    return "text" if is_text else "number"
