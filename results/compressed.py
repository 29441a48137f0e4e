"""Compressed models beside what they come from: score, size and latency of each way, and which are on the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from results.frontier import on_front
from results.text import value_text

COSTS: Final = {
    "bytes": "size",
    "latency_one": "latency of one",
    "latency_batch": "latency of a batch",
}
"""Columns that a score is weighed against, with what a reader calls them; latencies are shares of the original's."""


def ways(
    results: Sequence[Mapping[str, Any]], originals: Sequence[Mapping[str, Any]], varied: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row for each way of compressing, and one for the originals, the smallest files first.

    Args:
        results: What result.json holds of each compressed run.
        originals: The same of the runs that these come from, each once.
        varied: Settings by dotted name that tell ways apart, also where they have their defaults.

    Returns:
        Columns ``way``, ``num_runs``, ``val`` and ``test`` (means of the primary score over the runs, NaN without),
        ``bytes`` (mean), ``latency_one`` and ``latency_batch`` (means of the ratios to the original, which was timed
        beside it), and ``fronts``: the names in `COSTS` under which no other row is at least as good in val score and
        cost, and better in one. The scores of val decide, as they do in a search.
    """
    metric, direction = results[0]["metric"], results[0]["direction"]
    rows = [
        {
            "way": way_of(result, varied),
            "run_id": result["run_id"],
            **_scores(result, metric),
            "bytes": result["compression"]["bytes"],
            **{
                name: result["compression"][f"{name}_seconds"] / result["compression"][f"original_{name}_seconds"]
                for name in ("latency_one", "latency_batch")
            },
        }
        for result in results
    ]
    sizes = {result["parent"]: result["compression"]["original_bytes"] for result in results}
    rows += [
        {
            "way": "original",
            "run_id": original["run_id"],
            **_scores(original, metric),
            "bytes": sizes[original["run_id"]],
            "latency_one": 1.0,
            "latency_batch": 1.0,
        }
        for original in originals
    ]
    grouped = pd.DataFrame(rows).groupby("way", sort=False)
    table = grouped[["val", "test", "bytes", "latency_one", "latency_batch"]].mean()
    table.insert(0, "num_runs", grouped.size())
    table = table.reset_index()
    fronts = {name: on_front(table[name], table["val"], direction) for name in COSTS}
    table["fronts"] = [tuple(name for name in COSTS if fronts[name][row]) for row in table.index]
    table.attrs.update(metric=metric, direction=direction)
    return table.sort_values(["bytes", "way"], kind="stable", ignore_index=True)


def way_of(result: Mapping[str, Any], varied: Sequence[str] = ()) -> str:
    """Return how a run was compressed, in a line: the method, with settings that are varied or not its defaults."""
    shown = {name: value for name, value in result["changed"].items() if name.startswith("compression.")}
    method = shown.pop("compression.method")
    for name in varied:
        group, _, field = name.partition(".")
        shown[name] = result["spec"][group][field]
    settings = ", ".join(
        f"{name.removeprefix('compression.')}={value_text(value)}" for name, value in sorted(shown.items())
    )
    return f"{method} ({settings})" if settings else str(method)


def _scores(result: Mapping[str, Any], metric: str) -> dict[str, float]:
    return {split: result["scores"].get(f"{split}/{metric}", float("nan")) for split in ("val", "test")}
