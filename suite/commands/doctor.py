"""Checks the environment, the stores and every run folder; exit code 1 when something is wrong."""

from __future__ import annotations

import contextlib
import sqlite3
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from suite.console import say
from suite.errors import UserError

LEAST_PYTHON = (3, 11)


def add_arguments(_parser: ArgumentParser) -> None:
    """Declare no arguments."""


def main(arguments: Namespace) -> int:
    """Run every check and print one line each."""
    checks: dict[str, Callable[[Path], Iterator[str]]] = {
        "packages": _packages,
        "registries": _registries,
        "places": _places,
        "run folders": _runs,
        "MLflow": _mlflow,
    }
    wrong = 0
    for name, check in checks.items():
        problems = list(check(arguments.root))
        wrong += len(problems)
        say(f"{name:<14}{'fine' if not problems else f'{len(problems)} wrong'}")
        for problem in problems:
            say(f"  - {problem}")
    return int(wrong > 0)


def _packages(_root: Path) -> Iterator[str]:
    """Compare what is installed with what the distribution asks for."""
    import importlib.metadata

    from packaging.requirements import Requirement

    try:
        needed = importlib.metadata.requires("boltbench") or []
    except importlib.metadata.PackageNotFoundError:
        yield "boltbench is not installed here; `make install` sets it up."
        return
    for text in needed:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{requirement.name} must be installed, but is not; `make install` brings it."
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement.name}{requirement.specifier} must hold, but {version} is installed."


def _registries(_root: Path) -> Iterator[str]:
    """Import everything that is registered."""
    from suite.commands.shared import registries

    for registry in registries().values():
        for name in registry.names():
            try:
                registry.get(name)
            except Exception as error:  # whatever a file raises on import is the finding
                yield f"the {registry.what} {name!r} does not load: {type(error).__name__}: {error}"


def _places(root: Path) -> Iterator[str]:
    from suite.runs.folder import Store

    try:
        Store(root).check_writable()
    except UserError as error:
        yield str(error)


def _runs(root: Path) -> Iterator[str]:
    """Compare every file of every finished run with its sha256."""
    from suite.runs.folder import Store
    from suite.search.resuming import belongs_to_study, studies_to_go_on

    store = Store(root)
    for name in studies_to_go_on(root):
        yield f"the study {name} was cut off; `boltbench resume` goes on with it."
    for folder in store.folders():
        try:
            status = folder.status()
            damaged = folder.damaged_files()
        except UserError as error:
            yield str(error)
            continue
        if damaged:
            names = ", ".join(damaged)
            yield f"{folder.run_id}: {names} must match the sha256 in result.json. {folder.how_to_make_anew()}"
        # A plan that was stopped has runs yet to make: nothing is wrong.
        if folder.can_go_on() and status != "planned" and not belongs_to_study(folder, store):
            yield f"{folder.run_id} is {status}; `boltbench resume` goes on with it."
        if folder.owner() is None:
            for leftover in folder.path.rglob("*.tmp"):
                yield f"{leftover} is left of a write that was killed; remove it."


def _mlflow(root: Path) -> Iterator[str]:
    """Check the database, and that it holds every finished run once."""
    from suite.runs.folder import RESUMABLE, Store
    from suite.runs.mirror import Mirror, default_tracking_uri

    store = Store(root)
    database = store.mlflow / "mlflow.db"
    if Mirror(store).tracking_uri != default_tracking_uri(store):
        return  # a server of the user's own, which has its own doctor
    if not database.is_file():
        if any(folder.status() not in (*RESUMABLE, "running", "damaged") for folder in store.folders()):
            yield "there are runs, but no MLflow store; `boltbench resume` makes it."
        return
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    except sqlite3.DatabaseError as error:
        yield f"{database} is damaged ({error}); remove {store.mlflow}, and `boltbench resume` makes it anew."
        return
    if verdict != "ok":
        yield f"{database} is damaged ({verdict}); remove {store.mlflow}, and `boltbench resume` makes it anew."
        return
    if mode != "wal":
        yield f"{database} must be in WAL mode, but is in {mode!r}: parallel writers would wait for seconds."
    counts = Mirror(store, default_tracking_uri(store)).counts()
    for folder in store.folders():
        try:
            is_finished = folder.result() is not None
        except UserError:  # found above, with the way out
            continue
        if is_finished and counts.get(folder.run_id, 0) != 1:
            yield f"{folder.run_id} is {counts.get(folder.run_id, 0)} times in MLflow; `boltbench resume` mends it."
