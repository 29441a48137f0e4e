"""What a user may say of one field of a space: a value, a few, a range, its own range, or its default."""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Mapping
from typing import Any

from suite.errors import UserError, did_you_mean, shown
from suite.fields import CategoricalDistribution, Field, IntDistribution, plain
from sweeps.space import Dimension, Scalar, SpaceError

OWN, DEFAULT, OFF = "search", "default", "off"
"""Words for a field's own range, for its default, and for what a switch leaves a field at."""
_RANGE = re.compile(
    r"(?P<off>off\s*[|,]\s*)?(?P<low>\S+?)\s*\.\.\s*(?P<high>[^\s]+)(?P<log>\s+log)?(?:\s+step\s+(?P<step>\S+))?"
)
_KEYS = ("low", "high", "log", "step", "off", "choices")


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A field that the search leaves alone, at a value."""

    value: Any


def own_dimension(name: str, field: Field, *, is_strength: bool) -> Dimension:
    """Return the dimension that the field's annotation gives.

    A regulariser's strength gets a switch, and so does any field whose default lies outside of its range: off, the
    default, is one more value of the space.
    """
    distribution = field.distribution
    assert distribution is not None, "a field with a range"
    if isinstance(distribution, CategoricalDistribution):
        inside = field.default in distribution.choices
        dimension = Dimension(name, choices=tuple(choice_of(field, choice) for choice in distribution.choices))
    else:
        value = field.default
        inside = isinstance(value, int | float) and distribution.low <= value <= distribution.high and not is_strength
        dimension = Dimension(
            name,
            low=distribution.low,
            high=distribution.high,
            log=distribution.log,
            step=None if distribution.step == 1 and isinstance(distribution, IntDistribution) else distribution.step,
            is_integer=isinstance(distribution, IntDistribution),
        )
    return dimension if inside else dataclasses.replace(dimension, has_off=True, off=choice_of(field, field.default))


def read_range(name: str, field: Field, value: object, *, is_strength: bool) -> Dimension | Fixed:
    """Return what ``value``, from a flag or from YAML, says of a field.

    Raises:
        UserError: It says nothing that this field could be.
    """
    try:
        return _read(name, field, value, is_strength=is_strength)
    except SpaceError as error:
        raise UserError(str(error)) from error


def _read(name: str, field: Field, value: object, *, is_strength: bool) -> Dimension | Fixed:
    if isinstance(value, str):
        text = value.strip()
        if text == DEFAULT:
            return Fixed(field.default)
        if text == OWN:
            if field.distribution is None:
                raise UserError(f"{name} has no range of its own. Give one: --space.{name} LOW..HIGH or A,B,C.")
            return own_dimension(name, field, is_strength=is_strength)
        match = _RANGE.fullmatch(text)
        if match is not None:
            given = {key: found for key, found in match.groupdict().items() if found is not None}
            return _read_mapping(name, field, {**given, "log": "log" in given, "off": "off" in given})
        several = _split(field, text)
        return _choices(name, field, several) if len(several) > 1 else Fixed(_parse(name, field, text))
    if isinstance(value, Mapping):
        return _read_mapping(name, field, value)
    if isinstance(value, list):
        return _choices(name, field, value)
    return Fixed(_parse(name, field, value))


def _read_mapping(name: str, field: Field, value: Mapping[Any, Any]) -> Dimension:
    for key in value:
        if key not in _KEYS:
            raise UserError(
                f"Unknown key {shown(key)} in the space of {name}.{did_you_mean(str(key), _KEYS)} "
                f"Known: {', '.join(_KEYS)}."
            )
    if "choices" in value:
        if len(value) > 1 or not isinstance(value["choices"], list):
            raise UserError(f"The choices of {name} must be a list with nothing beside it, but got {shown(value)}.")
        return _choices(name, field, value["choices"])
    numeric = _numeric_type(field)
    if numeric is None:
        raise UserError(f"{name} is {field.type_text()}, which has no range. Give choices: --space.{name} A,B,C.")
    if not {"low", "high"} <= set(value):
        raise UserError(f"A range of {name} needs low and high, but got {shown(dict(value))}.")
    for key in ("log", "off"):
        if not isinstance(value.get(key, False), bool):
            raise UserError(f"`{key}` in the space of {name} must be true or false, but got {shown(value[key])}.")
    low, high = (_parse(name, field, value[key]) for key in ("low", "high"))
    if low is None or high is None:
        raise UserError(f"A range of {name} must go from a number to a number, but got {shown(dict(value))}.")
    has_off = bool(value.get("off", False))
    return Dimension(
        name,
        low=low,
        high=high,
        log=bool(value.get("log", False)),
        step=None if value.get("step") is None else _step(name, value["step"], numeric),
        is_integer=numeric is int,
        has_off=has_off,
        off=choice_of(field, field.default) if has_off else None,
    )


def _choices(name: str, field: Field, values: list[Any]) -> Dimension:
    if not values:
        raise UserError(f"`len(choices) >= 1` must hold for {name} in the space, but got an empty list.")
    parsed = [choice_of(field, field.default if value == OFF else _parse(name, field, value)) for value in values]
    for index, choice in enumerate(parsed):
        if choice in parsed[:index]:
            raise UserError(f"Each choice of {name} may be given once, but {shown(choice)} comes twice.")
    return Dimension(name, choices=tuple(parsed))


def choice_of(field: Field, value: Any) -> Scalar:
    """Return a value as a space holds it: lists as text, as a flag writes them."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "[]"
    assert value is None or isinstance(value, bool | int | float | str), field.name
    return value


def value_of(field: Field, choice: Scalar) -> Any:
    """Return what `choice_of` was given, as YAML holds it."""
    return plain(field.parse(field.name, choice))


def _parse(name: str, field: Field, value: object) -> Any:
    return field.parse(name, value)


def _split(field: Field, text: str) -> list[str]:
    """Return the values of a list as a flag writes it; where values are lists themselves, semicolons part them."""
    is_list = "list of" in field.type_text()
    return [part.strip() for part in text.split(";" if is_list or ";" in text else ",") if part.strip()]


def _numeric_type(field: Field) -> type[int] | type[float] | None:
    kinds = typing.get_args(field.type) or (field.type,)
    if float in kinds:
        return float
    return int if int in kinds and bool not in kinds else None


def _step(name: str, value: object, numeric: type[int] | type[float]) -> float:
    try:
        step = float(value)  # type: ignore[arg-type]  # anything else raises, and is caught below
    except (TypeError, ValueError):
        step = math.nan
    if numeric is int and not step.is_integer():
        step = math.nan
    if not math.isfinite(step):
        raise UserError(f"`step` in the space of {name} must be {numeric.__name__}, but got {shown(value)}.")
    return step
