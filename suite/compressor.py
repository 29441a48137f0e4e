"""The Compressor base: one way to make a finished run's model smaller."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from suite.errors import UserError
from suite.fields import Settings
from suite.registry import Registry
from suite.weights import pack, unpack

if TYPE_CHECKING:
    from torch import Tensor

    from suite.engine.data import ResidentSplit
    from suite.learner import Learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compressor(Settings, ABC):
    """One compression method; class and configuration are one thing.

    A compressed model is a run of its own: it is made from the spec of its parent, under the same seed, with the same
    selection on val and the same single look at test. What is scored is what was written to disk and read back.
    """

    group: ClassVar[str] = "compression"
    name: ClassVar[str]

    has_own_spec: ClassVar[bool] = False
    """Whether the small model is another family or another size, and only learns from its parent."""

    is_final: ClassVar[bool] = False
    """Whether what comes out is for prediction only, and can be neither trained on nor compressed again."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages beyond those of every run that can change a bit of the result."""

    @property
    @abstractmethod
    def trains(self) -> bool:
        """Whether the model is trained, under the run's optimization and budget, before it is written."""

    @abstractmethod
    def attach(self, learner: Learner, parent: Learner, total_steps: int | None) -> None:
        """Prepare a fresh learner: take over from ``parent``, and hook into the training where there is one.

        Args:
            learner: Fresh, with the initial weights of the run's seed, its regularisers attached.
            parent: The model of the finished run, in evaluation mode, on the learner's device.
            total_steps: Steps of the training to come; 0 without one, None where only the clock ends it.

        Raises:
            UserError: The family or the settings do not fit. It is tried on the meta device, before a run begins.
        """

    def pack(self, learner: Learner, train: ResidentSplit, seed: int) -> dict[str, Tensor]:
        """Return the tensors to be written, from the selected weights; ``train`` is there to calibrate on."""
        return pack(learner.state_dict())

    def load(self, learner: Learner, packed: Mapping[str, Tensor]) -> None:
        """Turn a fresh learner into the model that `pack` wrote; it is for prediction only."""
        shapes = {name: tensor.shape for name, tensor in learner.state_dict().items()}
        learner.load_state_dict(unpack(packed, shapes))

    def note(self, learner: Learner) -> str:
        """Return one line on what a reader of the figures must know, or nothing."""
        return ""

    def text(self) -> str:
        """Return the method with its settings that are not the default, such as ``prune(share=0.9)``."""
        settings = ",".join(f"{key}={value}" for key, value in sorted(self.changed().items()))
        return f"{self.name}({settings})" if settings else self.name


COMPRESSORS: Registry[Compressor] = Registry(
    "compression method", package="suite.compression", entry_point_group="boltbench.compression"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parent(Settings):
    """The finished run that a compressed one comes from."""

    group: ClassVar[str] = "parent"

    run_id: str
    """The run."""
    config_id: str
    """Its configuration, which the seeds of the compressed configuration share."""
    weights: str
    """The sha256 of its weights."""
    model: str
    """What it is: its family with the settings that are not the default."""
    steps: str = ""
    """How it was compressed itself, the first step first; empty where it was not."""

    def changed(self) -> dict[str, Any]:
        """Return nothing: a parent is told apart by its ids."""
        return {}


def compressor_from(mapping: Mapping[str, Any], parent: Mapping[str, Any] | None) -> tuple[Compressor, Parent]:
    """Build a method and its parent from plain values; raise `UserError` when one of the two is missing."""
    if parent is None:
        raise UserError("`parent` must name the run that is compressed. `boltbench compress RUN` fills it in.")
    settings = dict(mapping)
    return COMPRESSORS.get(str(settings.pop("name"))).from_mapping(settings), _parent(parent)


def _parent(mapping: Mapping[str, Any]) -> Parent:
    missing = [
        field.name for field in dataclasses.fields(Parent) if field.name != "steps" and field.name not in mapping
    ]
    if missing:
        raise UserError(f"`parent.{missing[0]}` must be given. `boltbench compress RUN` fills it in.")
    return Parent.from_mapping(mapping)
