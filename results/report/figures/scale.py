"""Axes: from values to pixels, with ticks at round values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Final

LOG_FROM: Final = 50.0
"""Positive values that span more than this factor are drawn on a logarithmic axis."""

_NOTHING: Final = 1e-100
"""Values nearer to zero are zero on an axis: half as much again would be no number."""
_SUFFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_FACTORS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Steps between ticks are one of these times a power of ten."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """One axis.

    Args:
        low: The value at ``start``.
        high: The value at ``end``; more than ``low``.
        start: Where the axis begins, in pixels.
        end: Where it ends.
        log: Whether equal factors are equally long; both values are positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies; NaN where it has no place on a logarithmic axis."""
        if self.log:
            if not value > 0:
                return math.nan
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Return about ``count`` round values on the axis."""
        found = _log_ticks(self.low, self.high, count) if self.log else _linear_ticks(self.low, self.high, count)
        slack = 1e-9 * (self.high - self.low)
        return [tick for tick in found if self.low - slack <= tick <= self.high + slack]


def fit(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool | None = None,
    bounds: tuple[float, float] | None = None,
) -> Scale:
    """Return an axis that holds all finite values.

    Args:
        values: What it must hold; an axis of no values goes from 0 to 1.
        start: Where it begins, in pixels.
        end: Where it ends.
        log: Whether it is logarithmic; None decides by the values.
        bounds: What a linear axis never exceeds, such as 0 and 100 percent, unless a value does.
    """
    finite = [value if abs(value) > _NOTHING else 0.0 for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if log is None:
        log = wants_log(finite)
    log = log and low > 0
    if log:
        margin = (high / low) ** 0.04 if high > low else 1.5
        return Scale(low / margin, high * margin, start, end, log=True)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    wide_low, wide_high = low - margin, high + margin
    if low >= 0:
        wide_low = max(wide_low, 0.0)
    if bounds is not None:
        wide_low, wide_high = max(wide_low, min(bounds[0], low)), min(wide_high, max(bounds[1], high))
    return Scale(wide_low, wide_high if wide_high > wide_low else wide_low + 1.0, start, end)


def wants_log(values: Iterable[float]) -> bool:
    """Return whether values are positive and span more than `LOG_FROM`."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > _NOTHING and max(finite) / min(finite) > LOG_FROM


def tick_text(value: float) -> str:
    """Return a tick as it is read: ``0.05``, ``250``, ``1.5k``, ``20M``."""
    size = abs(value)
    for factor, suffix in _SUFFIXES:
        if size >= factor:
            return f"{value / factor:.4g}{suffix}"
    if 0 < size < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.6g}"


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in _FACTORS), key=lambda step: abs(math.log(step / rough)))
    first = math.ceil(low / step - 1e-9)
    found = [(first + index) * step for index in range(math.floor(high / step + 1e-9) - first + 1)]
    return [float(f"{tick:.12g}") for tick in found]  # 0.3 and not 0.30000000000000004


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) <= count + 2:
            break
    stride = math.ceil(len(found) / (count + 2))
    return found[::stride] if len(found) >= 2 else _linear_ticks(low, high, count)
