"""Why a finished run answers as it does: attributions of its test examples, scored where the task knows better."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from results.drawings.explanation import explanation_of
from suite import questions, relevance
from suite.atomic import write_bytes
from suite.engine.data import ResidentSplit
from suite.engine.devices import configure_torch
from suite.errors import UserError
from suite.explainer import Explainer, Question
from suite.runs.folder import ATTRIBUTIONS, EXPLANATION, EXPLANATION_PICTURE, RunFolder
from suite.runs.source import Source, read_spec
from suite.runs.splits import load_splits
from suite.seeds import seed_torch
from suite.task import SplitName

SCORED, DRAWN = 200, 4
"""Examples that are explained where the task knows the truth, and where it does not."""


@dataclass(frozen=True)
class Case:
    """The examples of a run that are to be explained, and the truth about them."""

    source: Source
    split: SplitName
    indices: Tensor
    question: Question
    evidence: Tensor | None
    """Where the answer stands, bool (examples, *positions), where the task knows it."""
    is_scored: Tensor
    """Which examples count: those answered correctly where answers are classes, else all. A wrong answer need not rest
    on what the right one rests on."""


def open_case(source: Source, num_examples: int | None) -> Case:
    """Return what is to be explained.

    Raises:
        UserError: Answers of this task cannot be explained, or the data is missing.
    """
    card, spec = source.card, source.spec
    reason = questions.misfit(card)
    if reason is not None:
        raise UserError(f"{source.folder.run_id!r} cannot be explained: its task {card.name!r} {reason}.")
    if spec.family.has_encoding():
        raise UserError(
            f"{source.folder.run_id!r} cannot be explained: its family {spec.family.name!r} reads inputs in a form of "
            "its own, in which examples differ in length."
        )
    name: SplitName = "test" if spec.evaluation.test else "val"
    splits = load_splits(spec, name)
    if len(splits[name]) == 0:
        raise UserError(f"{source.folder.run_id!r} cannot be explained: its task has no examples in the {name} split.")
    configure_torch(threads=read_spec(source.folder)[1].threads or 1, deterministic=True)
    seed_torch(0)
    evidence = spec.task.evidence(name)
    if evidence is not None and len(evidence) != len(splits[name]):
        evidence = None  # examples were dropped for what they lack
    count = num_examples or (DRAWN if evidence is None else SCORED)
    # From all parts of the split, whose order may go by class.
    indices = torch.linspace(0, len(splits[name]) - 1, min(count, len(splits[name]))).round().long()
    batch = ResidentSplit.place(splits[name], splits, torch.device("cpu")).gather(indices)
    question = questions.ask(source.build(torch.device("cpu")), batch.inputs)
    is_class = card.objective == "cross-entropy"
    is_scored = question.chosen == batch.targets if is_class else torch.ones(len(indices), dtype=torch.bool)
    return Case(source, name, indices, question, None if evidence is None else evidence[indices], is_scored)


@dataclass(frozen=True)
class Explanation:
    """What one method says."""

    method: Explainer
    contributions: Tensor
    """(examples, *positions)."""
    scores: Mapping[str, float] | None
    """Means over the scored examples; None where the truth is not known or no example counts."""


def explain(case: Case, method: Explainer) -> Explanation:
    """Return a method's explanation of a case."""
    with torch.enable_grad():
        contributions = method.attribute(case.question).detach()
    assert contributions.shape == (len(case.indices), *case.question.positions), "one value per position"
    scores = None
    if case.evidence is not None and bool(case.is_scored.any()):
        found = relevance.scores(
            contributions.abs().flatten(1)[case.is_scored], case.evidence.flatten(1)[case.is_scored]
        )
        scores = {name: float(values.mean()) for name, values in found.items()}
    return Explanation(method, contributions, scores)


def chance_of(case: Case) -> float | None:
    """Return what every score comes to by chance, or None where nothing is scored."""
    if case.evidence is None or not bool(case.is_scored.any()):
        return None
    return float(relevance.chance(case.evidence.flatten(1)[case.is_scored]).mean())


def keep(case: Case, explanations: list[Explanation]) -> None:
    """Write the explanation into the run's folder in place of an earlier one: arrays, what they come to, picture."""
    folder: RunFolder = case.source.folder
    (folder.path / EXPLANATION).unlink(missing_ok=True)  # its proof first: no moment shows it beside newer arrays
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "indices": case.indices.numpy(),
        "inputs": case.question.inputs.numpy(),
        "answers": case.question.chosen.numpy(),
    }
    if case.evidence is not None:
        arrays["evidence"] = case.evidence.numpy()
    for item in explanations:
        arrays[f"contributions/{item.method.name}"] = item.contributions.float().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stubs take the names for other arguments
    packages = sorted({package for item in explanations for package in item.method.packages})
    summary = {
        "run_id": folder.run_id,
        "weights_sha256": case.source.weights_sha256,
        "split": case.split,
        "num_explained": len(case.indices),
        "num_scored": 0 if case.evidence is None else int(case.is_scored.sum()),
        "chance": chance_of(case),
        "methods": {
            item.method.name: {"settings": item.method.to_mapping(), "scores": item.scores} for item in explanations
        },
        "packages": {package: importlib.metadata.version(package) for package in packages},
        "attributions_sha256": write_bytes(folder.path / ATTRIBUTIONS, buffer.getvalue()),
    }
    folder.write_json(EXPLANATION, summary)
    picture = explanation_of(folder.path)
    assert picture is not None, "it was just written"
    write_bytes(folder.path / EXPLANATION_PICTURE, picture)
