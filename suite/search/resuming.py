"""Goes on with the studies under a root that were cut off, and brings both indices up to date with all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

from suite.atomic import write_text
from suite.engine.devices import Execution
from suite.errors import UserError
from suite.locks import Lock
from suite.runs.folder import LOCK, RunFolder, Store
from suite.runs.mirror import Mirror, MirrorError
from suite.runs.study_mirror import part_of_study
from suite.search.run import finished_result
from suite.search.sweep import Sweep, load_sweep
from suite.search.tracking import reconcile
from sweeps.index import OptunaIndex
from sweeps.records import StudyError, StudyFolder
from sweeps.storage import StorageError, default_url, open_storage


def study_folders(store: Store) -> list[StudyFolder]:
    """Return every study under the root, by name."""
    studies = store.root / "studies"
    found = sorted(path for path in studies.iterdir() if path.is_dir()) if studies.is_dir() else []
    return [StudyFolder(path, write_text) for path in found if (path / "study.yaml").is_file()]


def owner_of(folder: StudyFolder) -> str | None:
    """Return who is at work on a study, or None."""
    return Lock(folder.path / LOCK).owner()


def belongs_to_study(folder: RunFolder, store: Store) -> bool:
    """Return whether a run is a part of a study that is there, and goes on with it alone."""
    study = part_of_study(folder).study
    return study is not None and (store.root / "studies" / study / "study.yaml").is_file()


def is_searched_now(folder: RunFolder, store: Store) -> bool:
    """Return whether a run is a part of a study that a process is at work on."""
    study = part_of_study(folder).study
    return study is not None and owner_of(StudyFolder(store.root / "studies" / study, write_text)) is not None


def unfinished(
    store: Store, say: Callable[[str], None], complain: Callable[[str], None], names: Collection[str] | None = None
) -> tuple[list[Sweep], int]:
    """Return the sweeps that were cut off and can go on, and how many cannot; of all studies, or of those named."""
    sweeps, unprepared = [], 0
    for folder in study_folders(store):
        if names is not None and folder.name not in names:
            continue
        owner = owner_of(folder)
        if owner is not None:
            say(f"{folder.name}  is being searched by {owner}")
            continue
        try:
            description = folder.description()
            assert description is not None
            sweep = load_sweep(description, store, Execution())
            if finished_result(sweep) is None:
                sweeps.append(sweep)
        except (UserError, StudyError) as error:
            complain(f"{folder.name}  cannot go on: {error}")
            unprepared += 1
    return sweeps, unprepared


def reconcile_all(
    store: Store,
    *,
    storage_url: str | None,
    mirror: Mirror,
    complain: Callable[[str], None],
    names: Collection[str] | None = None,
) -> tuple[int, int]:
    """Bring Optuna's database and MLflow up to date with every study that nobody is at work on, or with those named.

    Returns:
        How much had to be written, and how many studies could not be. One whose description is damaged has no indices
        to bring up to date; `unfinished` says what is wrong with it.
    """
    described = []
    for folder in study_folders(store):
        if owner_of(folder) is None and (names is None or folder.name in names):
            with contextlib.suppress(StudyError):
                described.append((folder, folder.description()))
    if not described:
        return 0, 0
    try:
        storage = open_storage(storage_url or default_url(store.root / "studies"))
    except StorageError as error:
        raise UserError(str(error)) from None
    written = failed = 0
    try:
        for folder, description in described:
            if description is None:
                continue
            try:
                written += reconcile(folder, store, OptunaIndex(storage, description), mirror)
            except MirrorError as error:
                complain(f"boltbench: {error}")
                return written, failed + 1
            except (UserError, StudyError, StorageError) as error:
                complain(f"boltbench: {folder.name}: {error}")
                failed += 1
    finally:
        storage.engine.dispose()
    return written, failed


def studies_to_go_on(root: Path) -> list[str]:
    """Return the names of the studies that were cut off, for `boltbench doctor`."""
    store = Store(root)
    return [
        folder.name
        for folder in study_folders(store)
        if owner_of(folder) is None and not (folder.path / "result.json").is_file()
    ]
