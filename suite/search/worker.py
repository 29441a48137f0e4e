"""The work of a process that does nothing else, with the code as it is when the process begins.

Somebody may edit a file while a sweep goes on for hours. All that a job could need is imported here, once, before
workers are forked, and the digests that go into records are those of this code.
"""

from __future__ import annotations

import contextlib

import torch.utils.flop_counter  # noqa: F401  # what the first job would import otherwise, in every worker again

import suite.metrics  # noqa: F401  # the same
from suite.plugins import registries
from suite.runs.environment import pin_sources
from suite.search.work import work

__all__ = ["work"]

pin_sources()
for _registry in registries().values():
    for _name in _registry.names():
        with contextlib.suppress(Exception):  # a job that needs it says what is wrong with it
            _registry.get(_name)
