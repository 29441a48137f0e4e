"""Which colour a configuration has: a family keeps its own through the whole page, and no figure has one twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

NUM_COLOURS: Final = 8
"""More lines than this cannot be told apart in one figure; templates/style.css holds the colours."""


def family_colours(families: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return a colour for each family, those of the most tasks first; colours repeat after `NUM_COLOURS`.

    Args:
        families: The families of each task.
    """
    counts: dict[str, int] = {}
    for names in families:
        for name in set(names):
            counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: index % NUM_COLOURS for index, name in enumerate(ordered)}


def line_colours(families: Sequence[str], preferred: Mapping[str, int]) -> list[int]:
    """Return a colour for each line of one figure: its family's own unless an earlier line took it, else a free one.

    Args:
        families: The family of each line, `NUM_COLOURS` at most.
        preferred: What `family_colours` returns.
    """
    assert len(families) <= NUM_COLOURS
    own = {preferred[name] for name in families}
    chosen: list[int] = []
    for name in families:
        wish = preferred[name]
        free = [colour for colour in range(NUM_COLOURS) if colour not in chosen]
        # Another family's own colour only when nothing else is left.
        chosen.append(wish if wish in free else next((colour for colour in free if colour not in own), free[0]))
    return chosen
