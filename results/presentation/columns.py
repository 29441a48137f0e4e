"""Columns of a table as it is shown, and how cells read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

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


def whole(key: str) -> Callable[[Row], str]:
    """Return what writes a whole number, with its thousands apart."""
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:,}"


def decimal(key: str, decimals: int) -> Callable[[Row], str]:
    """Return what writes a number with so many decimals."""
    return lambda row: "" if pd.isna(row[key]) else f"{row[key]:,.{decimals}f}"


def short(key: str) -> Callable[[Row], str]:
    """Return what writes a large number with three digits and its unit."""

    def text(row: Row) -> str:
        value = row[key]
        if pd.isna(value):
            return ""
        for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
            if value >= size:
                return f"{value / size:.3g} {unit}"
        return f"{value:.3g}"

    return text


def word(key: str) -> Callable[[Row], str]:
    """Return what writes a word."""
    return lambda row: "" if pd.isna(row[key]) else str(row[key])


def p_text(p: float) -> str:
    """Return a p-value with three decimals; smaller ones as ``< 0.001``."""
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def count_text(count: int, noun: str) -> str:
    """Return ``1 run`` or ``2 runs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
