"""A session of runs: each made, mirrored and reported, with a clean end on a signal."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from suite.commands.packing import MIRROR_UNFINISHED, make_executor, run_packed
from suite.console import RunReporter, complain, say, show
from suite.interrupts import Interrupts
from suite.runs.execute import execute
from suite.runs.folder import RunBusyError, RunFolder, Store
from suite.runs.mirror import Mirror, MirrorError
from suite.runs.prepare import Prepared


def run_all(
    prepared: list[Prepared],
    store: Store,
    *,
    force: bool,
    tracking_uri: str | None,
    workers: str = "1",
    plugins: Sequence[str] = (),
    shows_leaderboards: bool = True,
) -> int:
    """Make the runs, mirror each, print the leaderboards of their tasks.

    Args:
        prepared: What to make.
        store: Where.
        force: Make runs anew that are done already.
        tracking_uri: The MLflow store, or None for the one beside the runs.
        workers: How many runs are made at once, or ``auto`` (see `suite.commands.packing`).
        plugins: The files that a worker needs to know these runs.
        shows_leaderboards: Whether to print them in the end.

    Returns:
        0, or 1 when a run did not complete, or 130 or 143 after a signal.
    """
    make = make_executor(workers, prepared, store)
    try:
        for item in prepared:  # all first, so that `boltbench resume` knows what a killed plan still had to do
            RunFolder(store.runs / item.run_id).plan(item.to_yaml())
    except OSError as error:
        complain(
            f"boltbench: Runs could not be written ({error.strerror}: {error.filename}). Make room, and try again."
        )
        return 1
    if make is None:
        code = _run_in_turn(prepared, store, force=force, tracking_uri=tracking_uri)
    else:
        code = run_packed(prepared, store, make, force=force, tracking_uri=tracking_uri, plugins=plugins)
    if shows_leaderboards and code in (0, 1):
        show_leaderboards(prepared, store)
    return code


def say_transfers(prepared: Sequence[Prepared]) -> None:
    """Say which layers begin with the weights of another run, and which train; once where several runs agree."""
    found: dict[str, list[str]] = {}
    for item in prepared:
        if item.transfer is not None:
            own = item.spec.family.own_weights() or "the initial weights"
            origin = own if item.spec.origin is None else item.spec.origin.run_id
            found.setdefault("\n  ".join(transfer_lines(item.transfer)), []).append(origin)
    for text, sources in found.items():
        say(f"begins with {', '.join(dict.fromkeys(sources))}\n  {text}")


def transfer_lines(transfer: Mapping[str, Any]) -> list[str]:
    """Return what was taken over and what trains, a line each."""
    tokens = transfer.get("tokens", {})
    labels = {
        "matched": "taken over",
        "fresh": "left fresh",
        "unused": "not used",
        "trained_layers": "trains",
        "frozen_layers": "frozen",
    }
    lines = []
    for key, label in labels.items():
        if key in transfer:
            names = [f"{name} ({tokens[name]} tokens)" if name in tokens else name for name in transfer[key]]
            lines.append(f"{label:<12}{', '.join(names) or 'none'}")
    return lines


def _run_in_turn(prepared: list[Prepared], store: Store, *, force: bool, tracking_uri: str | None) -> int:
    """Make the runs in this process, one after the other."""
    mirror = Mirror(store, tracking_uri)
    failed = False
    with Interrupts() as interrupts, RunReporter(len(prepared)) as reporter:
        for item in prepared:
            folder = RunFolder(store.runs / item.run_id)
            reporter.start(item)
            try:
                result, made = execute(
                    item, folder, should_stop=interrupts.should_stop, on_edge=reporter.on_edge, force=force
                )
            except RunBusyError as error:
                complain(f"boltbench: {error}")
                failed = True
                continue
            except OSError as error:
                complain(
                    f"boltbench: The run {item.run_id!r} could not be written ({error.strerror}: {error.filename}). "
                    "Make room or mend the folder; `boltbench resume` goes on."
                )
                return 1
            reporter.finish(item, result, made=made)
            failed |= result["status"] != "completed"
            if interrupts.should_stop():
                _mirror_in_time(mirror, folder, interrupts)
            else:
                mirror_quietly(mirror, [folder])
            if interrupts.should_stop() and (item is not prepared[-1] or result["status"] == "interrupted"):
                complain("Stopped. `boltbench resume` goes on where it was.")
                return interrupts.exit_code()
    return int(failed)


def _mirror_in_time(mirror: Mirror, folder: RunFolder, interrupts: Interrupts) -> None:
    """Mirror a run within what is left of the time that a stop may take: MLflow alone may take seconds to import."""
    thread = threading.Thread(target=mirror_quietly, args=(mirror, [folder]), name="mirror", daemon=True)
    thread.start()
    if not interrupts.wait_for(thread):
        complain(MIRROR_UNFINISHED)


def mirror_quietly(mirror: Mirror, folders: Sequence[RunFolder]) -> int | None:
    """Mirror runs and return how many had to be written; when MLflow cannot be, say it, go on, and return None.

    The folders hold everything.
    """
    try:
        return mirror.sync_all(folders, lambda error: complain(f"boltbench: {error}"))
    except MirrorError as error:
        complain(f"boltbench: {error}")
        return None


def show_leaderboards(prepared: list[Prepared], store: Store) -> None:
    """Print the leaderboard of every task that the session ran."""
    from results.errors import ResultsError
    from results.leaderboard import leaderboard, task_labels
    from results.records import load_records
    from results.terminal import render

    try:
        records = load_records(store.runs)
        names = {item.spec.task.name for item in prepared}
        for label in task_labels(records):
            if set(records.loc[records["task_label"] == label, "task"]) & names:
                say()
                show(render(leaderboard(records, label)))
    except ResultsError as error:
        complain(f"boltbench: {error}")
