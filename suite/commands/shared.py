"""What several verbs need: plug-ins, stores and results errors turned into the user's terms."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING

from suite.plugins import load_plugins, registries

if TYPE_CHECKING:
    from suite.runs.folder import Store

STORAGE_VARIABLE = "BOLTBENCH_STORAGE"
"""Where the database's URL may stand in place of --storage: `ps` shows arguments, and a URL may hold a password."""


def open_store(arguments: Namespace) -> Store:
    """Return the store under ``--root``."""
    from suite.runs.folder import Store

    return Store(arguments.root)


def storage_url(arguments: Namespace) -> str | None:
    """Return the URL of Optuna's database that was asked for, or None for the one beside the runs."""
    if arguments.storage is None:  # taken out of the environment: workers inherit that, and `ps` shows theirs too
        arguments.storage = os.environ.pop(STORAGE_VARIABLE, None)
    found: str | None = arguments.storage
    return found


__all__ = ["STORAGE_VARIABLE", "load_plugins", "open_store", "registries", "storage_url"]
