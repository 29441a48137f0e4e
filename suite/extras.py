"""Packages that only some commands need: each comes with an extra, and a command says which one it lacks."""

from __future__ import annotations

import importlib.util

from suite.errors import UserError


def require(package: str, *, extra: str, purpose: str) -> None:
    """Raise `UserError` naming the way out when ``package`` is not installed; import nothing."""
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"{purpose} needs the package {package!r}, but it is not installed. "
            f"`pip install 'boltbench[{extra}]'` brings it."
        )
