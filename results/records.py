"""Records of runs as one tidy frame: one typed row per finished run, in an order that does not depend on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from results.curves import read_curve
from results.errors import RecordError
from results.files import read_result
from results.folders import rows_of_folder
from results.merging import Source, merge
from results.rows import HIDDEN, sound_rows
from results.tracking import files_in_store, is_tracking_uri, shown_uri

__all__ = ["load_records", "read_curve", "read_result"]


def load_records(sources: Path | str | Sequence[Path | str]) -> pd.DataFrame:
    """Read the finished runs of one or several places into one row each, by task, family, config_id, seed and run_id.

    A place is a folder of runs, a root that holds ``runs/``, or the URI of an MLflow store that runs were mirrored
    to. Folders and MLflow give equal frames. Of a run that several places hold, the last valid record counts.

    The columns are those of `results.schema.COLUMNS`, with ``spec`` and ``changed`` as JSON text, those of
    `results.schema.TUNING_COLUMNS`, and these:

    - ``task_label`` (str): the task and its settings that are not the default, such as ``mnist1d(full_train=true)``,
      and the beginning of its data's sha256 where these runs saw different data under that name;
    - ``setting`` (str): what the configuration changes, such as ``family.width=128``, or ``default``;
    - ``task_settings`` (str): all settings of the task as JSON text;
    - ``purpose`` (str): ``benchmark``, or ``trial`` of a sweep (``evaluation.test`` is false), or ``variance`` where a
      seed was set apart to measure it; leaderboards rank the first kind only;
    - ``val_score``, ``test_score`` (float64): the primary metric on a split; NaN where the run has none, as a trial of
      a sweep has none on test;
    - ``<split>/<metric>`` (float64): every score under its own name, such as ``test/loss``; NaN where a run has none.

    ``determinism`` is ``verified`` where a bit-exact replay of the very same weights lies beside the result.
    ``attrs`` holds ``protocol`` (None without runs), ``num_unfinished``, the folders without a result.json, and
    ``notes``, sentences on what merging did.

    Raises:
        RecordError: A place is none; a file of a run is not what it must be, or was changed after it was sealed, and
            no other place has a sound copy; a folder is not named after its run (a copied run would count twice);
            or two versions of the protocol come together.
    """
    places = [sources] if isinstance(sources, Path | str) else list(sources)
    found = [_source(place) for place in places]
    frame, notes = merge(found)
    frame = frame.drop(columns=list(HIDDEN))
    frame["task_label"] = _labels(frame)
    frame.attrs = {
        "protocol": int(frame["protocol"].iloc[0]) if len(frame) else None,
        "num_unfinished": sum(source.num_unfinished for source in found),
        "notes": notes,
    }
    return frame


def _source(place: Path | str) -> Source:
    if is_tracking_uri(place):
        files, num_incomplete = files_in_store(str(place))
        rows, damaged = sound_rows(files)
        return Source(shown_uri(str(place)), rows, num_incomplete, damaged)
    folder = Path(place)
    if not folder.is_dir():
        raise RecordError(f"Runs must lie in a folder, but {folder} is none. `boltbench run` makes runs.")
    runs = folder / "runs" if (folder / "runs").is_dir() else folder
    return Source(str(runs), *rows_of_folder(runs))


def _labels(frame: pd.DataFrame) -> pd.Series:
    labels = frame["task_label"]
    for what in ("data", "scorer"):
        # What a run was scored by alone is none for most tasks, and for runs that never began.
        digests = frame[f"{what}_sha256"]
        is_shared = digests.groupby(labels).transform("nunique") > 1
        labels = labels.where(~is_shared | digests.isna(), labels + f" [{what} " + digests.str[:8] + "]")
    return labels.astype("str")
