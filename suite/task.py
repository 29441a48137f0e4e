"""The Task base and its card: data, splits, objective and metrics of one benchmark task."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from suite.errors import UserError
from suite.fields import Settings
from suite.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["image-classification", "sequence-modelling", "generation", "reconstruction"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Direction = Literal["maximize", "minimize"]
SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")
TRAIN_ONLY: tuple[SplitName, ...] = ("train",)


Augmentation = Literal["shift", "roll", "flip", "level", "slope", "cutout"]
Objective = Literal["cross-entropy", "squared-error", "generation"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What a task is, in figures: everything a reader or a family may know about it without loading it.

    Families choose their shape from ``input_shape``, ``output_shape`` and ``objective``; none knows a task's name.
    """

    name: str
    kind: Kind
    summary: str
    source: str
    """Where the data comes from: a URL or a package."""
    licence: str
    citation: str
    version: str
    sha256: str
    """What `Task.digest` returns for sound data: over decoded content and the settings' split, never a compressed file.

    By default `Splits.digest` of all splits; tasks that read files take the sha256 of each decompressed file, the
    settings and the version instead, so that the card is known before the data is on the machine.
    """
    input_shape: tuple[int, ...]
    """Shape of one input: (features,), (channels, length) or (channels, height, width); (length,) for tokens."""
    output_shape: tuple[int, ...]
    """Shape of one prediction: (classes,), or (positions, classes) where every position has an answer."""
    value_range: tuple[float, float] | None = None
    """Smallest and largest value that an example to be generated can have, as learners see it; None where there is no
    such bound."""
    vocabulary: int | None = None
    """Number of different tokens, where inputs are tokens (integers below it); None where they are real numbers."""
    is_causal: bool = False
    """Whether the answer at position t may rest on inputs up to t alone, as in a language model."""
    is_length_fixed: bool = True
    """Whether all splits have sequences of the length in ``input_shape``; otherwise that is the training split's."""
    objective: Objective
    """What learners train on; under ``generation`` each family brings its own loss, and predictions are samples."""
    split_sizes: Mapping[SplitName, int]
    metric: str
    """Primary metric, such as ``accuracy``; its scores are logged as ``val/accuracy`` and ``test/accuracy``."""
    direction: Direction
    extra_metrics: tuple[str, ...] = ()
    """Further metrics that are logged beside the primary one."""
    floor: float
    """Score of chance or of the best analytic constant answer."""
    floor_reason: str
    ceiling: float | None = None
    ceiling_reason: str = ""
    class_names: tuple[str, ...] = ()
    token_names: tuple[str, ...] = ()
    """What each token stands for, where inputs are tokens and that is known: another task may number them otherwise."""
    augmentations: frozenset[Augmentation] = frozenset()
    """Changes of an input that leave its answer as it is; the augmentation regulariser takes these and no others."""

    def __post_init__(self) -> None:
        for name, allowed in (("kind", Kind), ("direction", Direction), ("objective", Objective)):
            known = get_args(allowed)
            if getattr(self, name) not in known:
                raise UserError(
                    f"{name} on the card of the task {self.name!r} must be one of {', '.join(known)}, "
                    f"but got {getattr(self, name)!r}."
                )
        count = len(self.class_names)
        if self.objective == "cross-entropy" and count and self.output_shape != (count,):
            raise UserError(
                f"The card of the task {self.name!r} must name each class, but its output_shape is "
                f"{self.output_shape} and class_names has {count}."
            )

    @property
    def num_inputs(self) -> int:
        """Number of values in one input."""
        count = 1
        for size in self.input_shape:
            count *= size
        return count

    @property
    def num_outputs(self) -> int:
        """Number of values in one prediction."""
        count = 1
        for size in self.output_shape:
            count *= size
        return count

    def is_better(self, score: float, than: float) -> bool:
        """Return whether ``score`` beats ``than`` strictly in this task's direction."""
        return score > than if self.direction == "maximize" else score < than


@dataclasses.dataclass(frozen=True)
class Split:
    """One split as tensors, as stored (uint8 images, integer classes); example i is ``inputs[i], targets[i]``.

    Targets that are uint8 pictures, as the inputs are, become floats as those do.
    A class target of `NO_TARGET` marks a position without an answer: it enters neither loss nor score.
    """

    inputs: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        assert len(self.inputs) == len(self.targets), "inputs and targets must have the same length"

    def __len__(self) -> int:
        return len(self.targets)


@dataclasses.dataclass(frozen=True)
class Splits:
    """The loaded splits of a task and how stored inputs become floats: ``(x - mean) / std``.

    ``mean`` and ``std`` broadcast against one input and come from the training split only; both are None for
    tokens, which become int64.
    A split that was not asked for is absent; one that the task does not have is empty.
    """

    by_name: Mapping[SplitName, Split]
    mean: Tensor | None
    std: Tensor | None
    corrupt: Callable[[Tensor], Tensor] | None = None
    """Applied to the normalised inputs of each training batch, drawing from torch's generator; val and test come
    corrupted once and for all."""

    def __getitem__(self, name: SplitName) -> Split:
        return self.by_name[name]

    def digest(self) -> str:
        """Return the sha256 over names, types, shapes and bytes of all splits, in the order train, val, test."""
        total = hashlib.sha256()
        for name in SPLIT_NAMES:
            if name in self.by_name:
                for part, tensor in zip("xy", (self[name].inputs, self[name].targets), strict=True):
                    total.update(f"{name}/{part} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                    total.update(tensor.contiguous().numpy().tobytes())
        return total.hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Settings, ABC):
    """One task; its fields are its settings, such as a length or a difficulty (``--task.length``).

    A changed split or preprocessing is a new task name (``digits-v2``), never an edit.
    """

    group: ClassVar[str] = "task"
    name: ClassVar[str]

    @abstractmethod
    def card(self) -> Card:
        """Return the card for these settings without loading large data."""

    @abstractmethod
    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits only; raise `DataMissingError` naming the ways to get the data.

        A process that searches hyper-parameters never asks for ``test``.
        """

    def check_split(self, split: SplitName) -> None:
        """Raise `UserError` where the data of ``split`` is missing or damaged, without keeping any of it.

        Asked of test before a run begins: no training may end without its scores for want of a file. By default
        nothing is looked at, as for data that is generated; a task that reads files of their own for a split
        overrides this.
        """

    def score(self, predictions: Tensor, targets: Tensor) -> dict[str, float]:
        """Return the card's metrics and the loss by name, from the predictions for a whole split.

        Tasks whose metrics rest on more than predictions and targets (where the modes are, say) override this.
        """
        from suite.metrics import score

        card = self.card()
        return score((card.metric, *card.extra_metrics), card.objective, predictions, targets)

    def anchors(self) -> dict[str, float]:
        """Return scores on test that are known without training, by name, for results to be held against.

        The card's floor and ceiling; a task adds what can be computed exactly from its splits.
        """
        card = self.card()
        return {"floor": card.floor} | ({} if card.ceiling is None else {"ceiling": card.ceiling})

    def evidence(self, split: SplitName) -> Tensor | None:
        """Return where in each input of ``split`` its answer stands, bool (examples, *positions); None if not known.

        Positions are the input's axes but its channels. A task that makes its own examples can know it; explanations
        are scored against it, and no learner sees it.
        """
        return None

    def scorer_sha256(self) -> str | None:
        """Return the digest of what scores rest on beside data and code, such as a network trained for the purpose.

        Asked for before a run starts, and the place to make such a thing. None where there is none.
        """
        return None

    def digest(self) -> str:
        """Load everything and return the digest of what was found, to be compared with ``card().sha256``."""
        return self.load().digest()

    def check_data(self) -> str:
        """Load everything, compare its digest with the card's and return it; raise `UserError` when they differ."""
        digest = self.digest()
        if digest != self.card().sha256:
            has_files = type(self).fetch is not Task.fetch
            way_out = (
                f"Remove the damaged files and run `boltbench data fetch {self.name}`."
                if has_files
                else "Where the data is meant to be so, write that digest on the card; a changed split is a new task."
            )
            raise UserError(
                f"The data of task {self.name!r} must have sha256 {self.card().sha256 or '(none yet)'}, but what was "
                f"found has {digest}. {way_out}"
            )
        return digest

    def fetch(self) -> str:
        """Bring the data to this machine where that needs a download; return one line that says what was done."""
        self.load(TRAIN_ONLY)
        return f"{self.name}: nothing to fetch, the data is here."


TASKS: Registry[Task] = Registry("task", package="tasks", entry_point_group="boltbench.tasks")
