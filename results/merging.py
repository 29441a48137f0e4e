"""Records from several places as one frame: the last valid record of each run, and a word on what was done."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import pandas as pd

from results.errors import RecordError
from results.rows import EXTRAS, ORDER, PLACE, combined
from results.schema import DIGEST, WAY_OUT

UNFINISHED: Final = ("interrupted", "lost")
"""Statuses of records that a resume replaces; a record that is final comes before them, however old it is."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What one place held."""

    name: str
    rows: pd.DataFrame
    num_unfinished: int
    damaged: dict[str, RecordError]
    """The runs that could not be read, by run id."""


def merge(sources: Sequence[Source]) -> tuple[pd.DataFrame, list[str]]:
    """Return the last valid record of every run, in order, and what was done, in sentences.

    Of several records of one run the one that finished last counts, and a final one before one that was interrupted.
    Records that finished at once are told apart by their sha256, so that the order of the sources changes nothing.
    A record that is damaged is left out where another source has the run, and is an error where none has.

    Raises:
        RecordError: Two versions of the protocol; or a damaged record without a sound copy.
    """
    frame = sources[0].rows if len(sources) == 1 else combined([source.rows for source in sources])
    _check_protocol(frame)
    notes: list[str] = []
    copies = frame.duplicated("run_id", keep=False)
    if copies.any():
        num_runs, num_records = frame.loc[copies, "run_id"].nunique(), int(copies.sum())
        contents = frame[copies].drop_duplicates(["run_id", DIGEST])
        num_differing = int(contents["run_id"].duplicated(keep=False).groupby(contents["run_id"]).any().sum())
        frame = _last_of_each(frame)
        what = "all equal" if not num_differing else f"{num_differing} with records that differ"
        notes.append(
            f"{_count(num_runs, 'run')} had {num_records} records in all ({what}); the last valid one of each counts."
        )
    known = set(frame["run_id"])
    for source in sources:
        for run_id, error in sorted(source.damaged.items()):
            if run_id not in known:
                raise error
            notes.append(f"A damaged record of {run_id} in {source.name} was left out; another place has a sound one.")
    if len(sources) > 1:
        held = ", ".join(f"{len(source.rows)} in {source.name}" for source in sources)
        notes.insert(0, f"{_count(len(frame), 'run')} from {len(sources)} places: {held}.")
    return frame, notes


def _last_of_each(frame: pd.DataFrame) -> pd.DataFrame:
    is_final = ~frame["status"].isin(UNFINISHED)
    ordered = frame.assign(_is_final=is_final).sort_values(
        ["run_id", "_is_final", "finished_at", DIGEST, EXTRAS, PLACE], na_position="first"
    )
    last = ordered.drop_duplicates("run_id", keep="last").drop(columns="_is_final")
    return combined([last.sort_values(ORDER)])


def _check_protocol(frame: pd.DataFrame) -> None:
    versions = frame.drop_duplicates("protocol")
    if len(versions) > 1:
        (first, other), places = versions["protocol"].iloc[:2], versions[PLACE].iloc[:2]
        raise RecordError(
            f"All runs of a table must share one `protocol`, but {places.iloc[0]} has {first} and "
            f"{places.iloc[1]} has {other}. Keep them in separate folders. {WAY_OUT}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
