"""Errors that a user of results can mend: the law, the values, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ResultsError(ValueError):
    """Base of everything that this package raises for a user."""


class RecordError(ResultsError):
    """A run folder does not hold what it should; the message names the file, the field and the way out."""


class LeaderboardError(ResultsError):
    """The records cannot be ranked in one table."""


class ClaimError(ResultsError):
    """A published claim is not stated as it must be, or cannot be judged."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string when none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
