"""How settings and figures read in a table: the same words on a terminal, in Markdown and in a caption."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAX_DECIMALS: Final = 8

# `json.dumps` builds an encoder for each call that asks for something, and thousands of configurations have settings.
_as_read: Final = json.JSONEncoder(ensure_ascii=False).encode
_compact: Final = json.JSONEncoder(separators=(",", ":")).encode
_compact_in_order: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode

CONDITIONS: Final = ("data.missing_rate", "data.missing_mechanism")
"""Settings beside the task's own under which scores measure something else."""


def is_condition(key: str) -> bool:
    """Whether a setting says what is measured, and not by which method: it belongs to the label of a leaderboard."""
    return key.startswith("task.") or key in CONDITIONS


def task_label(task: str, changed: Mapping[str, Any]) -> str:
    """Return a task with its settings that are not the default, such as ``mnist1d(full_train=true)``."""
    settings = {key.partition(".")[2]: value for key, value in changed.items() if is_condition(key)}
    return f"{task}({_pairs(settings)})" if settings else task


def setting_text(changed: Mapping[str, Any]) -> str:
    """Return what a configuration changes as text; the task's settings stand in its label."""
    settings = {key: value for key, value in changed.items() if not is_condition(key) and key != "seed"}
    return _pairs(settings) or "default"


def is_percent(metric: str) -> bool:
    """Return whether a metric is a share that is read in percent."""
    return "accuracy" in metric


def metric_text(metric: str) -> str:
    """Return a metric with the unit that its scores are shown in."""
    return f"{metric} (%)" if is_percent(metric) else metric


def decimals_for(metric: str, scores: Iterable[float]) -> int:
    """Return how many decimals a column shows: 2 for percent, else four digits of its smallest score, 2 to 8."""
    if is_percent(metric):
        return 2
    sizes = [abs(score) for score in scores if math.isfinite(score) and score != 0]
    return min(MAX_DECIMALS, max(2, 3 - math.floor(math.log10(min(sizes))))) if sizes else 2


def score_text(metric: str, score: float, decimals: int, spread: float = math.nan) -> str:
    """Return ``96.11 ± 0.42``, without the spread where it is NaN, and an empty text for a NaN score."""
    if math.isnan(score):
        return ""
    factor = 100.0 if is_percent(metric) else 1.0
    text = f"{factor * score:z.{decimals}f}"
    return text if math.isnan(spread) else f"{text} ± {factor * spread:.{decimals}f}"


def value_text(value: object) -> str:
    """Return a value as a flag or a YAML file takes it."""
    return value if isinstance(value, str) else "none" if value is None else _as_read(value)


def compact_text(settings: Mapping[str, Any], *, in_order: bool = False) -> str:
    """Return settings as JSON text without spaces; its keys as they stand, or in order."""
    return _compact_in_order(settings) if in_order else _compact(settings)


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value_text(settings[key])}" for key in sorted(settings))
