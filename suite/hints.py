"""Commands in messages, completed so that they work as they stand: with the root and the plug-ins of this call."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

WITHOUT_ROOT = frozenset({"data", "show"})
"""Verbs that look at no runs."""
_HINT = re.compile(r"`boltbench (?P<verb>[a-z]+)(?P<rest>[^`]*)`")

_root: str | None = None
_plugins: tuple[str, ...] = ()
_takes_plugins: Callable[[str], bool] = bool


def remember(*, root: str | None, plugins: Sequence[str] = (), takes_plugins: Callable[[str], bool] = bool) -> None:
    """Note what this call of the command was given.

    Args:
        root: As it was given; None where it was not.
        plugins: Likewise.
        takes_plugins: Verb -> whether it has a --plugin argument.
    """
    global _root, _plugins, _takes_plugins
    _root, _plugins, _takes_plugins = root, tuple(plugins), takes_plugins


def command(verb: str, rest: str = "") -> str:
    """Return the command that does ``verb`` in the place and with the plug-ins of this call."""
    words = f"boltbench {verb}{rest}"
    needs_root = verb not in WITHOUT_ROOT and (verb != "list" or " runs" in rest)
    if _root is not None and needs_root:
        words += f" --root {shlex.quote(_root)}"
    if _plugins and _takes_plugins(verb):
        words += "".join(f" --plugin {shlex.quote(plugin)}" for plugin in _plugins)
    return words


def complete(text: str) -> str:
    """Return ``text`` with every command between backticks completed; whoever writes a message need not know how."""
    return _HINT.sub(lambda match: f"`{command(match['verb'], match['rest'])}`", text)
