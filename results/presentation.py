"""Any of the tables as headers, texts and a caption, rounded once for the terminal, Markdown and every page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from results.errors import LeaderboardError, did_you_mean
from results.text import decimals_for, metric_text, score_text

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """One column as it is shown.

    Args:
        key: What `--columns` calls it.
        header: What stands above it.
        text: Row -> cell; empty where there is no value.
        is_text: Whether it holds words, which stand left; numbers stand right.
        by_default: Whether it is shown unless other columns are asked for.
    """

    key: str
    header: str
    text: Callable[[Row], str]
    is_text: bool = False
    by_default: bool = True


@dataclasses.dataclass(frozen=True)
class Shown:
    """A table ready to be written."""

    name: str
    """What its files are called."""
    columns: list[Column]
    cells: list[list[str]]
    best: list[bool]
    tied: list[bool]
    """Rows that are not told apart from the best one."""
    caption: str

    def without(self, keys: set[str]) -> Shown:
        """Return the table without some of its columns."""
        kept = [index for index, column in enumerate(self.columns) if column.key not in keys]
        return dataclasses.replace(
            self,
            columns=[self.columns[index] for index in kept],
            cells=[[row[index] for index in kept] for row in self.cells],
        )


def present(table: pd.DataFrame, columns: Sequence[str] | None = None) -> Shown:
    """Return a table as it is shown.

    Args:
        table: What `leaderboard`, `aggregate`, `critical_difference`, `best_of_k` or `default_against_tuned` returns.
        columns: Keys of columns, in order; None takes those that are shown by default, ``["all"]`` every one.

    Raises:
        LeaderboardError: A column is unknown to this kind of table.
    """
    known, caption_text, name = _VIEWS[table.attrs["view"]](table)
    rows: list[Any] = table.to_dict("records")
    has_best = "rank" in table
    best = [has_best and not pd.isna(row["rank"]) and row["rank"] == 1 for row in rows]
    first = set(rows[0].get("group", "")) if rows else set()
    tied = [not is_best and bool(first & set(row.get("group", ""))) for is_best, row in zip(best, rows, strict=True)]
    chosen = _chosen(known, columns)
    cells = [[column.text(row) for column in chosen] for row in rows]
    return Shown(name, chosen, cells, best, tied, caption_text)


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
    if attrs["num_failed"]:
        sentences.append(f"{attrs['num_failed']} of {_runs(attrs['num_runs'])} did not complete.")
    if attrs["num_untested"]:
        sentences.append(f"{_runs(attrs['num_untested'])} without a test score not ranked.")
    if attrs["num_varied"]:
        sentences.append(f"{_runs(attrs['num_varied'])} with a seed set apart not ranked.")
    return " ".join(sentences)


def _certainty(table: pd.DataFrame, most: int) -> str:
    if most < 2:
        return "One seed tells nothing of how sure a place is: there are no intervals and no groups."
    text = f"Interval: {100 * table.attrs['level']:.0f} % for the mean, Student's t."
    if (table["group"] != "").any():
        text += " Rows that share a letter are not told apart (paired t-tests over seeds, Holm, 5 %)."
    if table.attrs["minimum_detectable"] is not None:
        metric, least = table.attrs["metric"], table.attrs["minimum_detectable"]
        size = score_text(metric, least, _decimals(table))
        text += f" {table.attrs['num_seeds']} seeds find a difference of {size} in four of five tests."
    return text


def _chosen(known: Sequence[Column], keys: Sequence[str] | None) -> list[Column]:
    if keys is None:
        return [column for column in known if column.by_default]
    if list(keys) == ["all"]:
        return list(known)
    by_key = {column.key: column for column in known}
    for key in keys:
        if key not in by_key:
            raise LeaderboardError(
                f"This table has no column {key!r}.{did_you_mean(key, by_key)} Columns: all, {', '.join(by_key)}."
            )
    return [by_key[key] for key in dict.fromkeys(keys)]


def _task_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    metric, decimals = table.attrs["metric"], _decimals(table)
    is_tuned = bool(table["tuning_trials"].notna().any())

    def score(key: str) -> Callable[[Row], str]:
        return lambda row: score_text(metric, row[key], decimals)

    def interval(row: Row) -> str:
        if math.isnan(row["low"]):
            return "" if row["n"] == 0 else "one seed" if row["n"] == 1 else "no spread"
        return f"[{score_text(metric, row['low'], decimals)}, {score_text(metric, row['high'], decimals)}]"

    columns = [
        Column("rank", "rank", _whole("rank")),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("score", metric_text(metric), lambda row: score_text(metric, row["mean"], decimals, row["sd"])),
        Column("interval", "interval", interval),
        Column("group", "group", lambda row: row["group"], is_text=True),
        Column("val", "val", score("val_mean")),
        Column("seeds", "seeds", _whole("n")),
        Column("failed", "failed", _whole("failed")),
        Column("parameters", "parameters", _whole("num_parameters")),
        Column("flops", "flops/example", _short("flops_per_example"), by_default=False),
        Column("seconds", "seconds", _decimal("seconds", 1)),
        Column("memory", "MiB", _decimal("peak_memory_mib", 0), by_default=False),
        Column("energy", "joules", _decimal("energy_joules", 0), by_default=False),
        Column("front", "front", lambda row: "yes" if row["on_front"] else "", is_text=True, by_default=False),
        Column("tuning", "tuning", _word("tuning_role"), is_text=True, by_default=False),
        Column("trials", "trials", _whole("tuning_trials"), by_default=is_tuned),
        Column("search-seconds", "search s", _decimal("tuning_seconds", 0), by_default=False),
        Column("device-seconds", "device s", _decimal("tuning_device_seconds", 0), by_default=False),
        Column("p", "p", lambda row: p_text(row["p_best"]), by_default=False),
        Column("determinism", "determinism", lambda row: row["determinism"], is_text=True),
        Column("config", "config_id", lambda row: row["config_id"], is_text=True, by_default=False),
    ]
    return columns, caption(table), str(table.attrs["task"])


def _aggregate_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    def value(key: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            found = "" if math.isnan(row[key]) else f"{row[key]:z.3f}"
            low, high = row[f"{key}_low"], row[f"{key}_high"]
            return found if math.isnan(low) else f"{found} [{low:z.3f}, {high:z.3f}]"

        return text

    columns = [
        Column("rank", "rank", _whole("rank")),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("iqm", "IQM", value("iqm")),
        Column("mean", "mean", value("mean"), by_default=False),
        Column("gap", "optimality gap", value("optimality_gap")),
        Column("improvement", "P(improvement)", value("improvement")),
        Column("mean-rank", "mean rank", _decimal("mean_rank", 2)),
        Column("seeds", "seeds", _whole("n")),
        Column("failed", "failed", _whole("failed")),
    ]
    attrs = table.attrs
    sentences = [f"{_count(len(attrs['tasks']), 'task')}: {', '.join(attrs['tasks'])}. Scores: 0 floor, 1 ceiling."]
    if table["iqm_low"].notna().any():
        sentences.append(f"Intervals: {100 * attrs['level']:.0f} %, studentised stratified bootstrap over seeds.")
    else:
        sentences.append("No intervals: they need ten scores per method, such as two tasks with five seeds.")
    sentences += [_rank_sentence(attrs), *_shared(attrs), *(f"Left out: {text}" for text in attrs["left_out"])]
    return columns, " ".join(filter(None, sentences)), "aggregate"


def _rank_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    columns = [
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("setting", "setting", lambda row: row["setting"], is_text=True),
        Column("mean-rank", "mean rank", _decimal("mean_rank", 2)),
    ]
    attrs = table.attrs
    what = f"Ranks over {attrs['num_blocks']} {attrs['blocks']} ({', '.join(attrs['tasks'])})."
    sentences = [what, _rank_sentence(attrs), *_shared(attrs), *(f"Left out: {text}" for text in attrs["left_out"])]
    return columns, " ".join(filter(None, sentences)), "ranks"


def _budget_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    ks = table.attrs["ks"]
    decimals = {
        str(metric): decimals_for(str(metric), [value for k in ks for value in rows[f"best_of_{k}"]])
        for metric, rows in table.groupby("metric", sort=True)
    }

    def best(position: int) -> Callable[[Row], str]:
        k = ks[position]

        def text(row: Row) -> str:
            if math.isnan(row[f"best_of_{k}"]):
                return ""
            rank = row[f"rank_at_{k}"]
            before = row[f"rank_at_{ks[position - 1]}"] if position else rank
            moved = "" if pd.isna(before) or before == rank else " up" if rank < before else " down"
            return f"{score_text(row['metric'], row[f'best_of_{k}'], decimals[row['metric']])} (#{rank}{moved})"

        return text

    columns = [
        Column("task", "task", lambda row: row["task_label"], is_text=True),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("study", "study", lambda row: row["study"], is_text=True),
        Column("metric", "val", lambda row: metric_text(row["metric"]), is_text=True),
        *(Column(f"best-of-{k}", f"best of {k}", best(position)) for position, k in enumerate(ks)),
        Column("trials", "trials", _whole("num_trials")),
        Column("scoreless", "no score", _whole("num_without_score")),
        Column("seconds", "seconds", _decimal("seconds", 0)),
        Column("sampler", "sampler", lambda row: row["sampler"], is_text=True),
    ]
    text = (
        "Expected best val score of k trials, with the rank among the searches of the task and how it moved since the "
        "k before. Unbiased for random search; for a guided sampler it is the best of k of these trials in any order. "
        "A trial without a score counts as the worst of its study."
    )
    return columns, text, "budget"


def _tuning_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    decimals = {
        str(metric): decimals_for(str(metric), [*rows["default_mean"], *rows["tuned_mean"]])
        for metric, rows in table.groupby("metric", sort=True)
    }

    def score(key: str, spread: str | None = None) -> Callable[[Row], str]:
        return lambda row: score_text(
            row["metric"], row[key], decimals[row["metric"]], row[spread] if spread else math.nan
        )

    def gain(row: Row) -> str:
        text = score("gain")(row)
        return text if math.isnan(row["gain_low"]) else f"{text} [{score('gain_low')(row)}, {score('gain_high')(row)}]"

    columns = [
        Column("task", "task", lambda row: row["task_label"], is_text=True),
        Column("family", "family", lambda row: row["family"], is_text=True),
        Column("study", "study", lambda row: row["study"], is_text=True),
        Column("metric", "test", lambda row: metric_text(row["metric"]), is_text=True),
        Column("default", "default", score("default_mean", "default_sd")),
        Column("tuned", "tuned", score("tuned_mean", "tuned_sd")),
        Column("gain", "gain", gain),
        Column("p", "p", lambda row: p_text(row["p_value"])),
        Column("seeds", "seeds", _whole("n")),
        Column("trials", "trials", _whole("tuning_trials")),
        Column("search-seconds", "search s", _decimal("tuning_seconds", 0)),
        Column("device-seconds", "device s", _decimal("tuning_device_seconds", 0)),
    ]
    text = "Tuned against default on fresh shared seeds; a positive gain is better. Interval: 95 %, Student's t."
    return columns, text, "tuning"


def _variance_columns(table: pd.DataFrame) -> tuple[list[Column], str, str]:
    metric = table.attrs["metric"]
    decimals = decimals_for(metric, table["sd"])

    def share(row: Row) -> str:
        if math.isnan(row["share"]):
            return ""
        text = f"{100 * row['share']:.0f} %"
        return text if math.isnan(row["low"]) else f"{text} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"

    columns = [
        Column("source", "what varies", lambda row: row["source"], is_text=True),
        Column("sd", f"sd of {metric_text(metric)}", lambda row: score_text(metric, row["sd"], decimals)),
        Column("share", "share of variance", share),
        Column("rounds", "rounds", _whole("n")),
    ]
    attrs = table.attrs
    sentences = [
        f"{attrs['task']}, {attrs['family']} ({attrs['setting']}): what is left of the variance between runs when one "
        "source alone varies. Sources act together, so shares may add up to more than 100 %.",
        f"Interval: {100 * attrs['level']:.0f} %, jackknife over rounds.",
    ]
    missing = attrs["num_rounds"] - int(table["n"].iloc[0])
    if missing:
        sentences.append(f"{_count(missing, 'round')} left out: a run did not complete.")
    return columns, " ".join(sentences), "variance"


_VIEWS: Final = {
    "variance": _variance_columns,
    "task": _task_columns,
    "aggregate": _aggregate_columns,
    "ranks": _rank_columns,
    "budget": _budget_columns,
    "tuning": _tuning_columns,
}


def p_text(p: float) -> str:
    """Return a p-value with three decimals; smaller ones as ``< 0.001``."""
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _rank_sentence(attrs: Mapping[Any, Any]) -> str:
    if attrs["critical_difference"] is None:
        return ""
    text = f"Mean ranks differ significantly from {attrs['critical_difference']:.2f} on (Nemenyi, 5 %)"
    p = attrs["friedman_p_value"]
    return f"{text}; Friedman p {p_text(p) if p < 0.001 else f'= {p_text(p)}'}." if p is not None else f"{text}."


def _shared(attrs: Mapping[Any, Any]) -> list[str]:
    return [f"All on {task}: {text}." for task, text in attrs["shared"].items() if text != "default"]


def _whole(key: str) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:,}"


def _decimal(key: str, decimals: int) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:,.{decimals}f}"


def _short(key: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row[key]
        if pd.isna(value):
            return ""
        for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if value >= size:
                return f"{value / size:.3g} {unit}"
        return f"{value:.3g}"

    return text


def _word(key: str) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[key]) else str(row[key])


def _decimals(table: pd.DataFrame) -> int:
    return decimals_for(table.attrs["metric"], [*table["mean"], *table["val_mean"]])


def _runs(count: int) -> str:
    return _count(count, "run")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
