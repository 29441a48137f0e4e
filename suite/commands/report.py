"""Writes one HTML file: leaderboards, curves, costs, failures, and the command behind each number.

It needs no network and no other file.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from suite.console import complain, say
from suite.errors import UserError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("output", type=Path, help="the file to write, such as report.html")
    parser.add_argument(
        "--from",
        dest="places",
        action="append",
        metavar="PLACE",
        help="a root, a folder of runs, or the URI of an MLflow store (may be repeated; default: --root)",
    )
    parser.add_argument("--task", action="append", help="one task only (may be repeated; default: every task)")
    parser.add_argument("--title", help="the page's heading")


def main(arguments: Namespace) -> int:
    """Write the report."""
    from results.errors import ResultsError

    output: Path = arguments.output
    _check(output)
    if arguments.title is not None and not arguments.title.strip():
        raise UserError("--title must hold a letter, but it is empty. Leave it away for the usual heading.")
    try:
        text, num_runs, num_tasks = _report(arguments)
    except ResultsError as error:
        raise UserError(str(error)) from error
    from suite.atomic import write_text

    try:
        write_text(output, text)
    except OSError as error:
        raise UserError(f"The report must be written to {str(output)!r}, but: {error.strerror}.") from error
    say(f"wrote {output}: {_count(num_runs, 'run')} of {_count(num_tasks, 'task')}, {len(text.encode()) / 1e3:,.0f} kB")
    return 0


def _check(output: Path) -> None:
    """Refuse a place that cannot be written, before minutes go into the page."""
    if output.is_dir():
        raise UserError(f"The report is one file, but {str(output)!r} is a folder. Name a file in it, as report.html.")
    if not output.parent.is_dir():
        raise UserError(f"The report's folder must exist, but {str(output.parent)!r} does not.")


def _report(arguments: Namespace) -> tuple[str, int, int]:
    from results.records import load_records
    from results.report.build import TITLE, build_report
    from results.report.sources import from_places

    runs = arguments.root / "runs"
    if arguments.places is None and not runs.is_dir():
        raise UserError(f"There are no runs in {str(runs)!r} yet. `boltbench run --plan quick` makes some.")
    places = arguments.places or [arguments.root]
    records = load_records(places)
    for note in records.attrs["notes"]:
        complain(note)
    title = TITLE if arguments.title is None else arguments.title.strip()
    text = build_report(records, sources=from_places(places), tasks=arguments.task, title=title)
    shown = records if arguments.task is None else records[records["task_label"].isin(arguments.task)]
    return text, len(shown), shown["task_label"].nunique()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
