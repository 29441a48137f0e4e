"""A finished run as what another one starts from: found, checked, and loaded without executing anything in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from suite.engine.devices import Execution
from suite.errors import UserError
from suite.learner import Learner
from suite.runs.folder import SPEC, WEIGHTS, RunFolder
from suite.spec import RunSpec
from suite.task import Card
from suite.weights import read_tensors, unpack


@dataclass(frozen=True)
class Source:
    """A completed run whose files are as they were written."""

    folder: RunFolder
    spec: RunSpec
    card: Card
    result: dict[str, Any]

    @property
    def weights_sha256(self) -> str:
        """The digest of the run's weights."""
        return str(self.result["digests"]["weights"])

    @property
    def weights(self) -> Path:
        """Where the weights lie."""
        return self.folder.path / WEIGHTS

    def build(self, device: torch.device) -> Learner:
        """Return the run's model on ``device``, for prediction."""
        return restore(self.spec, self.card, self.weights, device)

    def text(self) -> str:
        """Return the family with its settings that are not the default, such as ``cnn(channels=[16])``."""
        settings = ",".join(f"{key}={value}" for key, value in sorted(self.spec.family.changed().items()))
        return f"{self.spec.family.name}({settings})" if settings else self.spec.family.name

    def steps(self) -> str:
        """Return how the model was compressed, the first step first; empty where it was not."""
        if self.spec.compression is None or self.spec.parent is None:
            return ""
        before = "" if self.spec.compression.has_own_spec else self.spec.parent.steps
        return "+".join(filter(None, (before, self.spec.compression.text())))


def restore(spec: RunSpec, card: Card, weights: Path, device: torch.device) -> Learner:
    """Return the model that a run wrote to ``weights``, on ``device``, for prediction.

    Raises:
        UserError: The file is no safetensors file, or holds the weights of another model.
    """
    learner = spec.family.build(card)
    if device.type == "meta":  # shapes are all that is asked for
        return learner.to(device).eval()
    tensors = read_tensors(weights)
    if spec.compression is not None:
        spec.compression.load(learner, tensors)
    else:
        learner.load_state_dict(unpack(tensors, {name: item.shape for name, item in learner.state_dict().items()}))
    return learner.to(device).eval()


def open_source(folder: RunFolder, *, purpose: str) -> Source:
    """Check a run and return it as a source.

    Args:
        folder: The run.
        purpose: What is to be done with it, as an error says it, such as ``compressed``.

    Raises:
        UserError: The run is not completed, one of its files does not match its sha256, or its code has changed so
            that the weights fit no more.
    """
    result = folder.result()
    if result is None or result["status"] != "completed":
        raise UserError(
            f"Only a completed run can be {purpose}, but {folder.run_id!r} is {folder.status()}. "
            "`boltbench list runs` names those that are there."
        )
    damaged = folder.damaged_files()
    if damaged:
        raise UserError(
            f"The files of {folder.run_id!r} must match the sha256 in its result, but {', '.join(damaged)} "
            f"{'does' if len(damaged) == 1 else 'do'} not. `boltbench run --force` makes the run anew."
        )
    spec, _ = read_spec(folder)
    source = Source(folder, spec, spec.card(), result)
    reason = spec.family.misfit(source.card)
    if reason is not None:
        raise UserError(f"{folder.run_id!r} cannot be {purpose}: its family {spec.family.name!r} {reason}.")
    spec.family.check_packages()
    try:
        source.build(torch.device("cpu"))
    except UserError as error:
        raise UserError(f"{folder.run_id!r} cannot be {purpose}: {error}") from error
    return source


def find_source(runs: Path | None, run_id: str, *, weights: str, purpose: str) -> Source:
    """Return the run that a spec names by id and by the sha256 of its weights.

    Raises:
        UserError: It is not under ``runs``, is not what it was, or fails the checks of `open_source`.
    """
    folder = None if runs is None else RunFolder(runs / run_id)
    if folder is None or not (folder.path / SPEC).is_file():
        raise UserError(
            f"The run {run_id!r} must lie under {str(runs)!r}, because another begins with its weights, but it is not "
            "there. Bring its folder back, or name another --root."
        )
    source = open_source(folder, purpose=purpose)
    if source.weights_sha256 != weights:
        raise UserError(
            f"The weights of {run_id!r} must have sha256 {weights[:16]}..., but those that lie there have "
            f"{source.weights_sha256[:16]}...: the run was made anew since. Begin from it again."
        )
    return source


def read_spec(folder: RunFolder) -> tuple[RunSpec, Execution]:
    """Return the spec of a run folder and how the run was carried out, with the threads that it really used."""
    try:
        mapping = yaml.safe_load((folder.path / SPEC).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{str(folder.path / SPEC)!r} is damaged: {error}") from error
    if not isinstance(mapping, dict):
        raise UserError(f"{str(folder.path / SPEC)!r} must hold a mapping, but holds {type(mapping).__name__}.")
    execution = Execution.from_mapping(mapping.pop("execution", None) or {})
    environment = folder.environment()
    if environment is not None:
        execution = dataclasses.replace(execution, threads=environment["decisive"]["threads"])
    return RunSpec.from_mapping(mapping), execution
