"""Shows the card of a task, or what a family, regulariser, method or format is, with its settings.

With a task and a family: the space that `boltbench sweep` searches, narrowed by the same flags.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from suite.console import say, show
from suite.errors import UserError, unknown_name

TAKES_SETTINGS = True


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    from suite.commands.sweep import add_space_arguments

    parser.add_argument("name", help="a task, a family, a regulariser, a method or a format")
    parser.add_argument("family", nargs="?", help="after a task: the family whose space on it is shown")
    add_space_arguments(parser)
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a Python file with more of them")


def main(arguments: Namespace, rest: list[str]) -> int:
    """Print the card or the settings, or the space of a pair."""
    from suite.commands.shared import load_plugins, registries

    load_plugins(arguments.plugin)
    if arguments.family is not None:
        _space(arguments, rest)
        return 0
    if rest:
        raise UserError(f"{rest[0]} says something of a space: name a task and a family.")
    known: list[str] = []
    for registry in registries().values():
        if arguments.name in registry.names():
            cls = registry.get(arguments.name)
            _card(cls) if registry.what == "task" else _text(cls)
            _settings(cls)
            return 0
        known += registry.names()
    raise unknown_name("task, family, regulariser, method or format", arguments.name, known)


def _space(arguments: Namespace, rest: list[str]) -> None:
    from rich.table import Table

    from suite.commands.sweeping import build_space, split_settings

    settings, changes, sampler, pruner = split_settings(rest)
    if sampler or pruner:
        raise UserError("Settings of samplers and pruners are no part of a space.")
    found, _ = build_space(arguments, {"task": arguments.name, "family": arguments.family}, settings, changes)
    found.base.check_fits()
    title = f"Space of {arguments.name} and {arguments.family}: {len(found.space.dimensions)} fields"
    table = Table(title=title, title_justify="left")
    for column in ("field", "default", "searched", "counts under"):
        table.add_column(column, overflow="fold")
    for dimension in found.space.dimensions:
        group, _, name = dimension.name.partition(".")
        conditions = [
            condition.name + ("!=" if condition.negated else "=") + "|".join(map(_value, condition.values))
            for condition in dimension.conditions
        ]
        default = _value(getattr(getattr(found.base, group), name))
        table.add_row(dimension.name, default, dimension.text(), ", ".join(conditions))
    show(table)
    for name, reason in found.left_out.items():
        say(f"{name} is left out: {reason}")


def _card(cls: Any) -> None:
    try:
        card = cls().card()
    except UserError as error:  # a task of a user's own data has no figures until it is told where that lies
        _text(cls)
        say(f"\n{error}")
        return
    ceiling = "unknown" if card.ceiling is None else f"{card.ceiling:g} ({card.ceiling_reason})"
    sizes = ", ".join(f"{name} {size}" for name, size in card.split_sizes.items())
    for label, value in (
        (card.name, card.summary),
        ("kind", card.kind),
        ("input", " x ".join(map(str, card.input_shape))),
        ("output", f"{' x '.join(map(str, card.output_shape))}, trained on {card.objective}"),
        ("splits", sizes),
        ("metric", f"{card.metric} ({card.direction})"),
        ("floor", f"{card.floor:g} ({card.floor_reason})"),
        ("ceiling", ceiling),
        ("source", card.source),
        ("licence", card.licence),
        ("citation", card.citation),
        ("sha256", card.sha256),
    ):
        say(f"{label:<14}{value}")


def _text(cls: type) -> None:
    import inspect

    say(inspect.cleandoc(cls.__doc__ or ""))


def _settings(cls: Any) -> None:
    from rich.table import Table

    from suite.fields import fields_of

    fields = fields_of(cls)
    if not fields:
        say("\nNo settings.")
        return
    table = Table(title=f"Settings: --{cls.group}.NAME", title_justify="left")
    for column in ("name", "type", "default", "search range", "meaning"):
        table.add_column(column, overflow="fold")
    for field in fields:
        table.add_row(field.name, field.type_text(), _value(field.default), _range(field), field.help)
    show(table)


def _range(field: Any) -> str:
    distribution, text = field.distribution, ""
    if hasattr(distribution, "choices"):
        text = ", ".join(_value(choice) for choice in distribution.choices)
    elif distribution is not None:
        text = f"{distribution.low:g} to {distribution.high:g}{', log' if distribution.log else ''}"
    conditions = ", ".join(condition.text() for condition in field.conditions)
    return f"{text} ({conditions})".strip() if conditions else text


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
