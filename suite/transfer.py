"""Transfer: the finished run that another one begins with, and which of the layers train."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from suite.errors import UserError
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution, Settings, When

TrainName = Literal["all", "head", "gradual"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer(Settings):
    """Which layers train, and how fast; by default all of them, at one rate.

    Without a run to begin with they act on the initial weights: random features are a baseline of their own.
    """

    group: ClassVar[str] = "transfer"

    train: Annotated[TrainName, CategoricalDistribution(("all", "head", "gradual"))] = "all"
    """What trains: every layer, the last one alone (a linear probe), or the last one first and then one more at a time
    towards the input."""
    freeze: tuple[str, ...] = ()
    """Parameters that stay as they are: names of layers, or patterns such as `blocks.*`."""
    freeze_layers: Annotated[int, Bounds(low=0), IntDistribution(0, 4)] = 0
    """Layers that stay as they are, counted from the input."""
    layer_decay: Annotated[float, Bounds(0, 1, open_low=True), FloatDistribution(0.3, 1.0)] = 1.0
    """What the learning rate is multiplied with for each layer further from the output; 1 is one rate for all."""
    thaw_every_steps: Annotated[int | None, Bounds(low=1), When("train", "gradual")] = None
    """Steps after which gradual trains one more layer; none is an epoch."""

    @property
    def is_on(self) -> bool:
        """Whether anything differs from training every layer at one rate."""
        return bool(self.changed())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin(Settings):
    """The finished run whose weights another one begins with."""

    group: ClassVar[str] = "origin"

    run_id: str
    """The run."""
    config_id: str
    """Its configuration."""
    weights: str
    """The sha256 of its weights."""
    each_seed: bool = False
    """Whether each seed begins with the run of its own seed, and the seeds share a configuration only."""

    def changed(self) -> dict[str, Any]:
        """Return what tells one origin from another: the run, or its configuration where each seed has its own."""
        if not self.each_seed:
            return {"init_from": self.run_id}
        # A run id is task, family, seed and a hash, with dashes between.
        return {"init_from": f"{self.run_id.rsplit('-', 2)[0]}-{self.config_id}"}


def origin_from(mapping: Mapping[str, Any]) -> Origin:
    """Build from plain values; raise `UserError` when something is missing."""
    missing = [name for name in ("run_id", "config_id", "weights") if not mapping.get(name)]
    if missing:
        raise UserError(
            f"`origin.{missing[0]}` must be given. `boltbench run TASK FAMILY --init-from RUN` fills it in."
        )
    return Origin.from_mapping(mapping)
