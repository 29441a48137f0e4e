"""How near samples come to examples, both given as features (rows of numbers): FID, KID, precision and recall.

Everything is computed in double precision and draws no random numbers. torchmetrics has the first two: its FID takes
eigenvalues of a product that is not symmetric, which fewer examples than features make unstable, and its KID draws
subsets.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

NUM_NEIGHBOURS = 3
"""Neighbour whose distance is the radius of a feature's ball, as in Kynkäänniemi et al."""
ROWS_AT_ONCE = 200
"""Rows of a matrix of pairs that are in memory at one time: few enough to stay near the processor."""


def scores(samples: Float[Tensor, "samples size"], examples: Float[Tensor, "examples size"]) -> dict[str, float]:
    """Return all four by name."""
    precision, recall = precision_and_recall(samples, examples)
    return {
        "fid": frechet_distance(samples, examples),
        "kid": kernel_distance(samples, examples),
        "precision": precision,
        "recall": recall,
    }


def frechet_distance(one: Float[Tensor, "many size"], other: Float[Tensor, "more size"]) -> float:
    """Return the squared Fréchet distance between the Gaussians that have the features' means and covariances.

    It is biased upwards, the more so the fewer the features: compare figures over equally many.

    Reference: Heusel et al., 2017, arXiv:1706.08500 (FID).
    """
    one, other = one.double(), other.double()
    root = _root(_covariance(one))
    # The eigenvalues of C1 C2 are those of C1^(1/2) C2 C1^(1/2), which is symmetric.
    cross = torch.linalg.eigvalsh(root @ _covariance(other) @ root).clamp(min=0).sqrt().sum()
    means = (one.mean(dim=0) - other.mean(dim=0)).square().sum()
    spreads = one.var(dim=0).sum() + other.var(dim=0).sum()
    return float(means + spreads - 2 * cross)


def kernel_distance(one: Float[Tensor, "many size"], other: Float[Tensor, "more size"]) -> float:
    """Return the unbiased squared maximum mean discrepancy under the kernel ``(x y / size + 1)^3``.

    Without bias, it is as often below 0 as above where both come from one distribution.

    Reference: Bińkowski et al., 2018, arXiv:1801.01401 (KID).
    Differs from the paper: all pairs count, where it takes a mean over random subsets.
    """
    one, other = one.double(), other.double()

    def mean_kernel(left: Tensor, right: Tensor, *, is_same: bool) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=left.device)
        for rows in left.split(ROWS_AT_ONCE):
            total += (rows @ right.T).div_(left.shape[1]).add_(1).pow_(3).sum()
        if not is_same:
            return total / (len(left) * len(right))
        itself = (left.square().sum(dim=1) / left.shape[1] + 1).pow(3).sum()
        return (total - itself) / (len(left) * (len(left) - 1))

    within = mean_kernel(one, one, is_same=True) + mean_kernel(other, other, is_same=True)
    return float(within - 2 * mean_kernel(one, other, is_same=False))


def precision_and_recall(
    samples: Float[Tensor, "samples size"], examples: Float[Tensor, "examples size"]
) -> tuple[float, float]:
    """Return the share of samples among the examples, and that of examples among the samples, both in [0, 1].

    A feature is among others when it lies in the ball around one of them that reaches to its third neighbour.

    Reference: Kynkäänniemi et al., 2019, arXiv:1904.06991.
    """
    samples, examples = samples.double(), examples.double()
    sample_radii, example_radii = _radii(samples), _radii(examples)
    precise = torch.zeros(len(samples), dtype=torch.bool, device=samples.device)
    recalled = []
    # One pass over the pairs serves both: rows are examples, columns are samples.
    for radii, distances in zip(example_radii.split(ROWS_AT_ONCE), _squared_distances(examples, samples), strict=True):
        precise |= (distances <= radii.unsqueeze(1)).any(dim=0)
        recalled.append((distances <= sample_radii).any(dim=1))
    return float(precise.double().mean()), float(torch.cat(recalled).double().mean())


def _radii(features: Tensor) -> Tensor:
    """Return the squared distance of each feature to its nearest neighbours' last, itself not counted."""
    place = min(NUM_NEIGHBOURS, len(features) - 1) + 1
    nearest = (rows.topk(place, dim=1, largest=False).values for rows in _squared_distances(features, features))
    return torch.cat([distances.amax(dim=1) for distances in nearest])


def _squared_distances(left: Tensor, right: Tensor) -> Iterator[Tensor]:
    """Yield the squared distances of the rows of ``left`` to those of ``right``, some rows at a time."""
    squares = right.square().sum(dim=1)
    for rows in left.split(ROWS_AT_ONCE):
        yield (rows @ right.T).mul_(-2).add_(squares).add_(rows.square().sum(dim=1, keepdim=True)).clamp_(min=0)


def _covariance(features: Tensor) -> Tensor:
    covariance: Tensor = torch.atleast_2d(torch.cov(features.T))
    return covariance


def _root(covariance: Tensor) -> Tensor:
    """Return the symmetric square root of a covariance matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
