"""Safetensors: the weights by name, and no program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import safetensors.torch
import torch
from torch import Tensor

from suite.errors import UserError
from suite.format import Exportable, Format
from suite.predictor import Predictor
from suite.runs.source import restore

LENGTH_BYTES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Safetensors(Format):
    """The weights by name, as the model's own `state_dict` has them; loading them executes no code.

    Normalisation is no weight, and stands in the metadata.
    """

    name: ClassVar[str] = "safetensors"
    suffix: ClassVar[str] = ".safetensors"
    holds_program: ClassVar[bool] = False

    def encode(self, item: Exportable) -> bytes:
        """Return the file's content."""
        tensors = item.predictor.learner.state_dict()
        packed = [name for name, tensor in tensors.items() if type(tensor) is not Tensor]
        if packed:
            raise UserError(
                f"Weights must be plain tensors, but {packed[0]!r} is a {type(tensors[packed[0]]).__name__}: "
                "the model was quantised. Its whole numbers and scales lie in checkpoints/selected.safetensors of the "
                "run already; export the run that it comes from for weights as floats."
            )
        # Tied weights are one tensor under two names, which the format does not take.
        copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
        return _ordered(safetensors.torch.save(copies, metadata=dict(item.about)))

    def open(self, path: Path, item: Exportable) -> Callable[[Tensor], Tensor]:
        """Return the run's architecture with the weights of the file."""
        learner = restore(item.spec, item.card, path, torch.device("cpu"))
        return Predictor(learner, item.predictor.mean, item.predictor.std).eval()


def _ordered(content: bytes) -> bytes:
    """Return the same file with its metadata in the order of their names, which the library leaves to chance.

    A file is the length of its header in eight bytes, the header as JSON filled up with spaces to a multiple of eight,
    and the values (https://github.com/huggingface/safetensors#format).
    """
    end = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:end])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + content[end:]
