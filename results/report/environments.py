"""On which machines and with which releases the runs were made: one row for each, however many fingerprints it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd

PACKAGES: Final = ("torch", "lightning", "numpy")
"""The packages whose releases the table names; the run folders hold all."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """One kind of machine; empty texts where nothing is known of it."""

    machine: str
    device: str
    threads: str
    python: str
    packages: str
    num_fingerprints: int
    num_runs: int


def environments_of(
    records: pd.DataFrame, environment_of: Callable[[str], Mapping[str, Any] | None]
) -> list[Environment]:
    """Return the machines behind the records, the one of most runs first.

    A fingerprint also holds data and code, so that each pair of task and family has its own; these count together.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    for _, rows in records[records["environment_id"].notna()].groupby("environment_id", sort=True):
        decisive = _decisive(environment_of(rows["run_id"].iloc[0]))
        device = ", ".join(sorted(set(rows["device"].dropna())))
        counts = found.setdefault((*decisive, device), [0, 0])
        counts[0] += 1
        counts[1] += len(rows)
    ordered = sorted(found.items(), key=lambda item: (-item[1][1], item[0]))
    return [
        Environment(
            machine=system,
            device=" ".join(filter(None, (device, name))),
            threads=threads,
            python=python,
            packages=packages,
            num_fingerprints=fingerprints,
            num_runs=runs,
        )
        for (system, name, threads, python, packages, device), (fingerprints, runs) in ordered
    ]


def _decisive(environment: Mapping[str, Any] | None) -> tuple[str, str, str, str, str]:
    """Return system, device's name, threads, Python and packages of a fingerprint."""
    decisive = (environment or {}).get("decisive")
    if not isinstance(decisive, Mapping):
        return "", "", "", "", ""
    packages = decisive.get("packages")
    versions = packages if isinstance(packages, Mapping) else {}
    system, name, threads, python = (
        "" if decisive.get(key) is None else str(decisive[key])
        for key in ("system", "device_name", "threads", "python")
    )
    return system, name, threads, python, ", ".join(f"{key} {versions[key]}" for key in PACKAGES if key in versions)
