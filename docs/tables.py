"""The tables of README and docs, made from what the code registers.

A page holds a table between two marks, ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. `make docs` fails where the
page and the code differ; ``REGENERATE_DOCS=1 make docs`` writes the tables anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from suite.cli import VERBS
from suite.compressor import COMPRESSORS
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.explainer import EXPLAINERS
from suite.family import FAMILIES
from suite.fields import Field, Settings, fields_of
from suite.format import FORMATS
from suite.regularizer import REGULARIZERS
from suite.spec import settings_groups
from suite.task import TASKS

ROOT = Path(__file__).resolve().parents[1]
MARKS = re.compile(r"(<!-- begin (?P<name>[a-z]+) -->\n)(?P<table>.*?)(<!-- end (?P=name) -->)", re.DOTALL)


def verbs() -> str:
    """Return every verb of the command line with its help line."""
    return table(["verb", "what it does"], ([f"`{verb}`", text] for verb, text in VERBS.items()))


def tasks() -> str:
    """Return every task with the figures of its card."""
    rows = []
    for name in TASKS.names():
        cls = TASKS.get(name)
        try:
            card = cls().card()
        except UserError:  # a task of a user's own data has no card until it is told where that lies
            rows.append([f"`{name}`", first_line(cls), "as set", "70 / 15 / 15 %", "", "the user's own"])
            continue
        rows.append(
            [
                f"`{name}`",
                card.summary,
                "x".join(map(str, card.input_shape)),
                " / ".join(str(card.split_sizes[split]) for split in ("train", "val", "test")),
                f"{card.metric} {card.floor:g}",
                card.licence,
            ]
        )
    return table(["task", "what it is", "input", "train / val / test", "floor", "licence"], rows)


def families() -> str:
    """Return every family with its settings."""
    rows = ([f"`{name}`", first_line(FAMILIES.get(name)), names(FAMILIES.get(name))] for name in FAMILIES.names())
    return table(["family", "what it is", "settings (`--family.NAME`)"], rows)


def regularizers() -> str:
    """Return every regulariser with its settings."""
    rows = (
        [f"`{name}`", first_line(REGULARIZERS.get(name)), names(REGULARIZERS.get(name))]
        for name in REGULARIZERS.names()
    )
    return table(["regulariser", "what it does", "settings (`--regularization.NAME`)"], rows)


def compression() -> str:
    """Return every compression method with its settings."""
    rows = (
        [f"`{name}`", first_line(COMPRESSORS.get(name)), names(COMPRESSORS.get(name))] for name in COMPRESSORS.names()
    )
    return table(["method", "what it does", "settings (`--compression.NAME`)"], rows)


def explanation() -> str:
    """Return every explanation method with its settings."""
    rows = ([f"`{name}`", first_line(EXPLAINERS.get(name)), names(EXPLAINERS.get(name))] for name in EXPLAINERS.names())
    return table(["method", "what it does", "settings (`--explanation.NAME`)"], rows)


def formats() -> str:
    """Return every format that models are exported in."""
    return table(["format", "what it is"], ([f"`{name}`", first_line(FORMATS.get(name))] for name in FORMATS.names()))


def targets() -> str:
    """Return the targets of the Makefile with their comments."""
    found = re.findall(r"^([a-z]+):.*## (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    return table(["target", "what it does"], ([f"`make {target}`", text] for target, text in found))


def settings() -> str:
    """Return every setting of a run, group by group, and of every family."""
    parts = []
    groups: dict[str, type[Settings]] = {**settings_groups(), "execution": Execution}
    for group, cls in groups.items():
        parts.append(f"### {group}\n\n{fields(cls)}")
    for name in FAMILIES.names():
        parts.append(f"### family: {name}\n\n{fields(FAMILIES.get(name))}")
    for name in COMPRESSORS.names():
        parts.append(f"### compression: {name}\n\n{fields(COMPRESSORS.get(name))}")
    for name in EXPLAINERS.names():
        parts.append(f"### explanation: {name}\n\n{fields(EXPLAINERS.get(name))}")
    for name in TASKS.names():
        if fields_of(TASKS.get(name)):
            parts.append(f"### task: {name}\n\n{fields(TASKS.get(name))}")
    return "\n\n".join(parts)


def fields(cls: type[Settings]) -> str:
    """Return the settings of one class."""
    found = fields_of(cls)
    if not found:
        return "No settings."
    rows = (
        [f"`--{cls.group}.{field.name}`", field.type_text(), value(field.default), search_range(field), field.help]
        for field in found
    )
    return table(["flag", "type", "default", "search range", "meaning"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "verbs": verbs,
    "tasks": tasks,
    "families": families,
    "regularizers": regularizers,
    "compression": compression,
    "explanation": explanation,
    "formats": formats,
    "targets": targets,
    "settings": settings,
}


def with_tables(page: str) -> str:
    """Return ``page`` with every marked table as the code has it now."""

    def replace(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match['name']]()}\n\n{match[4]}"

    return MARKS.sub(replace, page)


def table(headers: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def first_line(cls: type) -> str:
    """Return the first line of a class docstring, its code marked as Markdown does."""
    return inspect.cleandoc(cls.__doc__ or "").splitlines()[0].replace("``", "`")


def names(cls: type[Settings]) -> str:
    """Return the names of the settings of one class."""
    return ", ".join(f"`{field.name}`" for field in fields_of(cls)) or "none"


def value(default: Any) -> str:
    """Return a default as a flag takes it."""
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "[]"
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default is None or default == "" else str(default)


def search_range(field: Field) -> str:
    """Return the range that a search draws from and when the field counts at all, or nothing."""
    distribution = field.distribution
    text = ""
    if hasattr(distribution, "choices"):
        text = "; ".join(value(choice) for choice in distribution.choices)
    elif distribution is not None:
        text = f"{distribution.low:g} to {distribution.high:g}{', log' if distribution.log else ''}"
    conditions = ", ".join(condition.text() for condition in field.conditions)
    return f"{text} ({conditions})".strip() if conditions else text
