"""Leaderboards of one task as they are shown."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from results.presentation.columns import Column, Row, count_text, decimal, p_text, short, whole, word
from results.text import decimals_for, metric_text, score_text


def task_view(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    """Return the columns, the caption and the name of a leaderboard."""
    metric, decimals = table.attrs["metric"], _decimals(table)
    is_tuned = bool(table["tuning_trials"].notna().any())

    def score(key: str) -> Callable[[Row], str]:
        return lambda row: score_text(metric, row[key], decimals)

    def interval(row: Row) -> str:
        if math.isnan(row["low"]):
            return "" if row["n"] == 0 else "one seed" if row["n"] == 1 else "no spread"
        return f"[{score_text(metric, row['low'], decimals)}, {score_text(metric, row['high'], decimals)}]"

    columns = [
        Column("rank", "rank", whole("rank")),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("score", metric_text(metric), lambda row: score_text(metric, row["mean"], decimals, row["sd"])),
        Column("interval", "interval", interval),
        Column("group", "group", lambda row: row["group"], is_text=True),
        Column("val", "val", score("val_mean")),
        Column("seeds", "seeds", whole("n")),
        Column("failed", "failed", whole("failed")),
        Column("parameters", "parameters", whole("num_parameters")),
        Column("flops", "flops/example", short("flops_per_example"), by_default=False),
        Column("seconds", "seconds", decimal("seconds", 1)),
        Column("memory", "MiB", decimal("peak_memory_mib", 0), by_default=False),
        Column("energy", "joules", decimal("energy_joules", 0), by_default=False),
        Column("front", "front", lambda row: "yes" if row["on_front"] else "", is_text=True, by_default=False),
        Column("tuning", "tuning", word("tuning_role"), is_text=True, by_default=False),
        Column("trials", "trials", whole("tuning_trials"), by_default=is_tuned),
        Column("search-seconds", "search s", decimal("tuning_seconds", 0), by_default=False),
        Column("device-seconds", "device s", decimal("tuning_device_seconds", 0), by_default=False),
        Column("p", "p", lambda row: p_text(row["p_best"]), by_default=False),
        Column("determinism", "determinism", lambda row: row["determinism"], is_text=True),
        Column("config", "config_id", lambda row: row["config_id"], is_text=True, by_default=False),
    ]
    return columns, caption(table), str(table.attrs["task"])


def caption(table: pd.DataFrame) -> str:
    """Return what the scores of a leaderboard are, how sure they are, and what the ranking leaves out."""
    attrs = table.attrs
    better = "higher" if attrs["direction"] == "maximize" else "lower"
    floor = score_text(attrs["metric"], attrs["floor"], _decimals(table))
    sentences = [f"{attrs['task']}: test {metric_text(attrs['metric'])}, {better} is better, floor {floor}."]
    seeds = table.loc[table["n"] > 0, "n"]
    if len(seeds):
        fewest, most = int(seeds.min()), int(seeds.max())
        several = f"{most} seed{'s' if most > 1 else ''}" if fewest == most else f"{fewest} to {most} seeds"
        sentences.append(f"{'Mean ± sd' if most > 1 else 'Score'} over {several}.")
        sentences.append(_certainty(table, most))
    if behind := _at_the_floor(table):
        sentences.append(behind)
    if attrs["num_failed"]:
        sentences.append(f"{attrs['num_failed']} of {count_text(attrs['num_runs'], 'run')} did not complete.")
    if attrs["num_untested"]:
        sentences.append(f"{count_text(attrs['num_untested'], 'run')} without a test score not ranked.")
    if attrs["num_varied"]:
        sentences.append(f"{count_text(attrs['num_varied'], 'run')} with a seed set apart not ranked.")
    return " ".join(sentences)


def _at_the_floor(table: pd.DataFrame) -> str:
    """Return from which rank on the rows are no better than the floor; nothing where every row beats it."""
    means, floor = table["mean"], table.attrs["floor"]
    behind = table[means <= floor if table.attrs["direction"] == "maximize" else means >= floor]
    if behind.empty:
        return ""
    first, last = int(behind["rank"].min()), int(table["rank"].max())
    which = f"Rank {first} is" if first == last else f"Ranks {first} to {last} are"
    return f"{which} no better than the floor."


def _certainty(table: pd.DataFrame, most: int) -> str:
    if most < 2:
        return "One seed tells nothing of how sure a place is: there are no intervals and no groups."
    text = f"Interval: {100 * table.attrs['level']:.0f} % for the mean, Student's t."
    if (table["group"] != "").any():
        text += " Rows that share a letter are not told apart (paired t-tests over seeds, Holm, 5 %)."
    if table.attrs["minimum_detectable"] is not None:
        metric, least = table.attrs["metric"], table.attrs["minimum_detectable"]
        size = score_text(metric, least, _decimals(table))
        if float(size) > 0:
            text += f" A single test over {table.attrs['num_seeds']} seeds finds a difference of {size} in four of five"
            text += " cases; Holm's correction for all pairs asks for more."
    return text


def _decimals(table: pd.DataFrame) -> int:
    return decimals_for(table.attrs["metric"], [*table["mean"], *table["val_mean"]])
