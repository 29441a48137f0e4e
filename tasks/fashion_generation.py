"""Fashion-MNIST, to be generated: pictures of clothing, 28x28, that nobody has worn."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tasks.fashion_mnist import FashionMnist
from tasks.sources.picture_generation import PictureGeneration


@dataclasses.dataclass(frozen=True, kw_only=True)
class FashionGeneration(PictureGeneration):
    """The pictures and splits of `fashion-mnist`, with values in [-1, 1].

    Reference: Heusel et al., 2017, arXiv:1706.08500 (FID); Kynkäänniemi et al., 2019, arXiv:1904.06991 (precision and
    recall).
    Differs from the papers: features come from a small classifier of these pictures.
    """

    name: ClassVar[str] = "fashion-generation"
    original = FashionMnist
    num_levels = 255
    judge_epochs = 3
    judge_channels = (16, 32)
    num_features = 64
    summary = "Generate clothing, 28x28, judged on the features of a small classifier."
    gaussian_fid = 39.21
    train_fid = 0.060
