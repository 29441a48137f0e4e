"""The base of tasks that ask for new pictures like those of a classification task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from suite.task import SPLIT_NAMES, Card, Split, SplitName, Splits
from tasks.sources import files
from tasks.sources.judge import Judged

if TYPE_CHECKING:
    from torch import Tensor

METRICS = ("fid", "kid", "precision", "recall")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureGeneration(Judged):
    """Pictures in the splits of another task, with values in [-1, 1]; samples are compared with those of a split.

    There are as many samples as the split has pictures. They are scored as pictures: clipped to the range and rounded
    to the levels that pictures are stored in. FID is biased upwards where pictures are few, so that scores on val,
    which is smaller, are higher than those on test.
    """

    summary: ClassVar[str]
    gaussian_fid: ClassVar[float]
    """FID between the test pictures and samples of a Gaussian with the training pictures' mean and covariance."""
    train_fid: ClassVar[float]
    """FID between the test pictures and as many training pictures."""
    version: ClassVar[str] = "1"

    def card(self) -> Card:
        """Return the card; nothing is read."""
        original = self.original().card()
        return Card(
            name=self.name,
            kind="generation",
            summary=self.summary,
            source=original.source,
            licence=original.licence,
            citation=original.citation,
            version=self.version,
            sha256=self._digest(original.sha256),
            input_shape=original.input_shape,
            output_shape=original.input_shape,
            value_range=(-1.0, 1.0),
            objective="generation",
            split_sizes=original.split_sizes,
            metric=METRICS[0],
            direction="minimize",
            extra_metrics=METRICS[1:],
            floor=self.gaussian_fid,
            floor_reason="samples of a Gaussian with the mean and covariance of the training pictures, measured once; "
            "it moves by some per cent with the processor that trains the judge",
            ceiling=self.train_fid,
            ceiling_reason="training pictures in place of samples, measured once, likewise",
        )

    def load(self, splits: Collection[SplitName] = SPLIT_NAMES) -> Splits:
        """Load the named splits; a picture is input and target at once."""
        import torch

        originals = self.original().load(splits)
        found = {name: originals[name].inputs for name in SPLIT_NAMES if name in splits}
        half = torch.full((1, 1, 1), self.num_levels / 2)
        return Splits({name: Split(pictures, pictures) for name, pictures in found.items()}, mean=half, std=half)

    def check_split(self, split: SplitName) -> None:
        """Check the files of the original task."""
        self.original().check_split(split)

    def score(self, predictions: Tensor, targets: Tensor) -> dict[str, float]:
        """Return the metrics over the samples; NaN where a sample holds one."""
        from suite import fidelity

        if bool(predictions.isnan().any()):
            return dict.fromkeys(METRICS, math.nan)
        return fidelity.scores(self.features(self.rounded(predictions)), self.features(targets))

    def rounded(self, samples: Tensor) -> Tensor:
        """Return samples as pictures: values in [-1, 1], at the levels that a stored picture can have."""
        return self.scaled(((samples.clamp(-1, 1) + 1) * (self.num_levels / 2)).round())

    def digest(self) -> str:
        """Return the digest over the pictures that were found, and the version of the judge."""
        return self._digest(self.original().digest())

    def fetch(self) -> str:
        """Bring the original task's data to this machine."""
        return self.original().fetch()

    def _digest(self, original: str) -> str:
        contents = {self.original.name: original, "judge": self.judge_version}
        return files.digest(self.name, self.version, self.to_mapping(), contents)
