"""The Format base: one kind of file that a trained model is handed out in, to be used without this project."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from suite.fields import Settings
from suite.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from suite.predictor import Predictor
    from suite.spec import RunSpec
    from suite.task import Card

INPUT, OUTPUT = "inputs", "predictions"
"""What the input and the output of an exported model are called, whatever the task."""


@dataclasses.dataclass(frozen=True)
class Exportable:
    """A finished run's model with what a file of it needs."""

    spec: RunSpec
    card: Card
    predictor: Predictor
    """From inputs as the task stores them to predictions, in evaluation mode on the CPU."""
    example: Tensor
    """A few inputs, at least two."""
    about: Mapping[str, str]
    """What the file says of itself: text, or JSON, by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format(Settings, ABC):
    """One format. What `encode` returns is written to a file, and what `open` reads from that file is checked."""

    group: ClassVar[str] = "format"
    name: ClassVar[str]
    suffix: ClassVar[str]
    """The end of a file's name, with its dot."""
    holds_program: ClassVar[bool] = True
    """Whether a file computes predictions from stored inputs, or holds weights alone."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages of the extra `export` that it needs."""

    @abstractmethod
    def encode(self, item: Exportable) -> bytes:
        """Return the file's content; the same model gives the same bytes.

        Raises:
            UserError: The format cannot hold this model; the message says why.
        """

    @abstractmethod
    def open(self, path: Path, item: Exportable) -> Callable[[Tensor], Tensor]:
        """Return what the file computes, read from it alone: stored inputs to predictions.

        ``item`` serves a format that holds weights and no program: it says which model they belong to.
        """


FORMATS: Registry[Format] = Registry("format", package="suite.formats", entry_point_group="boltbench.formats")
