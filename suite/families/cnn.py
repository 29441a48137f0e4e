"""CNN: convolutions over signals or images, then dense layers."""

import dataclasses
import itertools
import math
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from suite.errors import UserError
from suite.family import Family, needs_whole_input
from suite.fields import Bounds, CategoricalDistribution, IntDistribution, OnCard, Unless, When
from suite.layers import Dropout, activation
from suite.normalization import NormName, check_groups, placed_norm
from suite.supervised_learner import SupervisedLearner
from suite.task import Card

PresetName = Literal["conv-32-64", "conv-32-64-128", "lenet-5", "mnist1d"]

# What a preset sets it sets in full: the plain stack, and what each has otherwise.
PLAIN: dict[str, Any] = {
    "kernel_sizes": (3,),
    "paddings": None,
    "stride": 1,
    "pool": 2,
    "pooling": "max",
    "dense": (128,),
    "activation": "relu",
}
PRESETS: dict[PresetName, dict[str, Any]] = {
    "conv-32-64": {**PLAIN, "channels": (32, 64)},
    "conv-32-64-128": {**PLAIN, "channels": (32, 64, 128)},
    "lenet-5": {
        **PLAIN,
        "channels": (6, 16),
        "kernel_sizes": (5,),
        "paddings": (2, 0),
        "pooling": "average",
        "dense": (120, 84),
        "activation": "tanh",
    },
    "mnist1d": {
        **PLAIN,
        "channels": (25, 25, 25),
        "kernel_sizes": (5, 3, 3),
        "paddings": (1,),
        "stride": 2,
        "pool": 1,
        "dense": (),
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CNN(Family):
    """A stack of convolution, nonlinearity and pooling, then dense layers; 1-d or 2-d by the task's input.

    Reference: LeCun et al., 1998, Proc. IEEE 86 (preset lenet-5); Greydanus and Kobak, 2024, arXiv:2011.14439
    (preset mnist1d).
    Differs from the paper: lenet-5 has plain average pooling, full connections between its convolutions and a
    softmax output, as is usual today.
    """

    name: ClassVar[str] = "cnn"
    presets = PRESETS

    preset: PresetName | None = None
    """A classic stack by name; it sets the fields from channels to activation, and admits no other values of them."""
    channels: Annotated[
        tuple[int, ...],
        Bounds(low=1),
        CategoricalDistribution(((16,), (16, 32), (32, 64), (32, 64, 128))),
        When("preset", None),
    ] = (32, 64)
    """Channels of each convolution."""
    kernel_sizes: Annotated[
        tuple[int, ...], Bounds(low=1), CategoricalDistribution(((3,), (5,))), When("preset", None)
    ] = (3,)
    """Kernel size of each convolution; the last one given holds for the rest."""
    paddings: Annotated[tuple[int, ...] | None, Bounds(low=0), When("preset", None)] = None
    """Zeros on each side before each convolution; the last one given holds for the rest; none is half the kernel."""
    stride: Annotated[int, Bounds(low=1), When("preset", None)] = 1
    """Stride of each convolution."""
    pool: Annotated[int, Bounds(low=1), IntDistribution(1, 2), When("preset", None)] = 2
    """Window and stride of the pooling after each convolution; 1 is none."""
    pooling: Annotated[
        Literal["max", "average"], CategoricalDistribution(("max", "average")), Unless("pool", 1), When("preset", None)
    ] = "max"
    """What a pooling window is reduced to."""
    dense: Annotated[
        tuple[int, ...], Bounds(low=1), CategoricalDistribution(((), (64,), (128,))), When("preset", None)
    ] = (128,)
    """Units of each dense hidden layer."""
    activation: Annotated[
        Literal["relu", "tanh", "gelu"], CategoricalDistribution(("relu", "tanh", "gelu")), When("preset", None)
    ] = "relu"
    """Nonlinearity after each hidden layer."""

    norm: Annotated[NormName, CategoricalDistribution(("none", "batch", "layer", "group"))] = "none"
    """Normalisation between each convolution and its nonlinearity."""
    num_groups: Annotated[int, Bounds(low=1), CategoricalDistribution((4, 8)), When("norm", "group")] = 8
    """Groups of channels under group norm."""
    embedding_size: Annotated[int, Bounds(low=1), IntDistribution(8, 64, log=True), OnCard("vocabulary")] = 32
    """Channels that a token becomes, where inputs are tokens."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise UserError("`len(family.channels) >= 1` must hold, but got an empty list.")
        check_groups(self.norm, self.channels, self.num_groups, field="channels")
        self.layers()

    def layers(self) -> list[tuple[int, int, int]]:
        """Return (channels, kernel size, padding) of each convolution."""
        kernels = _fill(self.kernel_sizes, len(self.channels))
        paddings = [size // 2 for size in kernels] if self.paddings is None else _fill(self.paddings, len(kernels))
        return list(zip(self.channels, kernels, paddings, strict=True))

    def feature_shape(self, card: Card) -> tuple[int, ...]:
        """Return (channels, *sizes) after the convolutions; a size below 1 means that the input is too small."""
        sizes = list(card.input_shape[1:] if card.vocabulary is None else card.input_shape)
        for _, kernel, padding in self.layers():
            sizes = [((size + 2 * padding - kernel) // self.stride + 1) // self.pool for size in sizes]
        return (self.channels[-1], *sizes)

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: no neighbourhoods, or an input that the stack shrinks to nothing."""
        reason = needs_whole_input(card)
        if reason is not None:
            return reason
        if card.vocabulary is None and len(card.input_shape) not in (2, 3):
            return "needs a signal (channels, length) or an image (channels, height, width)"
        if min(self.feature_shape(card)) < 1:
            return f"the input {card.input_shape} is too small for {len(self.channels)} convolutions of this size"
        return None

    def build(self, card: Card) -> "CNNLearner":
        """Return the learner."""
        return CNNLearner(card, self)


def _fill(values: tuple[int, ...], length: int) -> list[int]:
    """Repeat the last value up to ``length``."""
    if not 1 <= len(values) <= length:
        raise UserError(
            f"`1 <= number of kernel sizes or paddings <= number of channels` must hold, "
            f"but got {list(values)} for {length} convolutions."
        )
    return [*values, *[values[-1]] * (length - len(values))]


class CNNLearner(SupervisedLearner):
    """Convolution, norm, nonlinearity and pooling, repeated; then dense layers with a dropout place before each."""

    def __init__(self, card: Card, settings: CNN) -> None:
        super().__init__(card)
        is_image = len(card.input_shape) == 3
        self.embedding = None if card.vocabulary is None else nn.Embedding(card.vocabulary, settings.embedding_size)
        convolution = nn.Conv2d if is_image else nn.Conv1d
        average = nn.AvgPool2d if is_image else nn.AvgPool1d
        largest = nn.MaxPool2d if is_image else nn.MaxPool1d
        pooling = average if settings.pooling == "average" else largest
        blocks: list[nn.Module] = []
        before = card.input_shape[0] if self.embedding is None else settings.embedding_size
        for channels, kernel, padding in settings.layers():
            blocks.append(convolution(before, channels, kernel, settings.stride, padding))
            blocks += placed_norm(settings.norm, channels, num_groups=settings.num_groups)
            blocks.append(activation(settings.activation))
            if settings.pool > 1:
                blocks.append(pooling(settings.pool))
            before = channels
        self.convolutions = nn.Sequential(*blocks)
        widths = [math.prod(settings.feature_shape(card)), *settings.dense]
        hidden: list[nn.Module] = []
        for width, following in itertools.pairwise(widths):
            hidden += [Dropout(), nn.Linear(width, following), activation(settings.activation)]
        self.dense = nn.Sequential(*hidden, Dropout())
        self.output = nn.Linear(widths[-1], card.num_outputs)

    def forward(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch *outputs"]:
        """Return the outputs, of the card's output shape."""
        outputs: Tensor = self.output(self.features(inputs))
        return self.shape_outputs(outputs)

    def features(self, inputs: Shaped[Tensor, "batch *shape"]) -> Float[Tensor, "batch features"]:
        """Return what the last layer sees."""
        if self.embedding is not None:
            inputs = self.embedding(inputs).transpose(1, 2)
        features: Tensor = self.dense(self.convolutions(inputs).flatten(1))
        return features
