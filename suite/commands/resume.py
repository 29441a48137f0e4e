"""Goes on with every run that was cut off, and brings MLflow up to date with the run folders.

  boltbench resume
  boltbench resume digits-cnn-s0          # this run alone; names of studies are taken too

Doing it twice changes nothing.
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from suite.commands.shared import storage_url
from suite.console import complain, say
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.search.sweep import Sweep


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "names", nargs="*", metavar="RUN", help="a run id, its beginning, or a study's name (default: all of them)"
    )
    parser.add_argument("--tracking-uri", help="another MLflow store (default: the one beside the runs)")
    parser.add_argument(
        "--storage", metavar="URL", help="Optuna's database, where the studies have another than SQLite"
    )
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help="a file that the runs need")


def main(arguments: Namespace) -> int:
    """Resume, then reconcile."""
    from suite.commands.finished import Idle
    from suite.commands.shared import load_plugins, open_store

    store = open_store(arguments)
    if not store.runs.is_dir() and not (store.root / "studies").is_dir():
        wanted = f"{', '.join(map(repr, arguments.names))}: there" if arguments.names else "There"
        raise UserError(f"{wanted} are no runs in {str(store.runs)!r} to go on with. --root names another place.")
    store.check_writable()
    studies = {name for name in arguments.names if (store.root / "studies" / name).is_dir()}
    found = [store.find(name) for name in arguments.names if name not in studies]
    runs = {folder.run_id: folder for folder in found}
    idle = Idle(arguments, store)
    if not arguments.names and idle.is_known():
        say(_outcome(0, 0, 0))
        return 0
    from suite.commands.session import mirror_quietly, run_all
    from suite.runs.mirror import Mirror
    from suite.runs.prepare import prepare
    from suite.runs.source import read_spec
    from suite.runs.study_mirror import part_of_study
    from suite.search.resuming import belongs_to_study, is_searched_now, reconcile_all, unfinished

    load_plugins(arguments.plugin)
    for run_id, folder in runs.items():
        if folder.status() != "damaged" and belongs_to_study(folder, store):
            study = part_of_study(folder).study
            raise UserError(
                f"{run_id!r} is a part of the study {study!r}, which goes on as a whole: `boltbench resume {study}`."
            )
    meant = studies if arguments.names else None
    sweeps, unprepared = unfinished(store, say, complain, meant)
    code = _sweep(sweeps, arguments) if sweeps else 0
    if code in (130, 143):
        return code
    failed = bool(code)
    prepared = []
    for folder in store.folders():
        if arguments.names and folder.run_id not in runs:
            continue
        status = folder.status()
        if status != "damaged" and belongs_to_study(folder, store):
            continue
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
            item = prepare(spec, execution, runs=store.runs)
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
    mirror = Mirror(store, arguments.tracking_uri)
    in_studies, unwritten = reconcile_all(
        store, storage_url=storage_url(arguments), mirror=mirror, complain=complain, names=meant
    )
    # A study that is being searched has a process of its own that writes its trials.
    mirrored = mirror_quietly(mirror, [folder for folder in store.folders() if not is_searched_now(folder, store)])
    written = in_studies + (mirrored or 0)
    say(_outcome(len(prepared), len(sweeps), written))
    failed = failed or bool(code) or unprepared + unwritten > 0
    if not (failed or sweeps or prepared or written or arguments.names or mirrored is None):
        idle.note()
    return int(failed)


def _outcome(num_runs: int, num_studies: int, num_written: int) -> str:
    gone_on = f"Runs gone on with: {num_runs}." + (f" Studies gone on with: {num_studies}." if num_studies else "")
    return f"{gone_on} Runs brought up to date in MLflow: {num_written}."


def _sweep(sweeps: list[Sweep], arguments: Namespace) -> int:
    """Go on with studies and say what came of them."""
    from suite.commands.sweep import say_result, search

    results: dict[str, Any] = {}
    arguments.workers, arguments.attempts, arguments.timeout = "auto", 3, None
    code = search(sweeps, arguments, results)
    for name, result in results.items():
        if result is not None:
            say_result(result, sweeps[0].store.root / "studies" / name)
    return code
