"""Ranks the runs of each task: mean, interval, number of seeds, what is not told apart, and what it cost.

  boltbench leaderboard
  boltbench leaderboard --task mnist1d --format markdown,latex --output tables
  boltbench leaderboard --view aggregate --from . --from /mnt/other-machine --from sqlite:////mnt/mlflow.db
  boltbench leaderboard --columns rank,family,score,parameters,flops,memory

Views: tasks (one table each), aggregate (methods across tasks), ranks (their mean ranks), budget (the best of k trials
of each search) and tuning (tuned against default). Formats: markdown, latex, html, csv, json, parquet.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.console import complain, say
from suite.errors import UserError, shown

if TYPE_CHECKING:
    import pandas as pd

VIEWS = ("tasks", "aggregate", "ranks", "budget", "tuning")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--task", action="append", help="one task only (may be repeated; default: every task)")
    parser.add_argument("--view", default="tasks", help=f"{', '.join(VIEWS)} (default: tasks)")
    parser.add_argument("--columns", metavar="NAME,...", help="what readers see; all shows every column")
    parser.add_argument(
        "--from",
        action="append",
        dest="sources",
        metavar="PLACE",
        help="a root, a folder of runs or the URI of an MLflow store (may be repeated; default: --root)",
    )
    parser.add_argument("--format", metavar="NAME,...", help="formats to write; default: a table for the terminal")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help="a folder for one file per table and format, or one file"
    )
    parser.add_argument("--log", action="store_true", help="store tables and pictures as an MLflow run of their own")
    parser.add_argument("--tracking-uri", help="where --log stores them (default: the store beside the runs)")


def main(arguments: Namespace) -> int:
    """Print, write or log the leaderboards."""
    from results.errors import ResultsError
    from suite.commands.tables import formats_of, print_tables, write_tables

    if arguments.view not in VIEWS:
        raise UserError(f"--view must be among {', '.join(VIEWS)}, but got {shown(arguments.view)}.")
    if arguments.log and (arguments.format is not None or arguments.output is not None):
        raise UserError("--log stores every format in MLflow; --format and --output are for files. Drop one of them.")
    formats = formats_of(arguments.format, arguments.output)
    try:
        tables = _tables(arguments)
        if arguments.log:
            from suite.commands.logged import log_tables

            say(log_tables(arguments, tables))
        elif arguments.output is not None:
            write_tables(arguments.output, tables, formats, _columns(arguments))
        else:
            print_tables(tables, formats, _columns(arguments))
    except ResultsError as error:
        raise UserError(str(error)) from error
    return 0


def _tables(arguments: Namespace) -> dict[str, pd.DataFrame]:
    """Return the tables of the view by the name that their files take."""
    from results.across import aggregate, critical_difference
    from results.leaderboard import leaderboard, task_labels
    from results.records import load_records
    from results.trials import best_of_k, default_against_tuned, load_trials, require_rows

    sources = arguments.sources or [arguments.root]
    if arguments.sources is None and not (arguments.root / "runs").is_dir():
        raise UserError(
            f"There are no runs in {str(arguments.root / 'runs')!r} yet. `boltbench run --plan quick` makes some."
        )
    records = load_records(sources)
    for note in records.attrs["notes"]:
        complain(f"boltbench: {note}")
    if records.empty:
        places = ", ".join(str(place) for place in arguments.sources or [arguments.root / "runs"])
        raise UserError(
            f"A leaderboard needs at least one finished run, but {places} has none. "
            "`boltbench run --plan quick` makes some."
        )
    if arguments.view == "tasks":
        return {label: leaderboard(records, label) for label in arguments.task or task_labels(records)}
    if arguments.view == "aggregate":
        return {"aggregate": aggregate(records, arguments.task)}
    if arguments.view == "ranks":
        return {"ranks": critical_difference(records, arguments.task)}
    if arguments.view == "budget":
        return {"budget": best_of_k(require_rows(load_trials(sources), arguments.task))}
    return {"tuning": default_against_tuned(require_rows(records, arguments.task))}


def _columns(arguments: Namespace) -> list[str] | None:
    if arguments.columns is None:
        return None
    return [name.strip() for name in arguments.columns.split(",")]
