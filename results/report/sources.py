"""What the report shows beside the records, curves and fingerprints, and where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from results.curves import read_curve
from results.files import decode, read_bytes


@dataclasses.dataclass(frozen=True)
class Sources:
    """What belongs to a run beside its record, each from its run id; None where there is none.

    Args:
        curve: To what `results.curves.read_curve` returns.
        environment: To the content of its environment.json.
    """

    curve: Callable[[str], pd.DataFrame | None] = lambda _: None
    environment: Callable[[str], Mapping[str, Any] | None] = lambda _: None


def from_folders(runs: Path) -> Sources:
    """Return what run folders hold; a run whose folder is not there has neither."""

    def curve(run_id: str) -> pd.DataFrame | None:
        folder = runs / run_id
        return read_curve(folder) if folder.is_dir() else None

    def environment(run_id: str) -> Mapping[str, Any] | None:
        path = runs / run_id / "environment.json"
        content = read_bytes(path)
        return None if content is None else decode(content, str(path))

    return Sources(curve, environment)
