"""Lists what there is of one kind, such as tasks, families, formats or runs. Without a name: which pairs fit."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from suite.console import say, show
from suite.errors import UserError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=[
            "tasks",
            "families",
            "regularizers",
            "compression",
            "explanation",
            "formats",
            "plans",
            "claims",
            "runs",
        ],
        help="one list only (default: the matrix of tasks and families)",
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a Python file with more of them")


def main(arguments: Namespace) -> int:
    """Print the list."""
    from suite.commands.shared import load_plugins

    load_plugins(arguments.plugin)
    match arguments.what:
        case "plans":
            _plans()
        case "claims":
            _claims()
        case "runs":
            _runs(arguments)
        case "regularizers":
            _regularizers()
        case "compression":
            _compression()
        case "explanation":
            _explanation()
        case "formats":
            _formats()
        case "tasks":
            _tasks()
        case "families":
            _families()
        case _:
            _matrix()
    return 0


def _tasks() -> None:
    from suite.task import TASKS

    for name in TASKS.names():
        say(f"{name:<18} {first_line(TASKS.get(name))}")


def _families() -> None:
    from suite.family import FAMILIES

    for name in FAMILIES.names():
        say(f"{name:<18} {first_line(FAMILIES.get(name))}")


def _regularizers() -> None:
    from suite.regularizer import REGULARIZERS

    for name in REGULARIZERS.names():
        say(f"{name:<18} {first_line(REGULARIZERS.get(name))}")


def _compression() -> None:
    from suite.compressor import COMPRESSORS

    for name in COMPRESSORS.names():
        say(f"{name:<18} {first_line(COMPRESSORS.get(name))}")


def _explanation() -> None:
    from suite.explainer import EXPLAINERS

    for name in EXPLAINERS.names():
        say(f"{name:<20} {first_line(EXPLAINERS.get(name))}")


def _formats() -> None:
    from suite.format import FORMATS

    for name in FORMATS.names():
        say(f"{name:<18} {first_line(FORMATS.get(name))}")


def _plans() -> None:
    from sweeps.plans import load_plan, plan_names

    for name in plan_names():
        say(f"{name:<18} {load_plan(name).description}")


def _claims() -> None:
    from results.claims.markdown import cost_text
    from suite.claims import published_claims

    claims = published_claims()
    width = max(map(len, claims))
    for name, claim in claims.items():
        say(f"{name:<{width}}  {claim.statement} ({cost_text(claim)})")


def _runs(arguments: Namespace) -> None:
    from suite.console import describe
    from suite.runs.folder import Store

    for folder in Store(arguments.root).folders():
        status = folder.status()
        result = None if status == "damaged" else folder.result()
        say(describe(result) if result is not None else f"{folder.run_id}  {status}")


def _matrix() -> None:
    from rich import box
    from rich.table import Table

    from suite.family import FAMILIES
    from suite.task import TASKS

    # Families in words, not a column each: fifteen columns are cut off on most terminals.
    table = Table(title="Which families fit which tasks", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("task", no_wrap=True)
    table.add_column("families")
    gaps: dict[str, list[str]] = {}
    for name in TASKS.names():
        try:
            card = TASKS.get(name)().card()
        except UserError as error:  # a task of a user's own data has no shape until it is told where that lies
            table.add_row(name, "?")
            gaps.setdefault(str(error), []).append(name)
            continue
        reasons = {family: FAMILIES.get(family)().misfit(card) for family in FAMILIES.names()}
        table.add_row(name, ", ".join(family for family, reason in reasons.items() if reason is None) or "none")
        for family, reason in reasons.items():
            if reason is not None:
                gaps.setdefault(f"{family} {reason}", []).append(name)
    show(table)
    say("\nWhy others do not:")
    for reason, names in sorted(gaps.items()):
        say(f"  {', '.join(names)}: {reason}")
    say("\nboltbench show NAME tells more of a task or a family; boltbench run TASK FAMILY trains one.")


def first_line(cls: type) -> str:
    """Return the first line of a class docstring."""
    return (cls.__doc__ or "").strip().splitlines()[0]
