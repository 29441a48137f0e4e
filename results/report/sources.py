"""What the report shows beside the records, curves, fingerprints and pictures, and where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from results.claims.verdicts import FOLDER as VERDICTS
from results.claims.verdicts import read_verdicts
from results.curves import read_curve
from results.files import decode, read_bytes
from results.tracking import is_tracking_uri
from results.trials import load_trials


@dataclasses.dataclass(frozen=True)
class Sources:
    """What there is beside the records, and None where there is none; curve, fingerprint and pictures from a run id.

    Args:
        curve: To what `results.curves.read_curve` returns.
        environment: To the content of its environment.json.
        trials: What `results.trials.load_trials` returns.
        pictures: To the names and PNG bytes of its pictures of examples.
        verdicts: What `results.claims.verdicts.read_verdicts` returns.
    """

    curve: Callable[[str], pd.DataFrame | None] = lambda _: None
    environment: Callable[[str], Mapping[str, Any] | None] = lambda _: None
    pictures: Callable[[str], Sequence[tuple[str, bytes]]] = lambda _: ()
    trials: pd.DataFrame | None = None
    verdicts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def from_places(places: Sequence[Path | str]) -> Sources:
    """Return what roots and folders of runs hold; a run whose folder is not there has none of these.

    Args:
        places: What `results.records.load_records` takes; MLflow stores hold none of it.
    """
    roots = [Path(place) for place in places if not is_tracking_uri(place)]
    folders = [root / "runs" if (root / "runs").is_dir() else root for root in roots]

    def folder_of(run_id: str) -> Path | None:
        # Of a run that several places hold the last one counts, as it does in the records.
        return next((folder / run_id for folder in reversed(folders) if (folder / run_id).is_dir()), None)

    def curve(run_id: str) -> pd.DataFrame | None:
        folder = folder_of(run_id)
        return None if folder is None else read_curve(folder)

    def environment(run_id: str) -> Mapping[str, Any] | None:
        folder = folder_of(run_id)
        content = None if folder is None else read_bytes(folder / "environment.json")
        return None if content is None else decode(content, f"{folder}/environment.json")

    def pictures(run_id: str) -> Sequence[tuple[str, bytes]]:
        from results.drawings.of_run import examples_of_run  # matplotlib takes half a second

        folder = folder_of(run_id)
        return () if folder is None else list(examples_of_run(folder))

    verdicts: dict[str, Mapping[str, Any]] = {}
    for root in roots:
        verdicts |= read_verdicts(root / VERDICTS)
    return Sources(curve, environment, pictures, load_trials(places), verdicts)
