"""The base of tasks whose data is generated."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from suite.errors import UserError
from suite.streams import Stream
from suite.task import SPLIT_NAMES, SplitName, Splits, Task
from tasks.sources import files

if TYPE_CHECKING:
    from torch import Tensor

    from suite.task import Split

__all__ = ["Generated", "Stream"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generated(Task):
    """Data made by a recipe, the same on every machine; a subclass generates one split at a time.

    The card's sha256 names the recipe: the task, its version, its settings, and the content that the recipe gives
    under its default settings, which is pinned. Checking the data generates the default splits and takes the digest of
    what really came out; a card under other settings costs nothing, and vouches for its data through the recipe.
    """

    version: ClassVar[str] = "1"
    """Version of the recipe, part of the digest (a change of the data is a new task, never a new version)."""
    content_sha256: ClassVar[str]
    """`Splits.digest` of all splits under the default settings."""

    @abstractmethod
    def generate(self, split: SplitName) -> Split:
        """Generate one split; none depends on another, and a longer training split begins with a shorter one."""

    def moments(self) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Return mean and deviation by which inputs are normalised: none by default, as inputs are tokens."""
        return None, None

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Generate the named splits."""
        mean, std = self.moments()
        return Splits({name: self.generate(name) for name in SPLIT_NAMES if name in splits}, mean=mean, std=std)

    def recipe_sha256(self, content_sha256: str | None = None) -> str:
        """Return the card's sha256, given the digest of the default data (that of sound data, where it is none)."""
        content = self.content_sha256 if content_sha256 is None else content_sha256
        return files.digest(self.name, self.version, self.to_mapping(), {"default settings": content})

    def digest(self) -> str:
        """Generate the default splits and return the recipe's digest over what came out."""
        return self.recipe_sha256(type(self)().load().digest())

    def check_data(self) -> str:
        """Compare what is generated here with the pinned digest; raise `UserError` when they differ."""
        found = type(self)().load().digest()
        if found != self.content_sha256:
            import numpy as np

            raise UserError(
                f"The task {self.name!r} must generate data with sha256 {self.content_sha256}, but with numpy "
                f"{np.__version__} it generates {found}. Install the locked versions."
            )
        return self.recipe_sha256(found)
