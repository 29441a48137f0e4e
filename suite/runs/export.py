"""A finished run's model in a file for use elsewhere: what goes into it, and the check of what came out."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from suite.engine.data import ResidentSplit
from suite.engine.devices import configure_torch
from suite.errors import UserError
from suite.format import INPUT, OUTPUT, Exportable, Format
from suite.predictor import Predictor
from suite.runs.source import Source, read_spec
from suite.runs.splits import load_splits
from suite.seeds import derive, seed_torch
from suite.task import Card, SplitName, Splits

TOLERANCE = 1e-4
"""Largest difference of an output that passes, as a share of the largest reference output, or of 1 if that is less."""
BATCH_SIZES = (1, 256)
"""Examples at once in the check: a first part, and all others at most. A graph must take any number of them."""
NUM_TRACED = 4
"""Examples that a graph is traced with."""


@dataclass(frozen=True)
class Check:
    """How far the predictions of a file are from those of the run's model."""

    split: SplitName
    num_examples: int
    largest_difference: float
    """NaN where an output of the file is no number."""
    allowed: float
    equal_share: float
    """Share of equal predictions: the same class, or, where answers are no classes, within what is allowed."""
    score: float | None
    """The task's primary score of the file's predictions; None where predictions are samples."""

    @property
    def holds(self) -> bool:
        """Whether the file may be left."""
        return self.largest_difference <= self.allowed


def check_split_of(source: Source) -> SplitName:
    """Return the split that an export is checked on: test, or val where the run never looked at test."""
    name: SplitName = "test" if source.spec.evaluation.test else "val"
    if source.card.split_sizes[name] == 0:
        raise UserError(
            f"An export is checked on the {name} split, but {source.folder.run_id!r} has none. "
            "Export a run whose task has one."
        )
    return name


def exportable(source: Source, *, holds_program: bool) -> Exportable:
    """Return the model of a run with everything that a file of it says."""
    splits = load_splits(source.spec, check_split_of(source))
    configure_torch(threads=read_spec(source.folder)[1].threads or 1, deterministic=True)
    inputs = splits[check_split_of(source)].inputs[:NUM_TRACED]
    if len(inputs) < 2:
        raise UserError(f"An export needs two examples at least, but the task {source.card.name!r} has {len(inputs)}.")
    return Exportable(
        spec=source.spec,
        card=source.card,
        predictor=Predictor(source.build(torch.device("cpu")), splits.mean, splits.std).eval(),
        example=as_input(inputs, source.card),
        about=describe(source, splits, holds_program=holds_program),
    )


def as_input(stored: Tensor, card: Card) -> Tensor:
    """Return stored inputs in the one type that files take: int64 for tokens, else float32."""
    return stored.to(torch.int64 if card.vocabulary is not None else torch.float32, copy=True)


def describe(source: Source, splits: Splits, *, holds_program: bool) -> dict[str, str]:
    """Return what a file says of itself, by name; values that are not plain text are JSON."""
    result, card, spec = source.result, source.card, source.spec
    seen, encoding = spec.family.seen_card(card), spec.family.encoding
    is_text = seen.vocabulary is not None
    length = seen.input_shape if seen.is_length_fixed else (*seen.input_shape[:-1], "length")
    stored = str(splits[check_split_of(source)].inputs.dtype).removeprefix("torch.")
    missing = spec.data.missing
    facts: dict[str, Any] = {
        "boltbench": importlib.metadata.version("boltbench"),
        "run_id": result["run_id"],
        "config_id": result["config_id"],
        "weights_sha256": source.weights_sha256,
        "task": card.name,
        "family": spec.family.name,
        "model": source.text(),
        "scores": result["scores"],
        "card": _card(card),
        "spec": spec.to_mapping(),
        "input": {
            "name": INPUT,
            "type": "int64" if is_text else "float32",
            "shape": ["batch", *length],
            "meaning": f"tokens below {seen.vocabulary}" if is_text else f"values as the task stores them, in {stored}",
            **({"encoding": encoding} if encoding else {}),
        },
        "output": {
            "name": OUTPUT,
            "type": "float32",
            "shape": ["batch", *card.output_shape],
            "meaning": {
                "cross-entropy": "logits; the largest one names the class",
                "squared-error": "values",
                "generation": "samples",
            }[card.objective],
        },
        "preprocessing": {
            "done_by": "the file" if holds_program else "the caller",
            "formula": None if splits.mean is None else "(inputs - mean) / std",
            "mean": None if splits.mean is None else splits.mean.tolist(),
            "std": None if splits.std is None else splits.std.tolist(),
            "missing": None if missing is None else dataclasses.asdict(missing),
            "corrupts_training_inputs": splits.corrupt is not None,
        },
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}


def _card(card: Card) -> dict[str, Any]:
    fields = dataclasses.asdict(card)
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in fields.items()}


def encode_checked(source: Source, format: Format, tolerance: float = TOLERANCE) -> tuple[bytes, Check]:
    """Return a file's content, and how equal the predictions are that were read back from it.

    The content is written to a temporary file for the check; what a caller keeps has the same bytes.

    Raises:
        UserError: The format cannot hold the model.
    """
    item = exportable(source, holds_program=format.holds_program)
    content = format.encode(item)
    with tempfile.TemporaryDirectory(prefix="boltbench-export-") as folder:
        path = Path(folder) / f"model{format.suffix}"
        path.write_bytes(content)
        return content, _check(source, item, format.open(path, item), tolerance)


@torch.no_grad()
def _check(source: Source, item: Exportable, opened: Callable[[Tensor], Tensor], tolerance: float) -> Check:
    name, card = check_split_of(source), source.card
    splits = load_splits(source.spec, name)
    split = splits[name]
    # What the run itself saw and answered: by the data's own way, which knows nothing of the predictor's formula.
    seen = ResidentSplit.place(split, splits, torch.device("cpu"))
    learner = item.predictor.learner
    seed = derive(source.spec.seed, "export")  # samples of a generator are drawn alike on both sides
    wanted = _predictions(lambda part: learner.predict(seen.gather(part)), len(split), seed)
    found = _predictions(lambda part: opened(as_input(split.inputs[part], card)), len(split), seed)
    assert found.shape == wanted.shape, "one prediction per example, of the card's shape"
    difference = (found.double() - wanted.double()).abs()
    allowed = tolerance * max(1.0, float(wanted.abs().max()))
    if card.objective == "cross-entropy":
        equal = found.argmax(dim=-1) == wanted.argmax(dim=-1)
    else:
        equal = difference <= allowed
    scores: Mapping[str, float] = {}
    if card.objective != "generation":
        scores = source.spec.task.score(found.float(), seen.gather(slice(None)).targets)
    return Check(
        split=name,
        num_examples=len(split),
        largest_difference=float(difference.max()),
        allowed=allowed,
        equal_share=float(equal.double().mean()),
        score=scores.get(card.metric),
    )


def _predictions(predict: Callable[[slice], Tensor], total: int, seed: int) -> Tensor:
    """Return the predictions for all examples, asked for part by part."""
    seed_torch(seed)
    edges = [0, *range(BATCH_SIZES[0], total, BATCH_SIZES[1]), total]
    return torch.cat([predict(slice(*part)) for part in itertools.pairwise(edges)])
