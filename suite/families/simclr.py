"""SimCLR: convolutions that learn without labels to tell two views of one example from views of others."""

import dataclasses
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from suite.batch import Batch
from suite.families.cnn import CNN, CNNLearner
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution
from suite.regularization.augmentation import CHANGES
from suite.task import Augmentation, Card, Objective

NegativesName = Literal["all", "second-views"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimCLR(CNN):
    """The convolutions and dense layers of `cnn`, trained without labels, and a linear classifier on what they see.

    Two random views of each example are made by the changes that the task's card allows. The encoder learns by the
    contrastive loss alone. A linear probe is trained beside it, on the labels and on features that its gradient does
    not reach: its accuracy says what the features are worth, in the same metric as that of every other family.

    Reference: Chen et al., 2020, arXiv:2002.05709; the probe that is trained beside as in Grill et al., 2020,
    arXiv:2006.07733, appendix.
    Differs from the paper: convolutions of `cnn` in place of a ResNet, views by the task's own changes, and any
    optimiser in place of LARS.
    """

    name: ClassVar[str] = "simclr"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"cross-entropy"})

    temperature: Annotated[float, Bounds(low=0, open_low=True), FloatDistribution(0.05, 1.0, log=True)] = 0.5
    """What the likenesses of views are divided by."""
    projection_size: Annotated[int, Bounds(low=1), IntDistribution(16, 128, log=True)] = 64
    """Values that the views are compared by, after a hidden layer as wide as the features."""
    view_strength: Annotated[float, Bounds(0, 1, open_low=True), FloatDistribution(0.2, 1.0)] = 1.0
    """Strength of the changes, as that of augmentation: at 1 shifts and rolls of up to a quarter of the size."""
    negatives: Annotated[NegativesName, CategoricalDistribution(("all", "second-views"))] = "all"
    """What a view's twin is told from: all other views, as in the paper, or the second views alone, half as many."""

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: tokens, several answers, or no change that keeps the answer."""
        if card.vocabulary is not None:
            return "makes views of real numbers, and here inputs are tokens"
        if not card.augmentations:
            return "makes views by changes that keep the answer, and the card names none"
        if len(card.output_shape) > 1:
            return "sums the whole input up for one answer, and here there are several"
        return super().supports(card)

    def joins_all(self, card: Card) -> bool:
        """Return that plans must name this family: its encoder does not learn the task itself."""
        return False

    def build(self, card: Card) -> "SimCLRLearner":
        """Return the learner."""
        return SimCLRLearner(card, self)


class SimCLRLearner(CNNLearner):
    """An encoder with the layers of `cnn`, a projection for the contrastive loss and a probe for the labels."""

    temperature: Tensor
    view_strength: Tensor

    def __init__(self, card: Card, settings: SimCLR) -> None:
        super().__init__(card, settings)
        width = self.output.in_features
        del self.output  # so that no classifier begins with the weights of the probe
        self.projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, settings.projection_size))
        self.probe = nn.Linear(width, card.num_outputs)
        self.contrast = contrast if settings.negatives == "all" else contrast_second_views
        self.changes: list[Augmentation] = [name for name in CHANGES if name in card.augmentations]
        self.register_buffer("temperature", torch.tensor(settings.temperature), persistent=False)
        self.register_buffer("view_strength", torch.tensor(settings.view_strength), persistent=False)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Return the probe's answers; no gradient of theirs reaches the encoder."""
        with torch.no_grad():
            features = self.features(inputs)
        outputs: Tensor = self.probe(features)
        return outputs

    def view(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Return each example with changes of its own, drawn from torch's generator."""
        for name in self.changes:
            inputs = CHANGES[name](inputs, self.view_strength)
        return inputs

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the contrastive loss, which the encoder learns by, and the probe's own."""
        both = torch.cat([self.view(batch.inputs), self.view(batch.inputs)])
        projected = self.projection(self.features(both))
        contrastive = self.contrast(projected, self.temperature)
        probe = super().losses(batch)["total"]
        return {"total": contrastive + probe, "contrastive": contrastive, "probe": probe}


def contrast(projected: Float[Tensor, "views values"], temperature: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of finding each view's twin among all other views, by their cosines (NT-Xent).

    Args:
        projected: Views of the examples in their order, then second views of them.
        temperature: What the cosines are divided by.
    """
    unit = functional.normalize(projected.float(), dim=1)
    likeness = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    twins = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
    return functional.cross_entropy(likeness.masked_fill(itself, -torch.inf), twins)


def contrast_second_views(
    projected: Float[Tensor, "views values"], temperature: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of finding each first view's twin among the second views, by their cosines.

    Args:
        projected: Views of the examples in their order, then second views of them.
        temperature: What the cosines are divided by.
    """
    first, second = functional.normalize(projected.float(), dim=1).chunk(2)
    likeness = first @ second.T / temperature
    return functional.cross_entropy(likeness, torch.arange(len(first), device=likeness.device))
