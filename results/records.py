"""Run folders as a frame: one typed row per finished run, in an order that does not depend on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pandas as pd

from results.curves import read_curve
from results.errors import RecordError
from results.files import decode, read_bytes, read_result
from results.schema import COLUMNS, MISSING, SECTIONS, WAY_OUT, broken, is_finite, section_of, values_of
from results.text import task_label

__all__ = ["load_records", "read_curve", "read_result"]

# What the order needs must be comparable before the columns are checked.
_KEYS: Final = (
    ("task", str, "text"),
    ("family", str, "text"),
    ("config_id", str, "text"),
    ("seed", int, "an integer"),
    ("run_id", str, "text"),
)
_ORDER: Final = itemgetter(*(key for key, _, _ in _KEYS))


def load_records(runs: Path) -> pd.DataFrame:
    """Read every run folder of ``runs`` into one row, ordered by task, family, config_id, seed and run_id.

    The columns are those of `results.schema.COLUMNS`, and these:

    - ``task_label`` (str): the task and its settings that are not the default, such as ``mnist1d(full_train=true)``,
      and the beginning of its data's sha256 where these runs saw different data under that name;
    - ``val_score``, ``test_score`` (float64): the primary metric on a split; NaN where the run has none, as a trial of
      a sweep has none on test;
    - ``<split>/<metric>`` (float64): every score under its own name, such as ``test/loss``; NaN where a run has none.

    ``determinism`` is ``verified`` where a bit-exact replay of the very same weights lies beside the result.
    ``attrs`` holds ``protocol`` (None without runs) and ``num_unfinished``, the folders without a result.json.

    Raises:
        RecordError: ``runs`` is no folder; a result.json or replay.json is not what it must be; a folder is not
            named after its run (a copied run would count twice); or two protocol versions lie in one folder.
    """
    records, folders, num_unfinished = _read_folders(Path(runs))
    protocol = _one_protocol(records, folders)
    done = [record.get("status") == "completed" for record in records]
    sections = {name: section_of(name, records, folders, done) for name in SECTIONS}
    columns: dict[str, pd.Series[Any]] = {}
    for column in COLUMNS:
        values = values_of(column, sections[column.section] if column.section else records, folders, done)
        if column.name == "determinism":
            values = _with_replays(values, sections["digests"], folders)
        if column.dtype.startswith("datetime"):
            columns[column.name] = _times(values, column.field, folders)
        else:
            columns[column.name] = pd.Series(values, dtype=column.dtype)
    for record, folder in zip(records, folders, strict=True):
        if not isinstance(record["spec"].get("task"), dict):
            raise broken(folder, "spec.task", "a mapping", record["spec"].get("task", MISSING))
    columns["task_label"] = _labels(records, columns["data_sha256"])
    columns |= _score_columns(records, sections["scores"], folders)
    frame = pd.DataFrame(columns)
    frame.attrs = {"protocol": protocol, "num_unfinished": num_unfinished}
    return frame


def _labels(records: Sequence[dict[str, Any]], data: pd.Series[Any]) -> pd.Series[Any]:
    labels = pd.Series([task_label(record["task"], record["changed"]) for record in records], dtype="str")
    is_shared = data.groupby(labels).transform("nunique") > 1
    return labels.where(~is_shared, labels + " [data " + data.str[:8] + "]").astype("str")


def _read_folders(runs: Path) -> tuple[list[dict[str, Any]], list[Path], int]:
    try:
        with os.scandir(runs) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise RecordError(f"Runs must lie in a folder, but {runs} is none. `boltbench run` makes runs.") from error
    found: list[tuple[dict[str, Any], Path]] = []
    for name in names:
        record = read_result(f"{runs}/{name}")
        if record is not None:
            found.append((record, runs / name))
    for record, folder in found:
        for key, kind, law in _KEYS:
            if type(record.get(key)) is not kind:
                raise broken(folder, key, law, record.get(key, MISSING))
        if record["run_id"] != folder.name:
            raise broken(folder, "run_id", f"the name of its folder, {folder.name!r}", record["run_id"])
    found.sort(key=lambda pair: _ORDER(pair[0]))
    return [record for record, _ in found], [folder for _, folder in found], len(names) - len(found)


def _one_protocol(records: Sequence[dict[str, Any]], folders: Sequence[Path]) -> int | None:
    first: int | None = None
    for record, folder in zip(records, folders, strict=True):
        protocol = record.get("protocol")
        if type(protocol) is not int:
            raise broken(folder, "protocol", "an integer", record.get("protocol", MISSING))
        if first is None:
            first = protocol
        elif protocol != first:
            raise RecordError(
                f"All runs of a folder must share one `protocol`, but {folders[0] / 'result.json'} has {first} and "
                f"{folder / 'result.json'} has {protocol}. Keep them in separate folders. {WAY_OUT}"
            )
    return first


def _with_replays(levels: list[Any], digests: Sequence[dict[str, Any]], folders: Sequence[Path]) -> list[Any]:
    """Return the levels with ``verified`` where a replay earned it."""
    raised = list(levels)
    for index, folder in enumerate(folders):
        content = read_bytes(f"{folder}/replay.json")
        if content is None:
            continue
        replay = decode(content, f"{folder}/replay.json")
        for key in ("grade", "weights"):
            if not isinstance(replay.get(key), str):
                raise broken(folder, key, "text", replay.get(key, MISSING), file="replay.json")
        # A replay of weights that a later `--force` replaced proves nothing about those that lie here now.
        if replay["grade"] == "bit-exact" and replay["weights"] == digests[index].get("weights"):
            raised[index] = "verified"
    return raised


def _times(values: list[Any], field: str, folders: Sequence[Path]) -> pd.Series[Any]:
    try:
        times = pd.to_datetime(pd.Series(values, dtype="str"), utc=True, format="ISO8601")
    except ValueError:
        for value, folder in zip(values, folders, strict=True):
            parsed = pd.to_datetime(value, utc=True, format="ISO8601", errors="coerce")
            if value is not None and parsed is pd.NaT:
                raise broken(folder, field, "a time such as 2026-01-01T00:00:00Z", value) from None
        raise
    return times.astype("datetime64[us, UTC]")


def _score_columns(
    records: Sequence[dict[str, Any]], scores: Sequence[dict[str, Any]], folders: Sequence[Path]
) -> dict[str, pd.Series[Any]]:
    for found, folder in zip(scores, folders, strict=True):
        for name, score in found.items():
            if "/" not in name:
                raise RecordError(
                    f"A score's name must be split/metric, but `scores` in {folder / 'result.json'} holds {name!r}. "
                    f"{WAY_OUT}"
                )
            if score is not None and not (type(score) in (int, float) and is_finite(score)):
                raise broken(folder, f"scores.{name}", "a finite number or null", score)
    columns = {
        f"{split}_score": [
            found.get(f"{split}/{record['metric']}") for record, found in zip(records, scores, strict=True)
        ]
        for split in ("val", "test")
    }
    for name in sorted({name for found in scores for name in found}):
        columns[name] = [found.get(name) for found in scores]
    return {name: pd.Series(values, dtype="float64") for name, values in columns.items()}
