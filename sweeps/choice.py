"""Samplers and pruners as things with a name and settings: typed dataclasses that are chosen and set by text."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class ChoiceError(ValueError):
    """A sampler or pruner that does not exist, or cannot be had with these settings, this space or this study."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """Something with a name whose fields are its settings, all of them recorded with a study."""

    name: ClassVar[str]

    def to_mapping(self) -> dict[str, Any]:
        """Return name and settings as plain values."""
        return {"name": self.name, **dataclasses.asdict(self)}

    @classmethod
    def names_of_fields(cls) -> list[str]:
        """Return the names of the settings."""
        return [field.name for field in dataclasses.fields(cls)]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build from plain values; unknown settings are errors with the nearest known one."""
        known = cls.names_of_fields()
        for key in settings:
            if key not in known:
                near = _did_you_mean(key, known)
                raise ChoiceError(f"{cls.name} has no setting {key!r}.{near} Known: {', '.join(known) or 'none'}.")
        return cls(**settings)


def pick(what: str, name: str, known: Mapping[str, type[Any]]) -> Any:
    """Return the class called ``name``; raise `ChoiceError` with the nearest name otherwise."""
    if name not in known:
        raise ChoiceError(f"Unknown {what} {name!r}.{_did_you_mean(name, list(known))} Known: {', '.join(known)}.")
    return known[name]


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def at_least(choice: Named, setting: str, least: float) -> None:
    """Raise `ChoiceError` when a setting of ``choice`` is below ``least``."""
    value = getattr(choice, setting)
    if value is not None and not value >= least:
        raise ChoiceError(f"`{setting} >= {least:g}` must hold for {choice.name}, but got {setting}={value}.")
