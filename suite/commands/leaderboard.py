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

from suite.console import complain, say, show
from suite.errors import UserError, did_you_mean, shown

if TYPE_CHECKING:
    import pandas as pd

VIEWS = ("tasks", "aggregate", "ranks", "budget", "tuning")
DEFAULT_FORMATS = ("markdown", "csv")


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

    if arguments.view not in VIEWS:
        raise UserError(f"--view must be among {', '.join(VIEWS)}, but got {shown(arguments.view)}.")
    formats = _formats(arguments)
    try:
        tables = _tables(arguments)
        if arguments.log:
            from suite.commands.logged import log_tables

            say(log_tables(arguments, tables))
        elif arguments.output is not None:
            _write(arguments, tables, formats)
        else:
            _print(arguments, tables, formats)
    except ResultsError as error:
        raise UserError(str(error)) from error
    return 0


def _formats(arguments: Namespace) -> list[str]:
    from results.export import BINARY, SUFFIXES

    output = arguments.output
    if arguments.format is None:
        by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
        if output is None:
            return []
        return [by_suffix[output.suffix[1:]]] if _is_file(output) else list(DEFAULT_FORMATS)
    formats = [name.strip() for name in arguments.format.split(",")]
    for name in formats:
        if name not in SUFFIXES:
            raise UserError(
                f"--format must be among {', '.join(SUFFIXES)}, but got {shown(name)}.{did_you_mean(name, SUFFIXES)}"
            )
        if name in BINARY and output is None and not arguments.log:
            raise UserError(f"--format {name} is for files; name one with --output.")
    if output is not None and _is_file(output) and len(formats) > 1:
        raise UserError(f"--output {str(output)!r} is one file, but there are {len(formats)} formats. Name a folder.")
    return formats


def _is_file(output: Path) -> bool:
    from results.export import SUFFIXES

    return not output.is_dir() and output.suffix[1:] in SUFFIXES.values()


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


def _print(arguments: Namespace, tables: dict[str, pd.DataFrame], formats: list[str]) -> None:
    from results.export import export
    from results.terminal import render

    rendered = [
        *(render(table, _columns(arguments)) for table in tables.values() if not formats),
        *(export(table, name, _columns(arguments)).decode() for table in tables.values() for name in formats),
    ]
    for item in rendered:  # all made before the first is shown: an error leaves no half of the output behind
        if isinstance(item, str):
            say(item.rstrip("\n"))
        else:
            show(item)


def _write(arguments: Namespace, tables: dict[str, pd.DataFrame], formats: list[str]) -> None:
    from results.export import SUFFIXES, export, file_names
    from suite.atomic import write_bytes

    output: Path = arguments.output
    if _is_file(output):
        if len(tables) > 1:
            raise UserError(f"--output {str(output)!r} is one file, but there are {len(tables)} tables. Name a folder.")
        paths = {(name, formats[0]): output for name in tables}
    else:
        names = file_names(list(tables))
        paths = {(name, kind): output / f"{names[name]}.{SUFFIXES[kind]}" for name in tables for kind in formats}
    contents = {path: export(tables[name], kind, _columns(arguments)) for (name, kind), path in paths.items()}
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        except OSError as error:
            raise UserError(f"--output must be writable, but {str(path)!r}: {error.strerror}.") from error
        say(f"wrote {path}")
