"""The expected best of k trials, from all trials that were made: what a search of a smaller budget would have found."""

from __future__ import annotations

import math
from collections.abc import Sequence


def expected_best(values: Sequence[float], k: int, direction: str) -> float:
    """Return the mean, over all sets of ``k`` of the ``values``, of the best in the set; NaN where there are fewer.

    This is the unbiased estimator for trials that were drawn independently, as random search draws them. Dodge et
    al. average over draws with replacement instead, which understates the best of k. For a guided sampler it answers
    another question: the best of k of these trials in any order.

    Reference: Dodge et al., 2019, arXiv:1909.03004; Tang et al., 2020, arXiv:2004.13705 (why without replacement).
    """
    assert k >= 1 and not any(math.isnan(value) for value in values)
    count = len(values)
    if count < k:
        return math.nan
    ascending = sorted(values) if direction == "maximize" else sorted(values, reverse=True)
    # The i-th in order (from 1) is the best of C(i - 1, k - 1) of the C(count, k) sets.
    total = math.comb(count, k)
    return math.fsum(math.comb(i, k - 1) / total * value for i, value in enumerate(ascending) if i >= k - 1)
