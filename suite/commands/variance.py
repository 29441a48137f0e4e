"""Measures how much of the spread between seeds comes from data order, initialisation and noise.

  boltbench variance mnist1d mlp
  boltbench variance mnist1d mlp --rounds 16 --regularization.dropout 0.2 --output tables

A round is a run with a seed of its own, and one run more for each source, with the seed of that source alone changed.
Settings are flags --GROUP.NAME VALUE, as for `boltbench run`. Runs that are done already are not made again.
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.console import complain
from suite.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from suite.runs.folder import Store
    from suite.runs.prepare import Prepared

TAKES_SETTINGS = True
"""The arguments that argparse does not know are settings."""
ROUNDS = 8
MIN_ROUNDS, MAX_ROUNDS = 2, 1000
OTHER_SEEDS = 1_000_000
"""The changed seed of a round is this and its number: far from the seeds that runs usually have."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", help="the task (`boltbench list` names them)")
    parser.add_argument("family", help="the model family")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of four runs each (default: {ROUNDS})")
    parser.add_argument("--format", metavar="NAME,...", help="formats to write; default: a table for the terminal")
    parser.add_argument("--output", type=Path, metavar="PATH", help="a folder for one file per format, or one file")
    parser.add_argument("--force", action="store_true", help="make runs anew that are done already")
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file with more tasks or families"
    )


def main(arguments: Namespace, rest: list[str]) -> int:
    """Make the runs that are missing, and print or write the table."""
    from results.errors import ResultsError
    from suite.commands.session import run_all
    from suite.commands.shared import load_plugins, open_store
    from suite.commands.tables import formats_of, print_tables, write_tables

    if not MIN_ROUNDS <= arguments.rounds <= MAX_ROUNDS:
        raise UserError(f"`{MIN_ROUNDS} <= rounds <= {MAX_ROUNDS}` must hold, but got --rounds {arguments.rounds}.")
    if any(word.startswith("--randomness.") for word in rest):
        raise UserError("`boltbench variance` sets the seeds of --randomness itself; `boltbench run` takes them.")
    formats = formats_of(arguments.format, arguments.output)
    store = open_store(arguments)
    store.check_writable()
    load_plugins(arguments.plugin)
    rounds = _rounds(arguments, rest, store)
    code = run_all(
        [prepared for runs in rounds for prepared in runs.values()],
        store,
        force=arguments.force,
        tracking_uri=arguments.tracking_uri,
        shows_leaderboards=False,
    )
    if code not in (0, 1):
        return code
    try:
        tables = {f"variance-{arguments.task}-{arguments.family}": _table(rounds, store)}
    except ResultsError as error:
        complain(f"boltbench: {error}")
        return 1
    if arguments.output is not None:
        write_tables(arguments.output, tables, formats)
    else:
        print_tables(tables, formats)
    return code


def _rounds(arguments: Namespace, rest: list[str], store: Store) -> list[dict[str, Prepared]]:
    """Return the runs of each round by the source that differs, ``base`` for the first one."""
    from results.variance import SOURCES
    from suite.commands.run import settings_of
    from suite.runs.prepare import prepare
    from suite.spec import RunSpec

    merged, execution = settings_of(arguments.task, arguments.family, rest, {})
    rounds = []
    for number in range(arguments.rounds):
        spec = RunSpec.from_mapping({**merged, "seed": number})
        runs = {"base": prepare(spec, execution, runs=store.runs)}
        for source in SOURCES:
            randomness = dataclasses.replace(spec.randomness, **{source: OTHER_SEEDS + number})
            runs[source] = prepare(dataclasses.replace(spec, randomness=randomness), execution, runs=store.runs)
        rounds.append(runs)
    return rounds


def _table(rounds: list[dict[str, Prepared]], store: Store) -> pd.DataFrame:
    from results.text import setting_text, task_label
    from results.variance import SOURCES, variance_shares
    from suite.runs.folder import RunFolder

    scores: dict[str, dict[int, float]] = {name: {} for name in ("base", *SOURCES)}
    first = rounds[0]["base"]
    for number, runs in enumerate(rounds):
        for name, prepared in runs.items():
            result = RunFolder(store.runs / prepared.run_id).result()
            found = (result or {}).get("scores") or {}
            score = found.get(f"test/{first.card.metric}", found.get(f"val/{first.card.metric}"))
            if score is not None:
                scores[name][number] = score
    table = variance_shares(scores.pop("base"), scores)
    changed = first.spec.changed()
    table.attrs |= {
        "task": task_label(first.spec.task.name, changed),
        "family": first.spec.family.name,
        "setting": setting_text(changed),
        "metric": first.card.metric,
        "num_rounds": len(rounds),
    }
    return table
