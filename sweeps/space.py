"""The space that a search draws from: dimensions with ranges and conditions, as plain values that YAML can hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Scalar = None | bool | int | float | str
SWITCH = ".on"
"""What the parameter is called that switches a dimension on: the dimension's name and this."""
MAX_GRID = 100_000


class SpaceError(ValueError):
    """A space that nothing can be drawn from; the message gives the law and the values."""


@dataclass(frozen=True)
class Condition:
    """Another dimension must have one of ``values``, or none of them when ``negated``."""

    name: str
    values: tuple[Scalar, ...]
    negated: bool = False

    def holds(self, value: Scalar) -> bool:
        """Return whether the condition holds beside ``value``."""
        return (value in self.values) != self.negated


@dataclass(frozen=True)
class Dimension:
    """One field that a search chooses: numbers from a range, or one of a few choices.

    Args:
        name: The field's dotted name.
        low: Smallest number of a range.
        high: Largest number of a range.
        log: Whether numbers are drawn on a logarithmic scale.
        step: Distance between numbers; None is 1 for integers, and any float.
        is_integer: Whether numbers are integers.
        choices: The values to choose among, in place of a range.
        has_off: Whether a switch of its own decides first if the field is at ``off``.
        off: The value behind the switch; its type may differ from the range's.
        conditions: All must hold for the dimension to count.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    is_integer: bool = False
    choices: tuple[Scalar, ...] = ()
    has_off: bool = False
    off: Scalar = None
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if self.choices:
            return
        where = f"{self.name} in the space"
        if not self.low <= self.high:
            raise SpaceError(f"`low <= high` must hold for {where}, but got (low={self.low:g}, high={self.high:g}).")
        if self.log and self.low <= 0:
            raise SpaceError(f"`low > 0` must hold for {where} on a logarithmic scale, but got low={self.low:g}.")
        if self.step is not None and (self.step <= 0 or self.log):
            law = "a logarithmic scale has no steps" if self.log else "`step > 0` must hold"
            raise SpaceError(f"{law} for {where}, but got step={self.step:g}.")
        count = (self.high - self.low) / (self.step or 1.0)
        if (self.step is not None or self.is_integer) and abs(count - round(count)) > 1e-9:
            raise SpaceError(
                f"`high = low + k * step` must hold for {where}, "
                f"but got (low={self.low:g}, high={self.high:g}, step={self.step:g})."
            )

    def values(self) -> list[Scalar]:
        """Return the few values that a grid takes, off included.

        Raises:
            SpaceError: The range is continuous.
        """
        found: list[Scalar] = [self.off] if self.has_off else []
        if self.choices:
            return found + list(self.choices)
        if self.is_integer:
            return found + list(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None and self.low < self.high:
            raise SpaceError(
                f"A grid needs a few values for {self.name}, but its range {self.low:g} to {self.high:g} holds any "
                f"number. Give some, as in --space.{self.name} {self.low:g},{self.high:g}, or a step."
            )
        count = 1 if self.step is None else round((self.high - self.low) / self.step) + 1
        return found + [self.low + index * (self.step or 0.0) for index in range(count)]

    def at(self, share: float) -> Scalar:
        """Return the value at ``share`` of the range or choices, ``0 <= share < 1``, without the switch."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        if self.is_integer:
            if self.log:  # each integer has the share between its neighbours' halves, as it is rounded from a float
                low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
                value = round(math.exp(low + share * (high - low)))
                return int(min(max(value, self.low), self.high))
            step = int(self.step or 1)
            return int(self.low) + step * int(share * ((int(self.high) - int(self.low)) // step + 1))
        if self.step is not None:
            values = self.values()[int(self.has_off) :]
            return values[int(share * len(values))]
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return min(max(math.exp(low + share * (high - low)), self.low), self.high)
        return self.low + share * (self.high - self.low)

    def text(self) -> str:
        """Return range or choices as a reader sees them."""
        if self.choices:
            text = ", ".join(_shown(choice) for choice in self.choices)
        else:
            text = f"{self.low:g} to {self.high:g}{', log' if self.log else ''}"
            text += "" if self.step is None else f", step {self.step:g}"
        return f"off ({_shown(self.off)}) or {text}" if self.has_off else text

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values that `from_mapping` takes back."""
        mapping: dict[str, Any] = {"name": self.name}
        if self.choices:
            mapping["choices"] = list(self.choices)
        else:
            number = int if self.is_integer else float
            mapping |= {"type": number.__name__, "low": number(self.low), "high": number(self.high), "log": self.log}
            if self.step is not None:
                mapping["step"] = number(self.step)
        if self.has_off:
            mapping["off"] = self.off
        for condition in self.conditions:
            key = "unless" if condition.negated else "when"
            mapping.setdefault(key, {})[condition.name] = list(condition.values)
        return mapping

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Dimension:
        """Read what `to_mapping` returned."""
        conditions = [
            Condition(name, tuple(values), negated)
            for key, negated in (("when", False), ("unless", True))
            for name, values in mapping.get(key, {}).items()
        ]
        return cls(
            name=mapping["name"],
            low=mapping.get("low", 0.0),
            high=mapping.get("high", 0.0),
            log=mapping.get("log", False),
            step=mapping.get("step"),
            is_integer=mapping.get("type") == "int",
            choices=tuple(mapping.get("choices", ())),
            has_off="off" in mapping,
            off=mapping.get("off"),
            conditions=tuple(conditions),
        )


def _shown(value: Scalar) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Space:
    """Dimensions, each after those that its conditions name.

    A dimension with a switch has two parameters: ``NAME.on``, and ``NAME``, which counts while that is true.
    *Parameters* hold what was drawn; *settings* hold a value for each dimension that counts, `Dimension.off` included.
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise SpaceError("A space must hold at least one field, but it is empty.")
        before: set[str] = set()
        for dimension in self.dimensions:
            assert dimension.name not in before, f"{dimension.name} comes twice"
            for condition in dimension.conditions:
                assert condition.name in before, f"{condition.name} must come before {dimension.name}"
            before.add(dimension.name)

    @property
    def conditional(self) -> list[str]:
        """Names of the parameters that count in some trials only."""
        return [dimension.name for dimension in self.dimensions if dimension.conditions or dimension.has_off]

    def settings(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the value of each dimension that counts under ``params``."""
        found: dict[str, Scalar] = {}
        for dimension in self.dimensions:
            if self.counts(dimension, found):
                is_off = dimension.has_off and not params[dimension.name + SWITCH]
                found[dimension.name] = dimension.off if is_off else params[dimension.name]
        return found

    def counts(self, dimension: Dimension, settings: Mapping[str, Scalar]) -> bool:
        """Return whether ``dimension`` counts beside the settings of those before it."""
        return all(
            condition.name in settings and condition.holds(settings[condition.name])
            for condition in dimension.conditions
        )

    def at(self, shares: Sequence[float]) -> dict[str, Scalar]:
        """Return the parameters at a point of the unit cube with `num_shares` sides."""
        params: dict[str, Scalar] = {}
        settings: dict[str, Scalar] = {}
        left = iter(shares)
        for dimension in self.dimensions:
            switch = next(left) if dimension.has_off else 1.0
            value = dimension.at(next(left))
            if not self.counts(dimension, settings):
                continue
            settings[dimension.name] = dimension.off
            if dimension.has_off:
                params[dimension.name + SWITCH] = switch >= 0.5
            if switch >= 0.5:
                params[dimension.name] = settings[dimension.name] = value
        return params

    @property
    def num_shares(self) -> int:
        """Sides of the unit cube that `at` maps from."""
        return len(self.dimensions) + sum(dimension.has_off for dimension in self.dimensions)

    def grid(self) -> list[dict[str, Scalar]]:
        """Return the parameters of every point, in the order of the dimensions; what does not count makes no points.

        Raises:
            SpaceError: A range is continuous, or there are more than `MAX_GRID` points.
        """
        for dimension in self.dimensions:
            dimension.values()
        points = list(itertools.islice(self._points({}, {}, 0), MAX_GRID + 1))
        if len(points) > MAX_GRID:
            raise SpaceError(f"A grid has at most {MAX_GRID} points, but this space has more. Narrow it.")
        return points

    def _points(
        self, params: dict[str, Scalar], settings: dict[str, Scalar], index: int
    ) -> Iterator[dict[str, Scalar]]:
        if index == len(self.dimensions):
            yield params
            return
        dimension = self.dimensions[index]
        if not self.counts(dimension, settings):
            yield from self._points(params, settings, index + 1)
            return
        for position, value in enumerate(dimension.values()):
            is_off = dimension.has_off and position == 0
            drawn: dict[str, Scalar] = {dimension.name + SWITCH: not is_off} if dimension.has_off else {}
            if not is_off:
                drawn[dimension.name] = value
            yield from self._points({**params, **drawn}, {**settings, dimension.name: value}, index + 1)

    def to_list(self) -> list[dict[str, Any]]:
        """Return plain values that `from_list` takes back."""
        return [dimension.to_mapping() for dimension in self.dimensions]

    @classmethod
    def from_list(cls, dimensions: Sequence[Mapping[str, Any]]) -> Space:
        """Read what `to_list` returned."""
        return cls(tuple(Dimension.from_mapping(mapping) for mapping in dimensions))
