"""What the runs made of some examples: samples, reconstructions and attention, inside the page as PNG."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

from results.report.ranked import Ranked

PicturesOf = Callable[[str], Sequence[tuple[str, bytes]]]
"""From a run id to the names and PNG bytes of its pictures."""

MAX_PICTURED: Final = 4
"""Rows of a leaderboard whose pictures are shown, the first ones: each takes some 50 kB of the page."""

NAMES: Final = {
    "samples": ("Samples", "what the model makes, beside examples of test"),
    "reconstructions": ("Reconstructions", "examples of test as they went in and as they came out"),
    "attention": ("Attention", "where the model looks in examples of test"),
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of one run; ``source`` holds it whole."""

    title: str
    note: str
    description: str
    source: str
    width: int
    height: int


def task_pictures(ranked: Ranked, pictures_of: PicturesOf) -> list[Picture]:
    """Return the pictures of the first rows, each of the lowest seed that completed: nobody chose it."""
    found = []
    labels = ranked.labels()
    for position in range(min(len(ranked.table), MAX_PICTURED)):
        completed = [run for run in ranked.runs[position] if run["status"] == "completed"]
        if not completed:
            continue
        for name, content in pictures_of(completed[0]["run_id"]):
            title, what = NAMES[name]
            width, height = (int.from_bytes(content[start : start + 4]) for start in (16, 20))  # of PNG's first chunk
            found.append(
                Picture(
                    title=f"{title} of {labels[position]}",
                    note=f"Row {position + 1}, seed {completed[0]['seed']}.",
                    description=f"{title} of {labels[position]}: {what}",
                    source=f"data:image/png;base64,{base64.b64encode(content).decode()}",
                    width=width,
                    height=height,
                )
            )
    return found
