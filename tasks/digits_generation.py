"""Scikit-learn's digits, to be generated: pictures of 8x8 pixels that look like them, and are not them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from tasks.digits import Digits
from tasks.sources.picture_generation import PictureGeneration


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsGeneration(PictureGeneration):
    """The pictures and splits of `digits`, with values in [-1, 1] in steps of 1/8.

    Reference: Heusel et al., 2017, arXiv:1706.08500 (FID); Kynkäänniemi et al., 2019, arXiv:1904.06991 (precision and
    recall).
    Differs from the papers: features come from a small classifier of these digits.
    """

    name: ClassVar[str] = "digits-generation"
    original = Digits
    num_levels = 16
    judge_epochs = 30
    judge_channels = (16, 32)
    num_features = 32
    summary = "Generate handwritten digits, 8x8, judged on the features of a small classifier."
    gaussian_fid = 3.197
    train_fid = 0.377
