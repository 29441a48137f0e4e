"""What searches cost and gained: the expected best of k trials, and the winner against the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from results.report.columns import Cell, Column, duration
from results.report.tables import Table
from results.text import decimals_for, is_percent, metric_text, score_text
from results.trials import best_of_k, default_against_tuned


def search_tables(records: pd.DataFrame, trials: pd.DataFrame | None) -> list[Table]:
    """Return the tables on searches that have a row.

    Args:
        records: What `results.records.load_records` returns.
        trials: What `results.trials.load_trials` returns, or None.
    """
    tables = []
    if trials is not None and len(trials):
        tables.append(_best_of(best_of_k(trials)))
    gains = default_against_tuned(records)
    if len(gains):
        tables.append(_gains(gains))
    return tables


def _best_of(table: pd.DataFrame) -> Table:
    rows = table.to_dict("records")
    columns = _heads(rows)
    for k in table.attrs["ks"]:
        cells = []
        for row in rows:
            score, rank = row[f"best_of_{k}"], row[f"rank_at_{k}"]
            place = "" if pd.isna(rank) else f" (#{rank})"
            decimals = decimals_for(row["metric"], [score])
            cells.append(
                Cell(f"{score_text(row['metric'], score, decimals)}{place}" if score == score else "", _key(score))
            )
        columns.append(
            Column(f"best-of-{k}", f"best of {k}", f"Expected best on val of {k} trials, and its rank.", cells)
        )
    columns += [
        _count("num_trials", "trials", "Trials that were made.", rows),
        _count(
            "num_without_score", "without score", "Trials that never came to a score; they count as the worst.", rows
        ),
        Column(
            "seconds",
            "time",
            "Time of all trials.",
            [Cell(duration(row["seconds"]), _key(row["seconds"])) for row in rows],
        ),
        Column("sampler", "sampler", "How trials were drawn.", [_words(row["sampler"]) for row in rows], is_text=True),
    ]
    note = "Families compared at equal numbers of trials: what a search of k trials would have found, on val."
    return Table("Best of k trials", columns, note)


def _gains(table: pd.DataFrame) -> Table:
    rows = table.to_dict("records")
    columns = _heads(rows)
    for key, header in (("default", "by default"), ("tuned", "tuned")):
        columns.append(Column(key, header, "Mean on test ± standard deviation.", [_score(row, key) for row in rows]))
    columns += [
        Column(
            "gain", "gain", "Tuned over default on shared seeds; above 0 tuning helped.", [_gain(row) for row in rows]
        ),
        Column("p", "p", "Paired t-test over shared seeds.", [_p_value(row["p_value"]) for row in rows]),
        _count("n", "seeds", "Seeds that both were run on.", rows),
        _count("tuning_trials", "trials", "Trials of the search.", rows),
        Column(
            "tuning",
            "time",
            "Time of the search.",
            [Cell(duration(row["tuning_seconds"]), _key(row["tuning_seconds"])) for row in rows],
        ),
    ]
    return Table("What tuning gained", columns, "The winner of each search against the defaults, both on fresh seeds.")


def _heads(rows: Sequence[Mapping[Any, Any]]) -> list[Column]:
    metrics = [_words(metric_text(row["metric"])) for row in rows]
    return [
        Column("task", "task", "The task.", [_words(row["task_label"]) for row in rows], is_text=True),
        Column("method", "family", "The family.", [_words(row["family"]) for row in rows], is_text=True),
        Column("metric", "metric", "What is scored.", metrics, is_text=True),
    ]


def _score(row: Mapping[Any, Any], key: str) -> Cell:
    mean, sd = row[f"{key}_mean"], row[f"{key}_sd"]
    decimals = decimals_for(row["metric"], [row["default_mean"], row["tuned_mean"]])
    return Cell(score_text(row["metric"], mean, decimals, sd), _key(mean))


def _gain(row: Mapping[Any, Any]) -> Cell:
    if math.isnan(row["gain"]):
        return Cell("", "")
    decimals = decimals_for(row["metric"], [row["default_mean"], row["tuned_mean"]])
    factor = 100.0 if is_percent(row["metric"]) else 1.0
    text = f"{factor * row['gain']:+.{decimals}f}"
    if not math.isnan(row["gain_low"]):
        text += f" [{factor * row['gain_low']:+.{decimals}f}, {factor * row['gain_high']:+.{decimals}f}]"
    return Cell(text, _key(row["gain"]))


def _p_value(p_value: float) -> Cell:
    return Cell("" if math.isnan(p_value) else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}", _key(p_value))


def _count(key: str, header: str, meaning: str, rows: Sequence[Mapping[Any, Any]]) -> Column:
    cells = [Cell("" if pd.isna(row[key]) else f"{row[key]:,}", _key(row[key])) for row in rows]
    return Column(key, header, meaning, cells)


def _words(text: str) -> Cell:
    return Cell(text, text)


def _key(value: Any) -> str:
    return "" if pd.isna(value) else repr(float(value))
