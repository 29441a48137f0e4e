"""Commands in messages, completed so that they work as they stand: with the root and the plug-ins of this call."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Sequence

WITHOUT_ROOT = frozenset({"data", "show"})
"""Verbs that look at no runs."""
_HINT = re.compile(r"`boltbench (?P<verb>[a-z]+)(?P<rest>[^`]*)`")

_root: str | None = None
_plugins: tuple[str, ...] = ()


def remember(*, root: str | None, plugins: Sequence[str]) -> None:
    """Note what this call of the command was given; the root is None where it was not given."""
    global _root, _plugins
    _root, _plugins = root, tuple(plugins)


def command(verb: str, rest: str = "") -> str:
    """Return the command that does ``verb`` in the place and with the plug-ins of this call."""
    words = f"boltbench {verb}{rest}"
    needs_root = verb not in WITHOUT_ROOT and (verb != "list" or " runs" in rest)
    if _root is not None and needs_root:
        words += f" --root {shlex.quote(_root)}"
    if _plugins and _takes_plugins(verb):
        words += "".join(f" --plugin {shlex.quote(plugin)}" for plugin in _plugins)
    return words


def _takes_plugins(verb: str) -> bool:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"suite.commands.{verb}").add_arguments(parser)
    return "--plugin" in parser._option_string_actions


def complete(text: str) -> str:
    """Return ``text`` with every command between backticks completed; whoever writes a message need not know how."""
    return _HINT.sub(lambda match: f"`{command(match['verb'], match['rest'])}`", text)
