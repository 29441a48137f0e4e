"""Plug-in files: every task, family, regulariser, method and format that they define is registered."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

from suite.errors import UserError
from suite.registry import Registry, classes_in, load_module


def registries() -> dict[type, Registry[Any]]:
    """Return base class -> registry, for everything that a plug-in may add."""
    from suite.compressor import COMPRESSORS, Compressor
    from suite.explainer import EXPLAINERS, Explainer
    from suite.family import FAMILIES, Family
    from suite.format import FORMATS, Format
    from suite.regularizer import REGULARIZERS, Regularizer
    from suite.task import TASKS, Task

    return {
        Task: TASKS,
        Family: FAMILIES,
        Regularizer: REGULARIZERS,
        Compressor: COMPRESSORS,
        Explainer: EXPLAINERS,
        Format: FORMATS,
    }


def load_plugins(paths: list[str]) -> None:
    """Register everything that the files define; a file that defines nothing of the kind is an error."""
    for path in paths:
        module = load_module(Path(path))
        added = 0
        for cls in classes_in(module):
            for base, registry in registries().items():
                # A base class that the file's own classes share has no name, and is none of them.
                if issubclass(cls, base) and not inspect.isabstract(cls) and "name" in cls.__dict__:
                    registry.add(cls)
                    added += 1
        if added == 0:
            raise UserError(
                f"The plug-in {path!r} must define a Task, a Family, a Regularizer, a Compressor, an Explainer or a "
                "Format, but defines none."
            )


@functools.cache
def load_once(paths: tuple[str, ...]) -> None:
    """Register what the files define, once per process: a worker does with its first job."""
    load_plugins(list(paths))
