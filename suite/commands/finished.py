"""What is known to be done without looking at it anew: sweeps that are finished, and roots with nothing to go on with.

Both rest on receipts (`suite.receipts`), and import neither torch nor MLflow.
"""

from __future__ import annotations

import contextlib
import json
import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.atomic import sha256_of
from suite.commands.shared import storage_url
from suite.locks import Lock
from suite.receipts import ground, place_of, read_receipt, stamp, write_receipt
from suite.runs.folder import EXPLANATION, EXPLANATION_PICTURE, LOCK, REPLAY, RESULT, SPEC, TRAINED, Store

if TYPE_CHECKING:
    from suite.search.sweep import Sweep

STUDY = "study.yaml"
_OF_RUN = (SPEC, RESULT, REPLAY, EXPLANATION, EXPLANATION_PICTURE, "tuning.json", "trial.json", TRAINED)
"""The files of a run that a resume looks at."""


def sweep_receipt(arguments: Namespace, settings: Sequence[str]) -> Path | None:
    """Return where the receipt of this very command lies, or None where none is kept: plug-ins may read anything."""
    if arguments.plugin:
        return None
    named = (arguments.config, arguments.space, None if arguments.plan is None else Path(arguments.plan))
    files = [path for path in named if path is not None and path.is_file()]
    given = {key: str(value) for key, value in vars(arguments).items() if key != "root"}
    key, place = ground(given | {"settings": list(settings)}, files), place_of(arguments.root)
    return None if key is None or place is None else place / f"{key}.json"


def finished_before(receipt: Path, store: Store) -> dict[str, Any] | None:
    """Return the results of the command's studies by name, where nothing has changed since all were finished."""
    known = read_receipt(receipt)
    if known is None:
        return None
    results = {}
    for name, digests in known.items():
        folder = store.root / "studies" / name
        try:
            if any(sha256_of(folder / file) != digest for file, digest in digests.items()):
                return None
            results[name] = json.loads((folder / RESULT).read_bytes())
        except (OSError, ValueError):
            return None
    return results


def note_finished(receipt: Path, sweeps: Sequence[Sweep]) -> None:
    """Keep that all sweeps of the command are finished."""
    for sweep in sweeps:
        settings = sweep.space.base.task.to_mapping()
        # What lies at a place on disk may change without a trace here.
        if any(isinstance(value, str) and key != "name" and Path(value).exists() for key, value in settings.items()):
            return
    folders = {sweep.name: sweep.folder.path for sweep in sweeps}
    write_receipt(
        receipt,
        {name: {file: sha256_of(path / file) for file in (STUDY, RESULT)} for name, path in folders.items()},
    )


class Idle:
    """Whether a root has nothing to go on with and nothing to bring up to date, as a resume found it before.

    It is known only where both indices are files beside the runs, which tell when somebody else has written them.
    """

    def __init__(self, arguments: Namespace, store: Store) -> None:
        self._store = store
        place = place_of(store.root)
        is_local = storage_url(arguments) is None and not (
            arguments.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        )
        is_told = is_local and not arguments.plugin
        self._receipt = None if place is None else place / "idle.json"
        self._ground = ground({}) if is_told and place is not None else None
        self._before = self._state()

    def is_known(self) -> bool:
        """Return whether everything is as it was when a resume found nothing to do."""
        return self._receipt is not None and self._before is not None and read_receipt(self._receipt) == self._before

    def note(self) -> None:
        """Keep that there was nothing to do, unless something has changed meanwhile or somebody is at work."""
        if self._receipt is None or self._before is None or self._is_busy():
            return
        if self._state() == self._before:
            write_receipt(self._receipt, self._before)

    def _state(self) -> Mapping[str, str] | None:
        if self._ground is None:
            return None
        return {"ground": self._ground, "stamp": stamp(self._paths())}

    def _paths(self) -> Iterator[Path | str]:
        for name in _names(self._store.runs):
            yield from (f"{self._store.runs}/{name}/{file}" for file in _OF_RUN)
        studies = self._store.root / "studies"
        for name in _names(studies):
            yield from (f"{studies}/{name}/{file}" for file in (STUDY, RESULT))
            yield from (f"{studies}/{name}/trials/{file}" for file in _names(studies / name / "trials", is_dir=False))
        for database in (self._store.mlflow / "mlflow.db", studies / "optuna.db"):
            yield from (path for path in (database, _log_of(database)) if path is not None)

    def _is_busy(self) -> bool:
        studies = self._store.root / "studies"
        folders = [place / name for place in (self._store.runs, studies) for name in _names(place)]
        return any(Lock(folder / LOCK).owner() is not None for folder in folders)


def _log_of(database: Path) -> Path | None:
    """Return what SQLite has yet to bring into the database; a log that is empty or gone says the same."""
    log = database.with_name(f"{database.name}-wal")
    with contextlib.suppress(OSError):
        if log.stat().st_size > 0:
            return log
    return None


def _names(folder: Path, *, is_dir: bool = True) -> list[str]:
    """Return the names of the folders, or else of the files, in a folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() == is_dir and entry.name[0] != ".")
    except OSError:
        return []
