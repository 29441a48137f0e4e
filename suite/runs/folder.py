"""A run is a folder: what lies in it, who holds it, and when it counts as done."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results.errors import RecordError
from results.seal import SEAL, check_seal
from suite.atomic import sha256_of, write_text
from suite.errors import UserError
from suite.locks import Lock, LockHeldError

SPEC = "spec.yaml"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
WEIGHTS = "checkpoints/selected.safetensors"
PREDICTIONS = "predictions.npz"
EXAMPLES = "examples.npz"
RESULT = "result.json"
REPLAY = "replay.json"
EXPLANATION = "explanation.json"
ATTRIBUTIONS = "attributions.npz"
EXPLANATION_PICTURE = "explanation.png"
TRAINED = "checkpoints/trained.json"
ERROR = "error.txt"
LOCK = ".lock"
IDENTITY = ".boltbench-root"
"""The file of a root that tells it from others."""
RESUMABLE = ("planned", "interrupted", "lost")
"""Statuses of a run that `boltbench resume` goes on with; it also scores one again whose scoring failed."""


class RunBusyError(UserError):
    """Another live process holds the run."""


class Store:
    """Where runs and their indices lie: ``<root>/runs/<run id>/`` and ``<root>/mlflow/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self.mlflow = root / "mlflow"

    def check_writable(self) -> None:
        """Raise `UserError` naming the path when runs cannot be written here; leave nothing behind."""
        for directory in (self.runs, self.mlflow):
            nearest = directory
            while not nearest.exists():
                nearest = nearest.parent
            if not nearest.is_dir():
                raise UserError(
                    f"Runs need a folder at {str(directory)!r}, but {str(nearest)!r} is a file. Give another --root."
                )
            probe = nearest / f".boltbench-probe-{os.getpid()}"
            try:
                probe.touch()  # asking os.access is not enough: it says yes to root on a read-only file system
                probe.unlink()
            except OSError as error:
                raise UserError(
                    f"Runs are written under {str(directory)!r}, but {str(nearest)!r} cannot be written "
                    f"({error.strerror}). Give another --root, or mend its permissions."
                ) from error

    def identity(self) -> str:
        """Return what tells this root from others that mirror to the same server; made when first asked for."""
        path = self.root / IDENTITY
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip()
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # of two processes, the second takes what the first has made
            if not path.is_file():
                write_text(path, f"{secrets.token_hex(8)}\n")
        finally:
            os.close(handle)
        return path.read_text().strip()

    def folders(self) -> list[RunFolder]:
        """Return every run folder, sorted by run id."""
        if not self.runs.is_dir():
            return []
        return [RunFolder(path) for path in sorted(self.runs.iterdir()) if (path / SPEC).is_file()]

    def find(self, name: str) -> RunFolder:
        """Return the run whose id is ``name`` or begins with it, or that lies at the path ``name``."""
        as_path = Path(name)
        if (as_path / SPEC).is_file():
            return RunFolder(as_path.resolve())
        matches = [folder for folder in self.folders() if folder.run_id.startswith(name)]
        exact = [folder for folder in matches if folder.run_id == name]
        if len(exact or matches) == 1:
            return (exact or matches)[0]
        if matches:
            names = ", ".join(folder.run_id for folder in matches[:5])
            raise UserError(f"{name!r} must name one run, but {len(matches)} begin so: {names}. Give more letters.")
        raise UserError(f"No run {name!r} under {str(self.runs)!r}. `boltbench list runs` names those that are there.")


class RunFolder:
    """One run on disk. ``result.json`` is written last and atomically: it alone proves that the run ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """The run's id, which is the folder's name."""
        return self.path.name

    def result(self) -> dict[str, Any] | None:
        """Return the result, or None while there is none.

        Raises:
            UserError: It is not readable, or was changed after it was sealed.
        """
        result = self.read_json(RESULT)
        if result is not None and SEAL in result:
            path = self.path / RESULT
            try:
                check_seal(path.read_bytes(), result, str(path))
            except RecordError as error:
                raise UserError(str(error)) from error
        return result

    def environment(self) -> dict[str, Any] | None:
        """Return the fingerprint of the run's last attempt, or None before the first."""
        return self.read_json(ENVIRONMENT)

    def status(self) -> str:
        """Return the run's status.

        A run without a result is running while a process holds it, else planned before its first attempt and lost
        after one; `boltbench resume` goes on with both. One whose result cannot be read is damaged.
        """
        try:
            result = self.result()
        except UserError:
            return "damaged"
        if result is not None:
            return str(result["status"])
        if self.owner() is not None:
            return "running"
        return "lost" if (self.path / ENVIRONMENT).is_file() else "planned"

    def can_go_on(self) -> bool:
        """Whether something is left to do: the training was cut off, or the scoring after it failed."""
        status = self.status()
        return status in RESUMABLE or (status in ("failed", "out-of-memory") and (self.path / TRAINED).is_file())

    def how_to_make_anew(self) -> str:
        """Return the way out of damage, as the end of an error message."""
        return f"`boltbench run --force --config {shlex.quote(str(self.path / SPEC))}` makes the run anew."

    def plan(self, spec: str) -> None:
        """Put the spec of a run that is about to be made here, unless there is one."""
        if not (self.path / SPEC).is_file():
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / SPEC, spec)

    def write_json(self, name: str, value: dict[str, Any]) -> str:
        """Write ``value`` as strict JSON; return its sha256."""
        return write_text(self.path / name, json.dumps(value, indent=1, allow_nan=False) + "\n")

    def file_digests(self) -> dict[str, str]:
        """Return the sha256 of every file that a result vouches for."""
        names = (SPEC, ENVIRONMENT, METRICS, WEIGHTS, PREDICTIONS, EXAMPLES)
        return {name: sha256_of(self.path / name) for name in names if (self.path / name).is_file()}

    def damaged_files(self) -> list[str]:
        """Return the files that are missing or differ from what the result says."""
        result = self.result() or {}
        expected: dict[str, str] = result.get("files", {})
        found = self.file_digests()
        return [name for name, digest in expected.items() if found.get(name) != digest]

    def withdraw_result(self) -> None:
        """Take an earlier result and its error back before files change that it vouches for."""
        for name in (RESULT, ERROR):
            (self.path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget an earlier result, its proof first, so that no moment shows a result beside newer files."""
        added = (REPLAY, EXPLANATION, ATTRIBUTIONS, EXPLANATION_PICTURE)
        for name in (RESULT, *added, ENVIRONMENT, METRICS, PREDICTIONS, EXAMPLES, ERROR):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the run for this process; raise `RunBusyError` naming the owner when another one does.

        The kernel drops the lock with the process, however that dies.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(Lock(self.path / LOCK).hold())
            except LockHeldError as error:
                raise RunBusyError(f"The run {self.run_id!r} is being made by {error}.") from error
            yield

    def owner(self) -> str | None:
        """Return who holds the run, or None."""
        return Lock(self.path / LOCK).owner()

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the content of one of the folder's files, or None where there is none.

        Raises:
            UserError: It is no JSON object.
        """
        path = self.path / name
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(f"{str(path)!r} is damaged: {error}. {self.how_to_make_anew()}") from error
        if not isinstance(value, dict):
            raise UserError(f"{str(path)!r} must hold a JSON object. {self.how_to_make_anew()}")
        return value
