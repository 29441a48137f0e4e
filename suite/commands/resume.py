"""Goes on with every run that was cut off, and brings MLflow up to date with the run folders.

Doing it twice changes nothing.
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace

from suite.console import complain, say
from suite.errors import UserError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that the runs need")


def main(arguments: Namespace) -> int:
    """Resume, then reconcile."""
    from suite.commands.session import mirror_quietly, run_all
    from suite.commands.shared import load_plugins, open_store
    from suite.runs.mirror import Mirror
    from suite.runs.prepare import prepare
    from suite.runs.replay import read_spec

    load_plugins(arguments.plugin)
    store = open_store(arguments)
    if not store.runs.is_dir():
        raise UserError(f"There are no runs in {str(store.runs)!r} to go on with. --root names another place.")
    store.check_writable()
    prepared, unprepared = [], 0
    for folder in store.folders():
        status = folder.status()
        if status == "running":
            say(f"{folder.run_id}  is being made by {folder.owner()}")
        if status == "damaged":
            complain(f"{folder.run_id}  is damaged; `boltbench doctor` says how.")
            unprepared += 1
        if not folder.can_go_on():
            continue
        try:
            spec, execution = read_spec(folder)
            environment = folder.environment()
            if environment is not None:  # on the device where it began: another one rounds otherwise
                execution = dataclasses.replace(execution, device=environment["decisive"]["device"])
            item = prepare(spec, execution)
        except UserError as error:
            complain(f"{folder.run_id}  cannot go on: {error}")
            unprepared += 1
            continue
        if item.run_id != folder.run_id:
            complain(
                f"{folder.run_id}  cannot go on: its code or data has changed since, and the run would be "
                f"{item.run_id}. Remove the folder, or check the old version out."
            )
            unprepared += 1
            continue
        prepared.append(item)
    code = run_all(prepared, store, force=False, tracking_uri=arguments.tracking_uri) if prepared else 0
    if code in (130, 143):
        return code
    written = mirror_quietly(Mirror(store, arguments.tracking_uri), store.folders())
    say(f"Runs gone on with: {len(prepared)}. Runs brought up to date in MLflow: {written}.")
    return int(bool(code) or unprepared > 0)
