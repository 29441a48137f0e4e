"""The Family base: hyper-parameters of one architecture, and the learner that they build for a task."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from suite.errors import UserError
from suite.extras import require
from suite.fields import Settings, plain
from suite.registry import Registry
from suite.task import Card, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from suite.learner import Learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family(Settings, ABC):
    """One model family; class and configuration are one thing.

    The class docstring cites: ``Reference: author, year, arXiv id`` and ``Differs from the paper: ...``.
    """

    group: ClassVar[str] = "family"
    name: ClassVar[str]
    presets: ClassVar[Mapping[Any, Mapping[str, Any]]] = {}
    """Classic forms by name, for a family with a field ``preset``: the fields that each sets, with their values."""

    packages: ClassVar[tuple[str, ...]] = ()
    """Packages of an extra that it needs."""
    extra: ClassVar[str] = ""
    """The extra that brings them."""
    not_searched: ClassVar[tuple[str, ...]] = ()
    """Fields that no search may choose: those by which a user says what the family is."""
    encoding: ClassVar[str] = ""
    """What `encode` makes of inputs, in words; empty where it leaves them as they are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, chosen in self._preset().items():
            given = getattr(self, name)
            if self.was_given(name) and given != chosen:
                raise UserError(
                    f"family.preset={self.to_mapping()['preset']!r} sets family.{name}={plain(chosen)!r}, but got "
                    f"{plain(given)!r} beside it. Give either the preset or the field."
                )
            object.__setattr__(self, name, chosen)

    def changed(self) -> dict[str, Any]:
        """Return what differs from the defaults; a preset stands for the fields that it sets."""
        return {name: value for name, value in super().changed().items() if name not in self._preset()}

    def _preset(self) -> Mapping[str, Any]:
        """Return the fields that the preset sets, where there is one."""
        return self.presets.get(getattr(self, "preset", None) or "", {})

    @abstractmethod
    def build(self, card: Card) -> Learner:
        """Return a fresh learner for the task; its initial weights come from torch's generator."""

    def joins_all(self, card: Card) -> bool:
        """Return whether ``all`` in a plan stands for this family too, on a task that it can take on.

        Not where it only prepares for the task, or needs another run to begin with to be what it is meant for.
        """
        return True

    def encode(self, card: Card, inputs: Tensor) -> Tensor:
        """Return the inputs of a split, as stored, in the form in which this family's learners read them.

        Called once per split and process, before anything is trained: the place for what no tensor program can do,
        such as cutting text into word pieces. A function of these settings, the card and the inputs alone. The mean and
        deviation of the task still apply to what comes out, where inputs are real numbers.

        Raises:
            UserError: An input cannot be read.
        """
        return inputs

    @classmethod
    def has_encoding(cls) -> bool:
        """Return whether inputs are read in another form than the task stores them."""
        return cls.encode is not Family.encode

    def idle(self, card: Card) -> Mapping[str, str]:
        """Return the fields that change nothing on this task: name -> what takes their place, as a clause.

        A search leaves them out. A run takes them as they are, for the settings of a plan hold for many tasks.
        """
        return {}

    def own_weights(self) -> str | None:
        """Return what weights the family brings itself, as a reader knows them; None where they are drawn."""
        return None

    def seen_card(self, card: Card) -> Card:
        """Return the card of a task whose inputs went through `encode`: learners are built for that one.

        Where inputs are no longer of one length, ``input_shape`` has the greatest that they can have.
        """
        return card

    def check_packages(self) -> None:
        """Raise `UserError` naming the way out where a package that the family needs is not installed."""
        for package in self.packages:
            require(package, extra=self.extra, purpose=f"The family {self.name!r}")

    @classmethod
    def test_settings(cls, folder: Path) -> Mapping[str, Any]:
        """Return the settings under which the conformance tests meet the family; by default there are none.

        A family that cannot do without files of its user's writes small ones to ``folder`` and names them here.
        """
        return {}

    objectives: ClassVar[frozenset[Objective]] = frozenset({"cross-entropy", "squared-error"})
    """What the family can be trained on."""

    def misfit(self, card: Card) -> str | None:
        """Return why this family cannot take on the task, by objective or by shape, or None when it can."""
        if card.objective not in self.objectives:
            return f"trains on {' or '.join(sorted(self.objectives))}, and this task on {card.objective}"
        return self.supports(card)

    def supports(self, card: Card) -> str | None:
        """Return why this family cannot take on a task of this shape, or None when it can."""
        return None


def needs_whole_input(card: Card) -> str | None:
    """Return why a network over the whole input at once does not fit the task, or None when it does."""
    if card.is_causal:
        return "reads the whole input at once, and here an answer may rest on earlier positions only"
    if not card.is_length_fixed:
        return "needs inputs of one length, and here the splits differ in it"
    return None


FAMILIES: Registry[Family] = Registry("family", package="suite.families", entry_point_group="boltbench.families")
