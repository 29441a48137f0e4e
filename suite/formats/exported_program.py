"""Exported program: torch's own graph format, for Python and C++ without the code of this project."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from suite.format import Exportable, Format
from suite.tracing import refusal, trace

FOLDER = "boltbench/"
"""Where a file keeps what it says of itself: one extra file per name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedProgram(Format):
    """The graph and the weights as torch.export has them; torch.export.load reads it back.

    Such a file is for files of one's own: what torch.export.load does with one from elsewhere is not safe.
    """

    name: ClassVar[str] = "exported-program"
    suffix: ClassVar[str] = ".pt2"

    def encode(self, item: Exportable) -> bytes:
        """Return the file's content."""
        program = trace(item)
        buffer = io.BytesIO()
        extra = {FOLDER + name: text for name, text in item.about.items()}
        try:
            torch.export.save(program, buffer, extra_files=extra)
        except Exception as error:  # the serialiser raises many types, which have no common base
            raise refusal(item, error) from error
        return buffer.getvalue()

    def open(self, path: Path, item: Exportable) -> Callable[[Tensor], Tensor]:
        """Return the program of the file."""
        module: Callable[[Tensor], Tensor] = torch.export.load(path).module()
        return module
