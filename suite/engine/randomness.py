"""Seeds of single sources of randomness, set apart from the run's own seed to see what each of them does."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from suite.fields import Bounds, Settings

RandomSource = Literal["order", "initialization", "noise"]
MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Randomness(Settings):
    """Where a source of randomness takes its seed from; by default all of them take the run's."""

    group: ClassVar[str] = "randomness"

    order: Annotated[int | None, Bounds(0, MAX_SEED)] = None
    """Seed of the order of the training examples; none takes --seed."""
    initialization: Annotated[int | None, Bounds(0, MAX_SEED)] = None
    """Seed of the first weights; none takes --seed."""
    noise: Annotated[int | None, Bounds(0, MAX_SEED)] = None
    """Seed of all that is drawn in a step, such as dropout, or at evaluation; none takes --seed."""

    def seed_of(self, source: RandomSource, run_seed: int) -> int:
        """Return the base seed of a source in a run of the given seed."""
        own: int | None = getattr(self, source)
        return run_seed if own is None else own
