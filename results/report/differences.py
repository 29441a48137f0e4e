"""What one configuration sets otherwise than another, and what all rows of a table share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from results.text import is_condition, value_text


@dataclasses.dataclass(frozen=True)
class Difference:
    """One setting that differs.

    Args:
        key: Its dotted name.
        before: Its value above.
        after: Its value here.
    """

    key: str
    before: str
    after: str


def differences(above: Mapping[str, Any], below: Mapping[str, Any]) -> list[Difference]:
    """Return the settings of two specs that differ, seed and task left out, ordered by name.

    Two families have settings of their own that cannot be compared: then their names alone stand for these.
    """
    flat_above, flat_below = flat(above), flat(below)
    if flat_above.get("family") != flat_below.get("family"):
        flat_above, flat_below = _without_family(flat_above), _without_family(flat_below)
    found = []
    for key in sorted({*flat_above, *flat_below}):
        before, after = (value_text(side[key]) if key in side else "" for side in (flat_above, flat_below))
        if before != after:
            found.append(Difference(key, before, after))
    return found


def flat(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec as dotted names and values; the family's own name is ``family``."""
    found: dict[str, Any] = {}
    for group, settings in spec.items():
        if group in ("seed", "task") or not isinstance(settings, Mapping):
            continue
        for key, value in settings.items():
            found[group if key == "name" else f"{group}.{key}"] = value
    return found


def shared_settings(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings, as `changed` of a record holds them, that every row changes to one and the same value."""
    if not rows:
        return {}
    first = {key: value for key, value in rows[0].items() if not is_condition(key) and key != "seed"}
    return {key: value for key, value in first.items() if all(row.get(key, _ABSENT) == value for row in rows)}


def _without_family(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if not key.startswith("family.")}


_ABSENT = object()
