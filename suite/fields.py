"""Typed configuration fields: type, default, help, bounds, search range and conditions, each written once.

Tasks, families, regularisers and the settings groups are frozen keyword-only dataclasses that inherit `Settings`.
Flags, YAML files, plans and search spaces all read and parse their fields through this module, so that a value
means the same, and fails with the same words, wherever it comes from.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import textwrap
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from suite.errors import UserError, did_you_mean
from suite.values import parse_value, type_text


# The three distributions take the names and arguments of optuna.distributions, which the sweep runner turns them
# into. They are our own so that neither a help text nor a first optimiser step has to import optuna (0.2 s).
@dataclasses.dataclass(frozen=True)
class IntDistribution:
    """Integers in ``[low, high]``, drawn on a logarithmic scale when ``log``."""

    low: int
    high: int
    log: bool = False
    step: int = 1


@dataclasses.dataclass(frozen=True)
class FloatDistribution:
    """Floats in ``[low, high]``, drawn on a logarithmic scale when ``log``."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclasses.dataclass(frozen=True)
class CategoricalDistribution:
    """One of a few values."""

    choices: tuple[Any, ...]


Distribution = IntDistribution | FloatDistribution | CategoricalDistribution


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a number may be at all (the search range is narrower): ``low <= x <= high``, strict where ``open_*``."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def check(self, path: str, value: float) -> None:
        """Raise `UserError` with the law and the value when ``value`` lies outside."""
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        if not (above and below):
            raise UserError(f"`{self.law(path.rsplit('.', 1)[-1])}` must hold, but got {path}={value!r}.")

    def law(self, name: str) -> str:
        """Return the bound as a formula, such as ``0 <= dropout < 1``."""
        left = "" if self.low == -math.inf else f"{self.low:g} {'<' if self.open_low else '<='} "
        right = "" if self.high == math.inf else f" {'<' if self.open_high else '<='} {self.high:g}"
        return f"{left}{name}{right}"


@dataclasses.dataclass(frozen=True, init=False)
class When:
    """The field counts only while the field ``name`` of the same group has one of ``values``."""

    name: str
    values: tuple[Any, ...]

    def __init__(self, name: str, *values: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", values)

    def holds(self, value: Any) -> bool:
        """Return whether the field counts beside ``value``."""
        return value in self.values

    def text(self) -> str:
        """Return the condition as a table shows it, such as ``optimizer=adam|adamw``."""
        return f"{self.name}={self._values()}"

    def _values(self) -> str:
        return "|".join("none" if value is None else "[]" if value == () else str(value) for value in self.values)


@dataclasses.dataclass(frozen=True, init=False)
class Unless(When):
    """The field counts only while the field ``name`` of the same group has none of ``values``."""

    def holds(self, value: Any) -> bool:
        """Return whether the field counts beside ``value``."""
        return value not in self.values

    def text(self) -> str:
        """Return the condition as a table shows it, such as ``pool!=1``."""
        return f"{self.name}!={self._values()}"


@dataclasses.dataclass(frozen=True)
class OnCard:
    """The field counts only on tasks whose card has something under ``attribute``, or nothing when not ``present``."""

    attribute: str
    present: bool = True

    def holds(self, card: object) -> bool:
        """Return whether the field counts on a task with this card."""
        return (getattr(card, self.attribute) is not None) == self.present


@dataclasses.dataclass(frozen=True)
class Place:
    """The field is a path on this machine: absolute once the settings are built, and no part of a run's identity.

    What lies there is: the card's sha256 stands for it. So a run goes on from any working directory, and the same data
    elsewhere is the same run.
    """


@dataclasses.dataclass(frozen=True)
class Field:
    """One configuration field, as read from a `Settings` class."""

    name: str
    type: Any
    annotation: Any
    """The type as written, with bounds and search range."""
    default: Any
    help: str
    bounds: Bounds | None
    distribution: Distribution | None
    conditions: tuple[When, ...] = ()
    """When the field counts at all; every one of them must hold. A search passes over it otherwise."""
    is_place: bool = False
    needs_on_card: tuple[OnCard, ...] = ()

    def parse(self, path: str, value: object) -> Any:
        """Turn a flag's text or a YAML value into this field's type, or raise `UserError` naming ``path``."""
        parsed = parse_value(path, self.type, value)
        if self.bounds is not None:
            for number in parsed if isinstance(parsed, tuple) else (parsed,):
                if isinstance(number, int | float):
                    self.bounds.check(path, number)
        return parsed

    def type_text(self) -> str:
        """Return the type as a user writes it, such as ``int``, ``int or none`` or ``adam|sgd``."""
        return type_text(self.type)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every configuration dataclass: checks types and bounds when it is built, also from Python."""

    group: ClassVar[str] = "settings"
    """Name of the group in flags and files, such as ``family`` in ``--family.width``."""

    def __new__(cls, *_unnamed: object, **given: object) -> Self:
        """Note which fields were given: one that was given its default is no longer free to be set by a preset."""
        made = super().__new__(cls)
        object.__setattr__(made, "_given", frozenset(given))
        return made

    def was_given(self, name: str) -> bool:
        """Whether the field ``name`` was given when these settings were built, be it with its default."""
        given: frozenset[str] = self.__dict__["_given"]
        return name in given

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            parsed = field.parse(f"{self.group}.{field.name}", getattr(self, field.name))
            if field.is_place and parsed:
                parsed = str(Path(parsed).expanduser().absolute())
            object.__setattr__(self, field.name, parsed)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """Build from plain values (YAML or flags); unknown keys are errors with the nearest known one."""
        known = {field.name for field in fields_of(cls)}
        for key in mapping:
            if key not in known:
                raise UserError(
                    f"Unknown key '{cls.group}.{key}'.{did_you_mean(str(key), known)} "
                    f"Known under '{cls.group}': {', '.join(sorted(known)) or 'none'}."
                )
        return cls(**mapping)

    def to_mapping(self, *, with_places: bool = True) -> dict[str, Any]:
        """Return plain values (tuples become lists) that `from_mapping` takes back."""
        fields = [field for field in fields_of(type(self)) if with_places or not field.is_place]
        return {field.name: plain(getattr(self, field.name)) for field in fields}

    def changed(self) -> dict[str, Any]:
        """Return what differs from the defaults, as plain values: what identifies these settings to a reader."""
        defaults = type(self)().to_mapping()
        mapping = self.to_mapping(with_places=False)
        return {name: value for name, value in mapping.items() if value != defaults[name]}


def plain(value: Any) -> Any:
    """Return ``value`` as YAML and JSON know it."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


_FIELDS: dict[type, tuple[Field, ...]] = {}


def fields_of(cls: type) -> tuple[Field, ...]:
    """Return the fields of a `Settings` class in the order in which they are written, bases first."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _read_fields(cls)
    return _FIELDS[cls]


def _read_fields(cls: type) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    helps: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base is not object and dataclasses.is_dataclass(base):
            helps |= attribute_docstrings(base)
    found = []
    for field in dataclasses.fields(cls):
        annotation = written = hints[field.name]
        metadata: tuple[Any, ...] = ()
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *rest = typing.get_args(annotation)
            metadata = tuple(rest)
        bounds = next((item for item in metadata if isinstance(item, Bounds)), None)
        distribution = next((item for item in metadata if isinstance(item, Distribution)), None)
        found.append(
            Field(
                name=field.name,
                type=annotation,
                annotation=written,
                default=field.default,
                help=field.metadata.get("help") or helps.get(field.name, ""),
                bounds=bounds,
                distribution=distribution,
                is_place=any(isinstance(item, Place) for item in metadata),
                conditions=tuple(item for item in metadata if isinstance(item, When)),
                needs_on_card=tuple(item for item in metadata if isinstance(item, OnCard)),
            )
        )
    return tuple(found)


def attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the string written under each field of ``cls`` itself (not of its bases)."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made at run time, as the regularisation group is: no source to read
        return {}
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)
    texts: dict[str, str] = {}
    for statement, follower in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(follower, ast.Expr)
            and isinstance(follower.value, ast.Constant)
            and isinstance(follower.value.value, str)
        ):
            texts[statement.target.id] = " ".join(follower.value.value.split())
    return texts
