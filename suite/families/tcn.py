"""TCN: causal convolutions whose gaps double from level to level."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard, When
from suite.layers import Dropout, DropPath, Sequence, num_steps
from suite.normalization import NormName, PerStep, check_groups, normalization
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

TCNNorm = Literal[NormName, "weight"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TCN(Family):
    """A temporal convolutional network; images go in row by row, vectors value by value.

    An output rests on the current step and on `receptive_field` - 1 steps before it. Where the task wants one answer,
    the last step gives it.

    Reference: Bai et al., 2018, arXiv:1803.01271; Salimans and Kingma, 2016, arXiv:1602.07868 (weight norm).
    Differs from the paper: dropout drops single values, as in the authors' code, where the paper speaks of whole
    channels; initial weights are torch's. Those of the convolutions are in the authors' code too, whose own draw comes
    after weight norm and has no effect; their shortcuts and their output layer begin smaller, at a deviation of 0.01.
    """

    name: ClassVar[str] = "tcn"

    channels: Annotated[int, Bounds(low=1), IntDistribution(8, 256, log=True)] = 16
    """Channels of every level."""
    num_levels: Annotated[int, Bounds(low=1, high=30), IntDistribution(1, 8)] = 2
    """Residual blocks; the convolutions of block i skip 2^i - 1 steps between the ones that they see."""
    kernel_size: Annotated[int, Bounds(low=2), IntDistribution(2, 8)] = 8
    """Steps that one convolution sees."""
    norm: Annotated[TCNNorm, CategoricalDistribution(("weight", "batch", "layer", "none"))] = "weight"
    """Normalisation: of each convolution's weights, or of what it gives; layer and group norm take each step alone."""
    num_groups: Annotated[int, Bounds(low=1), When("norm", "group")] = 8
    """Groups of channels under group norm."""
    embedding_size: Annotated[int, Bounds(low=1), IntDistribution(8, 128, log=True), OnCard("vocabulary")] = 32
    """Features that a token becomes, where inputs are tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.norm, [self.channels], self.num_groups, field="channels")

    def receptive_field(self) -> int:
        """Return how many steps an output rests on, the current one included."""
        steps_before: int = 2 * (self.kernel_size - 1) * (2**self.num_levels - 1)
        return 1 + steps_before

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.output_shape[:-1] not in ((), (num_steps(card),)):
            return "answers at every step of the sequence, and here the answers are of another number"
        if card.is_causal and self.norm == "batch":
            return "has statistics over all steps under batch norm, and here an answer may rest on earlier ones only"
        return None

    def build(self, card: Card) -> "TCNLearner":
        """Return the learner."""
        return TCNLearner(card, self)


class TCNLearner(SupervisedLearner):
    """Causal residual blocks and an affine output of each step, or of the last."""

    def __init__(self, card: Card, settings: TCN) -> None:
        super().__init__(card)
        self.sequence = Sequence(card, settings.embedding_size)
        self.blocks = nn.Sequential(
            *(
                TemporalBlock(
                    self.sequence.features if level == 0 else settings.channels,
                    settings,
                    dilation=2**level,
                )
                for level in range(settings.num_levels)
            )
        )
        self.answers_each_step = len(card.output_shape) > 1
        self.output = nn.Linear(settings.channels, card.output_shape[-1])

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        features: Tensor = self.blocks(self.sequence(inputs).transpose(1, 2))
        outputs: Tensor = self.output(features.transpose(1, 2) if self.answers_each_step else features[:, :, -1])
        return outputs


class TemporalBlock(nn.Module):
    """Two causal convolutions of one dilation, each with a dropout place after it, and a shortcut around them."""

    def __init__(self, before: int, settings: TCN, *, dilation: int) -> None:
        super().__init__()
        channels = settings.channels
        how: dict[str, Any] = {"dilation": dilation, "norm": settings.norm, "num_groups": settings.num_groups}
        self.first = CausalConvolution(before, channels, settings.kernel_size, **how)
        self.first_dropout = Dropout()
        self.second = CausalConvolution(channels, channels, settings.kernel_size, **how)
        self.second_dropout = Dropout()
        self.drop_path = DropPath()
        self.shortcut = nn.Identity() if before == channels else nn.Conv1d(before, channels, 1)

    def forward(self, x: Float[Tensor, "batch before steps"]) -> Float[Tensor, "batch channels steps"]:
        """Return the rectified sum of shortcut and branch."""
        branch = self.first_dropout(functional.relu(self.first(x)))
        branch = self.second_dropout(functional.relu(self.second(branch)))
        return functional.relu(self.shortcut(x) + self.drop_path(branch))


class CausalConvolution(nn.Module):
    """A convolution over the current and earlier steps, with its norm; zeros stand before the first step."""

    def __init__(
        self,
        before: int,
        channels: int,
        kernel_size: int,
        dilation: int,
        *,
        norm: TCNNorm = "weight",
        num_groups: int = 8,
    ) -> None:
        super().__init__()
        self.padding = (kernel_size - 1) * dilation
        convolution = nn.Conv1d(before, channels, kernel_size, dilation=dilation)
        self.convolution = weight_norm(convolution) if norm == "weight" else convolution
        self.norm: nn.Module | None = None
        if norm == "batch":
            self.norm = normalization("batch", channels, num_groups=num_groups)
        elif norm == "layer" or norm == "group":
            # Over steps too, they would let an output know of the steps that come after it.
            self.norm = PerStep(normalization(norm, channels, num_groups=num_groups))

    def forward(self, x: Float[Tensor, "batch before steps"]) -> Float[Tensor, "batch channels steps"]:
        """Return one value per channel and step."""
        outputs: Tensor = self.convolution(functional.pad(x, (self.padding, 0)))
        return outputs if self.norm is None else self.norm(outputs)
