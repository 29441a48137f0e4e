"""The Regularizer base, and the regularisation group that is made of every registered regulariser."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from suite.errors import UserError
from suite.fields import Settings, fields_of
from suite.registry import Registry

if TYPE_CHECKING:
    from suite.learner import Learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regularizer(Settings, ABC):
    """One regulariser. Its first field bears its own name and is its strength; the default is off.

    Further fields begin with that name too (``early_stopping_min_improvement``), because all regularisers share one
    flat group of flags. Off is no special case for a search: it is one more value of the strength.
    """

    group: ClassVar[str] = "regularization"
    name: ClassVar[str]

    @property
    def is_on(self) -> bool:
        """Whether the strength differs from its default, off."""
        strength = fields_of(type(self))[0]
        return bool(getattr(self, strength.name) != strength.default)

    @abstractmethod
    def attach(self, learner: Learner) -> None:
        """Hook into a fresh learner; called once, and only when `is_on`."""

    def require_real_inputs(self, learner: Learner) -> None:
        """Raise `UserError` where the inputs are tokens: a mixture of two tokens is none."""
        if learner.card.vocabulary is not None:
            flag = fields_of(type(self))[0].name
            raise UserError(
                f"regularization.{flag} needs inputs that are real numbers, but those of {learner.card.name!r} are "
                f"tokens. Leave regularization.{flag} at its default."
            )


REGULARIZERS: Registry[Regularizer] = Registry(
    "regulariser", package="suite.regularization", entry_point_group="boltbench.regularizers"
)


class Regularization(Settings):
    """The settings of every regulariser side by side; `regularization_class` fills in the fields."""

    group: ClassVar[str] = "regularization"

    def __post_init__(self) -> None:
        super().__post_init__()
        strengths = {fields_of(REGULARIZERS.get(name))[0].name for name in REGULARIZERS.names()}
        for strength in (field for field in fields_of(type(self)) if field.name in strengths):
            for condition in strength.conditions if getattr(self, strength.name) != strength.default else ():
                other = getattr(self, condition.name)
                if not condition.holds(other):
                    raise UserError(
                        f"`{condition.text()}` must hold beside regularization.{strength.name}, but got "
                        f"({strength.name}={getattr(self, strength.name)!r}, {condition.name}={other!r}). "
                        "Take one of the two."
                    )

    def regularizers(self) -> list[Regularizer]:
        """Return the regularisers that are on, by name."""
        built = []
        for name in REGULARIZERS.names():
            cls = REGULARIZERS.get(name)
            regularizer = cls(**{field.name: getattr(self, field.name) for field in fields_of(cls)})
            if regularizer.is_on:
                built.append(regularizer)
        return built


@functools.cache
def _regularization_class(classes: tuple[type[Regularizer], ...]) -> type[Regularization]:
    fields = [
        (field.name, field.annotation, dataclasses.field(default=field.default, metadata={"help": field.help}))
        for cls in classes
        for field in fields_of(cls)
    ]
    return dataclasses.make_dataclass(
        "RegularizationSettings", fields, bases=(Regularization,), frozen=True, kw_only=True
    )


def regularization_class() -> type[Regularization]:
    """Return the group with the fields of every regulariser known now: folder, entry points and plug-ins."""
    return _regularization_class(tuple(REGULARIZERS.get(name) for name in REGULARIZERS.names()))
