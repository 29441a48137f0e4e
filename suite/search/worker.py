"""The work of a process that does nothing else: all that a job needs of the packages is imported before the first one.

Imported once, before workers are forked. What is imported later would be the files as somebody has edited them since.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

import torch.utils.flop_counter  # noqa: F401  # what the first job would import otherwise, in every worker again

import suite.metrics  # noqa: F401  # the same
from suite.search.work import work
from suite.sources import pin_sources

__all__ = ["work"]

for _package in map(importlib.import_module, ("suite.compression", "suite.families", "suite.regularization", "tasks")):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        with contextlib.suppress(Exception):  # a job that needs it says what is wrong with it
            importlib.import_module(_module.name)
pin_sources()  # last, so that a file that was edited meanwhile is noticed: the parent read it before
