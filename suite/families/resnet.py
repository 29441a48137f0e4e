"""ResNet: stages of residual convolution blocks over signals or images, then the mean over all positions."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from suite.errors import UserError
from suite.family import Family, needs_whole_input
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard, When
from suite.layers import Dropout, DropPath
from suite.normalization import NormName, check_groups, normalization
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

PresetName = Literal["resnet-18", "resnet-20", "resnet-34"]

PRESETS: dict[PresetName, dict[str, Any]] = {
    "resnet-18": {"channels": (64, 128, 256, 512), "blocks": (2,)},
    "resnet-20": {"channels": (16, 32, 64), "blocks": (3,)},
    "resnet-34": {"channels": (64, 128, 256, 512), "blocks": (3, 4, 6, 3)},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNet(Family):
    """Basic blocks of two convolutions with a shortcut around them; 1-d or 2-d by the task's input.

    Each stage after the first halves the positions.

    Reference: He et al., 2016, arXiv:1512.03385; for norms `suite.normalization.normalization`; Goyal et al., 2017,
    arXiv:1706.02677 (branches that start at zero).
    Differs from the paper: the stem is one 3x3 convolution without pooling, as for small images there; shortcuts that
    change shape are 1x1 convolutions in every preset. Layer norm is taken over channels and positions together. Where a
    batch leaves one value per channel, batch norm uses its running statistics.
    """

    name: ClassVar[str] = "resnet"
    presets = PRESETS

    preset: PresetName | None = None
    """A classic stack by name; it sets channels and blocks, and admits no other values of them."""
    channels: Annotated[
        tuple[int, ...],
        Bounds(low=1),
        CategoricalDistribution(((8, 32), (16, 32), (16, 32, 64), (32, 64, 128))),
        When("preset", None),
    ] = (8, 32)
    """Channels of each stage."""
    blocks: Annotated[
        tuple[int, ...], Bounds(low=1), CategoricalDistribution(((1,), (2,), (3,))), When("preset", None)
    ] = (1,)
    """Residual blocks of each stage; the last one given holds for the rest."""
    kernel_size: Annotated[int, Bounds(low=1), CategoricalDistribution((3, 5))] = 3
    """Size of every convolution but the shortcuts'; odd."""
    stem_stride: Annotated[int, Bounds(low=1), IntDistribution(1, 2)] = 1
    """Stride of the first convolution."""
    norm: Annotated[NormName, CategoricalDistribution(("batch", "layer", "group", "none"))] = "batch"
    """Normalisation after each convolution."""
    num_groups: Annotated[int, Bounds(low=1), CategoricalDistribution((4, 8)), When("norm", "group")] = 8
    """Groups of channels under group norm."""
    zero_init: Annotated[bool, CategoricalDistribution((False, True))] = False
    """Start each residual branch at zero: its last norm, or its last convolution where there is no norm."""
    embedding_size: Annotated[int, Bounds(low=1), IntDistribution(8, 64, log=True), OnCard("vocabulary")] = 32
    """Channels that a token becomes, where inputs are tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.blocks) <= len(self.channels):
            raise UserError(
                f"`1 <= number of family.blocks <= number of family.channels` must hold, "
                f"but got {list(self.blocks)} for {list(self.channels)}."
            )
        if self.kernel_size % 2 == 0:
            raise UserError(f"`family.kernel_size` must be odd, or a block changes length, but got {self.kernel_size}.")
        check_groups(self.norm, self.channels, self.num_groups, field="channels")

    def stages(self) -> list[tuple[int, int]]:
        """Return (channels, blocks) of each stage."""
        missing = len(self.channels) - len(self.blocks)
        return list(zip(self.channels, [*self.blocks, *[self.blocks[-1]] * missing], strict=True))

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: no neighbourhoods, or more than one answer."""
        if card.is_causal:
            return needs_whole_input(card)
        if card.vocabulary is None and len(card.input_shape) not in (2, 3):
            return "needs a signal (channels, length) or an image (channels, height, width)"
        if len(card.output_shape) > 1:
            return "sums the whole input up for one answer, and here there are several"
        return None

    def build(self, card: Card) -> "ResNetLearner":
        """Return the learner."""
        return ResNetLearner(card, self)


class ResNetLearner(SupervisedLearner):
    """A stem, residual blocks, the mean over positions, a dropout place and an affine output."""

    def __init__(self, card: Card, settings: ResNet) -> None:
        super().__init__(card)
        self.embedding = None if card.vocabulary is None else nn.Embedding(card.vocabulary, settings.embedding_size)
        make = _Maker(settings, is_image=len(card.input_shape) == 3)
        before = card.input_shape[0] if self.embedding is None else settings.embedding_size
        first = settings.channels[0]
        stem = make.convolution(before, first, settings.kernel_size, settings.stem_stride)
        self.stem = nn.Sequential(stem, make.norm(first), nn.ReLU())
        self.blocks = nn.Sequential()
        before = first
        for stage, (channels, count) in enumerate(settings.stages()):
            for index in range(count):
                self.blocks.append(BasicBlock(make, before, channels, stride=2 if stage > 0 and index == 0 else 1))
                before = channels
        self.dropout = Dropout()
        self.output = nn.Linear(before, card.num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Return the outputs, of the card's output shape."""
        if self.embedding is not None:
            inputs = self.embedding(inputs).transpose(1, 2)
        features: Tensor = self.blocks(self.stem(inputs))
        # A plain mean: the gradient of torch's adaptive pooling is not deterministic on GPUs.
        outputs: Tensor = self.output(self.dropout(features.flatten(2).mean(dim=2)))
        return outputs


class BasicBlock(nn.Module):
    """Two convolutions, each with its norm, and a shortcut around them: the input, or a 1x1 convolution of it."""

    def __init__(self, make: "_Maker", before: int, channels: int, stride: int) -> None:
        super().__init__()
        size = make.settings.kernel_size
        self.first = make.convolution(before, channels, size, stride)
        self.first_norm = make.norm(channels)
        self.second = make.convolution(channels, channels, size)
        self.second_norm = make.norm(channels)
        self.drop_path = DropPath()
        self.shortcut = nn.Sequential()
        if stride != 1 or before != channels:
            self.shortcut = nn.Sequential(make.convolution(before, channels, 1, stride), make.norm(channels))
        if make.settings.zero_init:
            last = self.second if make.settings.norm == "none" else self.second_norm
            assert isinstance(last.weight, Tensor)
            nn.init.zeros_(last.weight)

    def forward(self, x: Float[Tensor, "batch before *sizes"]) -> Float[Tensor, "batch channels *fewer"]:
        """Return the rectified sum of shortcut and branch."""
        branch = functional.relu(self.first_norm(self.first(x)))
        branch = self.drop_path(self.second_norm(self.second(branch)))
        return functional.relu(self.shortcut(x) + branch)


class _Maker:
    """Makes the layers of one network: 1-d or 2-d, with the norm of the settings."""

    def __init__(self, settings: ResNet, *, is_image: bool) -> None:
        self.settings = settings
        self._kind = nn.Conv2d if is_image else nn.Conv1d

    def convolution(self, before: int, channels: int, size: int, stride: int = 1) -> nn.Module:
        """Return a convolution that changes the size by its stride alone, with He et al.'s initial weights."""
        layer = self._kind(before, channels, size, stride, size // 2, bias=self.settings.norm == "none")
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        return layer

    def norm(self, channels: int) -> nn.Module:
        """Return a normalisation with a scale and a shift per channel."""
        return normalization(self.settings.norm, channels, num_groups=self.settings.num_groups)
