"""A study on disk: what it is, one file per trial, and what came of it. Optuna's database is made from these."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from sweeps.documents import DocumentError, read_document
from sweeps.space import Scalar

SCHEMA = 1
"""Version of the layout of a study folder."""
STUDY = "study.yaml"
TRIALS = "trials"
RESULT = "result.json"

Status = Literal[
    "running", "completed", "pruned", "diverged", "failed", "out-of-memory", "timed-out", "interrupted", "lost"
]
OPEN: frozenset[Status] = frozenset({"running", "interrupted"})
"""Statuses of a trial that is not over: a resume goes on with it."""

Write = Callable[[Path, str], object]
"""Writes a text file atomically; handed in, so that this package needs no other."""


class StudyError(ValueError):
    """A study folder that cannot be read or used; the message names it and the way out."""


@dataclasses.dataclass
class Trial:
    """One trial as its file holds it."""

    study: str
    number: int
    status: Status
    params: dict[str, Scalar]
    run_ids: list[str] = dataclasses.field(default_factory=list)
    attempts: int = 1
    values: list[float] | None = None
    """One per objective, of a trial that is completed."""
    intermediate: list[list[float]] = dataclasses.field(default_factory=list)
    """[step, value] of each report."""
    started_at: str = ""
    finished_at: str | None = None
    seconds: float | None = None
    """How long it kept a worker, over all attempts."""
    device: str | None = None
    message: str = ""
    sampler_state: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What the sampler and the pruner noted beside the trial, which later trials may rest on."""

    @property
    def is_over(self) -> bool:
        """Whether the status is final."""
        return self.status not in OPEN

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values; lists and mappings in them are the trial's own."""
        return {"schema": SCHEMA, **vars(self)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Trial:
        """Read what `to_mapping` returned."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in mapping.items() if key in names})


class StudyFolder:
    """The folder of one study; the process that runs the sweep alone writes it.

    Args:
        path: ``<root>/studies/<study>``.
        write: The atomic writer.
    """

    def __init__(self, path: Path, write: Write) -> None:
        self.path = path
        self._write = write

    @property
    def name(self) -> str:
        """The study's name, which is the folder's."""
        return self.path.name

    def description(self) -> dict[str, Any] | None:
        """Return what the study is, or None while there is none.

        Raises:
            StudyError: The file is damaged.
        """
        path = self.path / STUDY
        try:
            content = read_document(path)
        except FileNotFoundError:
            return None
        except DocumentError as error:
            raise StudyError(f"{str(path)!r} is damaged: {error}. Remove the folder to search anew.") from error
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise StudyError(
                f"{str(path)!r} must hold a study of schema {SCHEMA}, but does not. Remove the folder to search anew."
            )
        return content

    def describe(self, description: Mapping[str, Any]) -> None:
        """Write what the study is; the folder is made where there is none."""
        (self.path / TRIALS).mkdir(parents=True, exist_ok=True)
        self._write(self.path / STUDY, yaml.safe_dump(dict(description), sort_keys=False))

    def trials(self) -> list[Trial]:
        """Return every trial by number.

        Raises:
            StudyError: A file is damaged, or a number is missing among them.
        """
        trials = []
        for number, path in enumerate(sorted((self.path / TRIALS).glob("[0-9]*.json"))):
            try:
                trial = Trial.from_mapping(json.loads(path.read_bytes()))
            except (ValueError, TypeError) as error:
                raise StudyError(
                    f"{str(path)!r} is damaged: {error}. Remove the study's folder to search anew."
                ) from error
            if trial.number != number:
                raise StudyError(
                    f"The trials of {self.name!r} must be numbered without a gap, but {number} is missing or doubled. "
                    "Remove the study's folder to search anew."
                )
            trials.append(trial)
        return trials

    def write_trial(self, trial: Trial) -> None:
        """Write one trial."""
        self._write(self.path / TRIALS / f"{trial.number:05d}.json", _json(trial.to_mapping()))

    def result(self) -> dict[str, Any] | None:
        """Return what came of the study, or None while it goes on.

        Raises:
            StudyError: The file is damaged.
        """
        path = self.path / RESULT
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StudyError(f"{str(path)!r} is damaged: {error}. Remove it, and resume.") from error
        if not isinstance(content, dict):
            raise StudyError(f"{str(path)!r} must hold a JSON object. Remove it, and resume.")
        return content

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write what came of the study."""
        self._write(self.path / RESULT, _json(result))

    def withdraw_result(self) -> None:
        """Take an earlier result back, before more trials are made."""
        (self.path / RESULT).unlink(missing_ok=True)

    def write_text(self, name: str, content: str) -> None:
        """Write another file of the study."""
        self._write(self.path / name, content)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"
