"""The runs of each configuration of a task, ready to be summed up: what is ranked, and what is only counted."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from results.errors import LeaderboardError
from results.schema import DETERMINISM

COLUMNS: Final = (
    *("run_id", "status", "purpose", "family", "setting", "config_id", "seed", "test_score", "val_score"),
    "changed",
    *("num_parameters", "flops_per_example", "seconds", "peak_memory_mib", "energy_joules"),
    *("tuning_role", "tuning_trials", "tuning_seconds", "tuning_device_seconds", "determinism"),
)
"""The columns of records that configurations are made from."""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """The runs of one configuration, ready to be summed up: what is ranked, and what is only counted."""

    family: str
    config_id: str
    setting: str
    scores: dict[int, float]
    """Test scores of the completed seeds."""
    num_failed: int
    num_untested: int
    mean_of: Callable[[str], float]
    """Column -> mean over the ranked runs, over all runs where none is ranked; NaN where none has a value."""
    first_of: Callable[[str], Any]
    """Column -> value of the first ranked run that has one, or None."""
    determinism: str

    @property
    def mean(self) -> float:
        """The mean score; NaN without a completed seed."""
        return mean_of(list(self.scores.values()))


def configurations_of(rows: pd.DataFrame) -> list[Configuration]:
    """Return the configurations of one task by family and config_id.

    Raises:
        LeaderboardError: One seed of a configuration completed twice.
    """
    columns = {name: _values(rows[name]) for name in COLUMNS}
    keys = list(zip(columns["family"], columns["config_id"], strict=True))
    places = list(zip(*(columns[name] for name in ("family", "config_id", "seed", "run_id")), strict=True))
    ordered = sorted(range(len(rows)), key=places.__getitem__)
    return [
        _configuration(family, config_id, columns, list(group))
        for (family, config_id), group in itertools.groupby(ordered, key=keys.__getitem__)
    ]


def _values(column: pd.Series) -> list[Any]:
    """Return the values of a column, None where there is none."""
    if column.dtype == "float64":
        return [None if math.isnan(value) else value for value in column.tolist()]
    array: Any = column.array  # its stubs know no None
    values: list[Any] = array.to_numpy(dtype=object, na_value=None).tolist()
    return values


def _configuration(family: str, config_id: str, columns: dict[str, list[Any]], runs: list[int]) -> Configuration:
    completed = [run for run in runs if columns["status"][run] == "completed"]
    ranked = [run for run in completed if columns["test_score"][run] is not None]
    for run, other in itertools.pairwise(ranked):
        if columns["seed"][run] == columns["seed"][other]:
            raise LeaderboardError(
                f"Every seed of a configuration must count once, but {columns['run_id'][run]} and "
                f"{columns['run_id'][other]} are both seed {columns['seed'][run]} of {config_id}. "
                "Move one of the two folders away."
            )

    def values(name: str, among: list[int]) -> list[Any]:
        return [value for run in among if (value := columns[name][run]) is not None]

    is_trial = columns["purpose"][runs[0]] == "trial"
    return Configuration(
        family=family,
        config_id=config_id,
        setting=columns["setting"][runs[0]],
        scores={columns["seed"][run]: columns["test_score"][run] for run in ranked},
        num_failed=0 if is_trial else len(runs) - len(completed),
        num_untested=len(runs if is_trial else completed) - len(ranked),
        mean_of=lambda name: mean_of(values(name, ranked)),
        first_of=lambda name: next(iter(values(name, ranked or runs)), None),
        determinism=min((columns["determinism"][run] for run in ranked or runs), key=DETERMINISM.index),
    )


def mean_of(values: Sequence[float]) -> float:
    """Return the mean; NaN without values.

    Equal values give that value, whatever their number: the same score over one seed and over three is a tie.
    """
    if not values:
        return math.nan
    return values[0] if min(values) == max(values) else math.fsum(values) / len(values)


def sd_of(values: Sequence[float]) -> float:
    """Return the standard deviation with ddof=1; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan
    mean = mean_of(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
