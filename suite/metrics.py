"""Metrics by name: from the predictions of a whole split to its scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_stat_scores

from suite.targets import NO_TARGET


def accuracy(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the share of answers whose largest output is the target class, in [0, 1], in float64.

    In float32 a share of 0.1 is above 0.1, and a model that always gives one answer is above the floor.
    """
    num_classes = predictions.shape[-1]
    right, *_, answered = multiclass_stat_scores(
        predictions.reshape(-1, num_classes),
        targets.flatten(),
        num_classes=num_classes,
        average="micro",
        ignore_index=NO_TARGET if targets.ndim > 1 else None,
        validate_args=False,
    )
    share: Tensor = right.double() / answered
    return share


def cross_entropy(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of the target classes over all answers, in nats."""
    return functional.cross_entropy(
        predictions.reshape(-1, predictions.shape[-1]), targets.flatten(), ignore_index=NO_TARGET
    )


def bits(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return `cross_entropy` in bits, as language models per character are compared."""
    return cross_entropy(predictions, targets) / math.log(2)


def squared_error(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error over all outputs."""
    return functional.mse_loss(predictions, targets)


BEST_PSNR = 100.0
"""What a picture without any error scores, in dB: its true value is infinite, and a mean would be so with it."""


def psnr(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over pictures of each one's peak signal-to-noise ratio, in dB, at most `BEST_PSNR` each.

    Targets have a range of 1; predictions are taken as they are, inside it or not.
    """
    errors = (predictions - targets).square().flatten(1).mean(dim=1)
    return (-10 * errors.clamp(min=10 ** (-BEST_PSNR / 10)).log10()).mean()


def ssim(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the mean structural similarity, in [-1, 1], of pictures whose targets have a range of 1.

    Pictures are (batch, channels, height, width).

    Reference: Wang et al., 2004, IEEE Trans. Image Processing 13: a Gaussian window of 11x11 pixels and deviation 1.5,
    at the places where it lies wholly inside the picture.
    Differs from the paper: where a side is shorter than 11, the window is the largest odd one that fits.
    """
    # Variances are small differences of large numbers, which GPUs would take of products rounded to ten bits.
    predictions, targets = predictions.double(), targets.double()
    size = min(11, *(side - (side + 1) % 2 for side in targets.shape[2:]))
    distances = torch.arange(size, dtype=targets.dtype, device=targets.device) - size // 2
    window = (-distances.square() / (2 * 1.5**2)).exp()
    window = window / window.sum()

    def blurred(maps: Tensor) -> Tensor:
        rows = functional.conv2d(maps.flatten(0, 1)[:, None], window[None, None, :, None])
        return functional.conv2d(rows, window[None, None, None, :])

    one, other = blurred(predictions), blurred(targets)
    variances = blurred(predictions.square()) - one.square() + blurred(targets.square()) - other.square()
    covariance = blurred(predictions * targets) - one * other
    luminance = (2 * one * other + 0.01**2) / (one.square() + other.square() + 0.01**2)
    return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "accuracy": accuracy,
    "cross-entropy": cross_entropy,
    "bits": bits,
    "squared-error": squared_error,
    "psnr": psnr,
    "ssim": ssim,
}


def score(metrics: Collection[str], objective: str, predictions: Tensor, targets: Tensor) -> dict[str, float]:
    """Return metrics by name, and the objective as ``loss`` where it is a metric, read from the device in one go."""
    chosen = {name: METRICS[name] for name in metrics}
    if objective in METRICS:
        chosen["loss"] = METRICS[objective]
    values = torch.stack([metric(predictions, targets).double() for metric in chosen.values()])
    return dict(zip(chosen, values.tolist(), strict=True))
