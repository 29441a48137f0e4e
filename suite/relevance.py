"""How well an explanation finds the positions that the answer really rests on, where the task knows them.

All three scores have one chance level: the share of the positions that are evidence. It is what relevance that is the
same everywhere, or a random order of the positions, comes to on average.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def scores(
    relevance: Float[Tensor, "examples positions"], evidence: Bool[Tensor, "examples positions"]
) -> dict[str, Float[Tensor, " examples"]]:
    """Return every score of each example by name, in [0, 1]; more is better.

    Args:
        relevance: Not negative.
        evidence: True at one position of each example at least.
    """
    return {
        "relevance-mass": mass_accuracy(relevance, evidence),
        "relevance-rank": expected_hits(relevance, evidence, evidence.sum(dim=1)),
        "pointing-game": expected_hits(relevance, evidence, evidence.sum(dim=1).clamp(max=1)),
    }


def chance(evidence: Bool[Tensor, "examples positions"]) -> Float[Tensor, " examples"]:
    """Return what each score comes to by chance."""
    return evidence.double().mean(dim=1)


def mass_accuracy(
    relevance: Float[Tensor, "examples positions"], evidence: Bool[Tensor, "examples positions"]
) -> Float[Tensor, " examples"]:
    """Return the share of the relevance that lies on evidence; that of chance where there is no relevance at all.

    Reference: Arras, Osman and Samek, 2022, Information Fusion 81, arXiv:2003.07258 (relevance mass accuracy).
    """
    relevance = relevance.double()
    total = relevance.sum(dim=1)
    share = (relevance * evidence).sum(dim=1) / total.where(total > 0, 1.0)
    return share.where(total > 0, chance(evidence))


def expected_hits(
    relevance: Float[Tensor, "examples positions"],
    evidence: Bool[Tensor, "examples positions"],
    counts: Tensor,
) -> Float[Tensor, " examples"]:
    """Return the share of evidence among the ``counts`` most relevant positions; equals are taken in random order.

    With as many as there is evidence it is the relevance rank accuracy, with one the pointing game.

    Reference: Arras, Osman and Samek, 2022, arXiv:2003.07258 (rank accuracy); Zhang et al., 2018, arXiv:1608.00507
    (pointing game).
    Differs from the paper: the pointing game has no margin around the evidence.
    """
    last = relevance.sort(dim=1, descending=True).values.gather(1, (counts - 1).unsqueeze(1))
    above, equal = relevance > last, relevance == last
    left = (counts - above.sum(dim=1)).double()
    hits = (above & evidence).sum(dim=1) + left * (equal & evidence).sum(dim=1) / equal.sum(dim=1)
    return hits / counts
