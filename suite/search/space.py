"""The space of a task and a family: read from their fields, narrowed, fixed and widened by name."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suite.errors import UserError, did_you_mean
from suite.fields import Field, Settings, fields_of
from suite.regularizer import REGULARIZERS, Regularizer
from suite.search.fitting import fitting_choices, misfit, with_values
from suite.search.presets import fields_of_presets
from suite.search.ranges import Fixed, own_dimension, read_range, value_of
from suite.spec import RunSpec, settings_groups
from sweeps.space import Condition, Dimension, Scalar, Space, SpaceError

SEARCHABLE = ("family", "optimization", "regularization", "data", "budget", "transfer")
"""Groups whose fields a search may choose. It holds the task and the rules of scoring fixed."""


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """What a search chooses among, and what it leaves alone."""

    space: Space
    base: RunSpec
    """Everything that is not in the space, and the default of what is."""
    left_out: Mapping[str, str]
    """Fields of the preset that make no sense here, with the reason."""
    fields: Mapping[str, Field]
    """The searched fields by dotted name."""

    @functools.cached_property
    def _base_mapping(self) -> dict[str, Any]:
        return self.base.to_mapping()  # asked for with every trial, it looks every regulariser up

    def spec_mapping(self, params: Mapping[str, Scalar]) -> dict[str, Any]:
        """Return the spec of a point of the space as plain nested values."""
        mapping = copy.deepcopy(self._base_mapping)
        for name, value in self.values(params).items():
            group, _, key = name.partition(".")
            mapping[group][key] = value
        return mapping

    def values(self, params: Mapping[str, Scalar]) -> dict[str, Any]:
        """Return the fields' values at a point of the space by dotted name, off included."""
        return {name: value_of(self.fields[name], value) for name, value in self.space.settings(params).items()}


def search_space(base: RunSpec, *, preset: str, changes: Mapping[str, object], given: frozenset[str]) -> SearchSpace:
    """Return the space of ``base``'s task and family.

    Args:
        base: What holds where nothing is searched.
        preset: Which fields to search, see `suite.search.presets`.
        changes: Field -> what `suite.search.ranges.read_range` takes.
        given: Fields that the user set to a value: they are not searched.

    Raises:
        UserError: A change names no field, makes no sense here, or nothing is left to search.
    """
    known, strengths = dict(searchable(base)), _strengths()
    for name in changes:
        if name not in known:
            raise _unknown_field(name, known, base)
        if name in given:
            raise UserError(
                f"{name} has a value (--{name}) and a place in the space (--space.{name}): give one of them."
            )
    asked = [name for name in _of_preset(preset, known) if name not in given]
    dimensions: dict[str, Dimension] = {}
    fixed: dict[str, Any] = {}
    for name in [*asked, *(name for name in changes if name not in asked)]:
        is_strength = name in strengths
        if name in changes:
            found = read_range(name, known[name], changes[name], is_strength=is_strength)
        else:
            found = own_dimension(name, known[name], is_strength=is_strength)
        if isinstance(found, Fixed):
            fixed[name] = found.value
        else:
            dimensions[name] = found
    base = with_values(base, fixed)
    left_out: dict[str, str] = {}
    for name in list(dimensions):
        reason = misfit(base, name, known[name], strengths.get(name))
        if reason is None:
            dimensions[name], reason = fitting_choices(base, known[name], dimensions[name], is_given=name in changes)
        if reason is None:
            continue
        if name in changes:
            raise UserError(f"{name} cannot be searched here: {reason}")
        left_out[name] = reason
        del dimensions[name]
    kept = _with_conditions(base, known, dimensions, left_out, changes)
    try:
        space = Space(tuple(kept))
    except SpaceError as error:
        raise UserError(
            f"{error} Take a preset (--preset regularization,optimizer,architecture), or name fields: "
            "--space.optimization.lr search."
        ) from error
    return SearchSpace(space, base, left_out, {dimension.name: known[dimension.name] for dimension in kept})


def searchable(base: RunSpec) -> Iterator[tuple[str, Field]]:
    """Yield every field that a search may choose, by dotted name."""
    groups: dict[str, type[Settings]] = {"family": type(base.family), **settings_groups()}
    for group in SEARCHABLE:
        for field in fields_of(groups[group]):
            if field.name not in base.family.not_searched or group != "family":
                yield f"{group}.{field.name}", field


def _unknown_field(name: str, known: Mapping[str, Field], base: RunSpec) -> UserError:
    group, _, field = name.partition(".")
    if group == "family" and field in base.family.not_searched:
        return UserError(f"{name} cannot be searched: it says what the family is. Make a study for each of its values.")
    if group in ("task", "evaluation", "execution", "seed"):
        return UserError(f"{name} cannot be searched: the task and the rules of scoring are what trials share.")
    return UserError(f"Unknown field {name!r} in the space.{did_you_mean(name, known)}")


def _of_preset(preset: str, known: Mapping[str, Field]) -> list[str]:
    wanted = fields_of_presets(preset)
    return [
        name
        for name, field in known.items()
        if field.distribution is not None and (name in wanted or name.partition(".")[0] in wanted)
    ]


def _strengths() -> dict[str, type[Regularizer]]:
    """Return the strength of each regulariser by dotted name."""
    classes = [REGULARIZERS.get(name) for name in REGULARIZERS.names()]
    return {f"regularization.{fields_of(cls)[0].name}": cls for cls in classes}


def _with_conditions(
    base: RunSpec,
    known: Mapping[str, Field],
    dimensions: Mapping[str, Dimension],
    left_out: dict[str, str],
    changes: Mapping[str, object],
) -> list[Dimension]:
    """Return the dimensions with their conditions, each after those that it depends on."""
    kept: dict[str, Dimension] = {}
    waiting = list(dimensions)
    while waiting:
        name = waiting.pop(0)
        group = name.partition(".")[0]
        if any(f"{group}.{condition.name}" in waiting for condition in known[name].conditions):
            waiting.append(name)
            continue
        conditions: list[Condition] = []
        reason = None
        for condition in known[name].conditions:
            sibling = f"{group}.{condition.name}"
            if sibling in kept:
                values = _possible(kept[sibling])
                holds = None if values is None else {_holds(condition, known[sibling], value) for value in values}
                if holds == {False}:
                    reason = f"it counts only under {condition.text()}, which the space never has."
                elif holds != {True} or kept[sibling].conditions:
                    negated = type(condition).__name__ == "Unless"
                    conditions.append(Condition(sibling, tuple(map(_plain, condition.values)), negated))
            elif not condition.holds(getattr(getattr(base, group), condition.name)):
                value = getattr(getattr(base, group), condition.name)
                reason = f"it counts only under {condition.text()}, and {condition.name} is {value}."
        if reason is not None:
            if name in changes:
                raise UserError(f"{name} cannot be searched here: {reason}")
            left_out[name] = reason
            continue
        kept[name] = dataclasses.replace(dimensions[name], conditions=tuple(conditions))
    return list(kept.values())


def _possible(dimension: Dimension) -> Sequence[Scalar] | None:
    """Return the values that a dimension can have, or None where they are a range."""
    if not dimension.choices:
        return None
    return [*dimension.choices, *([dimension.off] if dimension.has_off else [])]


def _holds(condition: Any, field: Field, value: Scalar) -> bool:
    return bool(condition.holds(field.parse(field.name, value)))


def _plain(value: Any) -> Scalar:
    return "[]" if value == () else value
