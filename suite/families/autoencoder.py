"""Autoencoder: a narrow or sparse code between an encoder and a decoder, dense or convolutional."""

import dataclasses
import itertools
import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from suite.batch import Batch
from suite.errors import UserError
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution, When
from suite.layers import Dropout, activation, halved_shapes
from suite.normalization import NormName, check_groups, placed_norm
from suite.supervised_learner import SupervisedLearner
from suite.task import Card, Objective

Form = Literal["dense", "convolutional"]
ActivationName = Literal["none", "relu", "tanh", "gelu"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coder(Family):
    """What families share that squeeze an input through a code: the shape of encoder and decoder."""

    objectives: ClassVar[frozenset[Objective]] = frozenset({"squared-error"})

    code_size: Annotated[int, Bounds(low=1), IntDistribution(2, 128, log=True)] = 16
    """Values in a code."""
    form: Annotated[Form, CategoricalDistribution(("dense", "convolutional"))] = "dense"
    """Dense layers on the flat input, or convolutions that halve it, each followed in the decoder by its mirror."""
    hidden: Annotated[
        tuple[int, ...],
        Bounds(low=1),
        CategoricalDistribution(((128,), (256,), (256, 128), (512, 256, 128))),
        When("form", "dense"),
    ] = (128,)
    """Units of each dense layer before the code, under the dense form; the decoder has them in reverse."""
    channels: Annotated[
        tuple[int, ...],
        Bounds(low=1),
        CategoricalDistribution(((16,), (16, 32), (32, 64))),
        When("form", "convolutional"),
    ] = (16, 32)
    """Channels of each convolution, under the convolutional form; the decoder has them in reverse."""
    activation: Annotated[ActivationName, CategoricalDistribution(("none", "relu", "tanh", "gelu"))] = "relu"
    """Nonlinearity after each hidden layer; without any the map is linear."""
    norm: Annotated[NormName, CategoricalDistribution(("none", "batch", "layer", "group"))] = "none"
    """Normalisation before each nonlinearity; there is none between the decoder's first layer and its convolutions."""
    num_groups: Annotated[int, Bounds(low=1), CategoricalDistribution((4, 8)), When("norm", "group")] = 8
    """Groups of channels or units under group norm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise UserError(f"`len(family.channels) >= 1` must hold, but got {list(self.channels)}.")
        is_dense = self.form == "dense"
        sizes, field = (self.hidden, "hidden") if is_dense else (self.channels, "channels")
        check_groups(self.norm, sizes, self.num_groups, field=field)

    def hidden_layer(self, size: int) -> list[nn.Module]:
        """Return what follows a hidden layer of ``size`` channels or units: its norm and its nonlinearity."""
        return [*placed_norm(self.norm, size, num_groups=self.num_groups), nonlinearity(self.activation)]

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit: its answers are no reconstructions, or it has no neighbourhoods."""
        if card.vocabulary is not None:
            return "rebuilds real numbers, and here inputs are tokens"
        if card.objective == "squared-error" and card.output_shape != card.input_shape:
            return f"answers in the shape of the input {card.input_shape}, and here answers have {card.output_shape}"
        if not card.is_length_fixed:
            return "needs inputs of one length, and here the splits differ in it"
        if self.form == "convolutional":
            if len(card.input_shape) not in (2, 3):
                return "needs a signal (channels, length) or an image (channels, height, width) for its convolutions"
            if min(card.input_shape[1:]) < 2 ** len(self.channels):
                return f"the input {card.input_shape} is too small to be halved {len(self.channels)} times"
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoencoder(Coder):
    """An encoder, a code and a decoder; trained on corrupted inputs it is a denoising autoencoder.

    On a task of classes it is the encoder and an affine layer on the code, for an encoder that learnt to rebuild.

    With ``hidden=()`` and ``activation="none"`` it is the linear autoencoder, whose best reconstruction is that of PCA
    (Baldi and Hornik, 1989, Neural Networks 2).

    Reference: Hinton and Salakhutdinov, 2006, Science 313; Vincent et al., 2008, ICML (denoising); Olshausen and
    Field, 1996, Nature 381, and Ng, 2011, CS294A lecture notes (sparse codes).
    Differs from the paper: all layers are trained at once, without pretraining, and outputs are linear. Sparsity is L1,
    as in Olshausen and Field, and each code value counts times the norm of the weights that read it, so that small
    codes under large weights gain nothing; the paper holds the norms fixed instead.
    """

    name: ClassVar[str] = "autoencoder"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"squared-error", "cross-entropy"})

    code_activation: Annotated[ActivationName, CategoricalDistribution(("none", "relu", "tanh", "gelu"))] = "none"
    """Nonlinearity of the code; with relu a sparse code holds exact zeros."""
    sparsity: Annotated[float, Bounds(low=0), FloatDistribution(0.0, 0.3), When("norm", "none")] = 0.0
    """Strength of the L1 penalty on codes, a mean over examples and code values; 0 is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity > 0 and self.norm != "none":
            raise UserError(
                f"`family.norm = none` must hold under family.sparsity, but got norm={self.norm!r} and "
                f"sparsity={self.sparsity}. A norm makes up for codes and weights that shrink together."
            )

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.objective == "cross-entropy" and len(card.output_shape) > 1:
            return "reads one answer from its code, and here there are several"
        if card.objective == "cross-entropy" and self.sparsity > 0:
            return "makes codes sparse while it rebuilds (family.sparsity), and here it has classes to tell apart"
        return super().supports(card)

    def joins_all(self, card: Card) -> bool:
        """Return that plans must name this family on tasks of classes, where its encoder is to come from elsewhere."""
        return card.objective == "squared-error"

    def build(self, card: Card) -> "AutoencoderLearner | EncoderLearner":
        """Return the learner."""
        return EncoderLearner(card, self) if card.objective == "cross-entropy" else AutoencoderLearner(card, self)


class Encoder(nn.Module):
    """Any real input to ``num_outputs`` values: (batch, *input_shape) to (batch, num_outputs)."""

    def __init__(self, card: Card, settings: Coder, num_outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if settings.form == "dense":
            width = card.num_inputs
            layers.append(nn.Flatten())
            for following in settings.hidden:
                layers += [nn.Linear(width, following), *settings.hidden_layer(following), Dropout()]
                width = following
        else:
            convolution = nn.Conv2d if len(card.input_shape) == 3 else nn.Conv1d
            shapes = halved_shapes(card.input_shape, settings.channels)
            for before, after in itertools.pairwise(shapes):
                layers += [convolution(before[0], after[0], 3, stride=2, padding=1), *settings.hidden_layer(after[0])]
            layers += [nn.Flatten(), Dropout()]
            width = math.prod(shapes[-1])
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_outputs))

    def forward(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch outputs"]:
        """Return what the code is made of."""
        outputs: Tensor = self.layers(inputs)
        return outputs


class Decoder(nn.Module):
    """A code to the card's output shape, the encoder's layers in reverse: (batch, code) to (batch, *output_shape)."""

    def __init__(self, card: Card, settings: Coder) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = settings.code_size
        if settings.form == "dense":
            for following in reversed(settings.hidden):
                layers += [nn.Linear(width, following), *settings.hidden_layer(following), Dropout()]
                width = following
            layers += [nn.Linear(width, card.num_outputs), nn.Unflatten(1, card.output_shape)]
        else:
            convolution: Any = nn.ConvTranspose2d if len(card.input_shape) == 3 else nn.ConvTranspose1d
            shapes = halved_shapes(card.input_shape, settings.channels)[::-1]
            layers += [nn.Linear(width, math.prod(shapes[0])), nonlinearity(settings.activation), Dropout()]
            layers.append(nn.Unflatten(1, shapes[0]))
            for before, after in itertools.pairwise(shapes):
                # An even size lost nothing when it was halved, and needs one more to come back.
                padding = [1 - size % 2 for size in after[1:]]
                layers.append(convolution(before[0], after[0], 3, 2, padding=1, output_padding=padding))
                if after is not shapes[-1]:  # outputs are linear
                    layers += settings.hidden_layer(after[0])
        self.layers = nn.Sequential(*layers)

    @property
    def reading_norms(self) -> Float[Tensor, " code"]:
        """Return for each code value the norm of the weights that read it."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        norms: Tensor = torch.linalg.vector_norm(first.weight, dim=0)
        return norms

    def forward(self, codes: Float[Tensor, "batch code"]) -> Float[Tensor, "batch *outputs"]:
        """Return the reconstructions."""
        outputs: Tensor = self.layers(codes)
        return outputs


def nonlinearity(name: str) -> nn.Module:
    """Return the nonlinearity called ``name``, which may be ``none``."""
    return nn.Identity() if name == "none" else activation(name)


class EncoderLearner(SupervisedLearner):
    """The encoder of an autoencoder and an affine output of its code."""

    def __init__(self, card: Card, settings: Autoencoder) -> None:
        super().__init__(card)
        self.encoder = Encoder(card, settings, settings.code_size)
        self.code_activation = nonlinearity(settings.code_activation)
        self.output = nn.Linear(settings.code_size, card.num_outputs)

    def forward(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Return the outputs."""
        outputs: Tensor = self.output(self.code_activation(self.encoder(inputs)))
        return outputs


class AutoencoderLearner(SupervisedLearner):
    """Reconstruction through a code, with a penalty on the code where it is to be sparse."""

    sparsity: Tensor

    def __init__(self, card: Card, settings: Autoencoder) -> None:
        super().__init__(card)
        self.encoder = Encoder(card, settings, settings.code_size)
        self.code_activation = nonlinearity(settings.code_activation)
        self.decoder = Decoder(card, settings)
        self.register_buffer("sparsity", torch.tensor(settings.sparsity), persistent=False)
        self.is_sparse = settings.sparsity > 0

    def encode(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch code"]:
        """Return the codes."""
        codes: Tensor = self.code_activation(self.encoder(inputs))
        return codes

    def forward(self, inputs: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Return the reconstructions."""
        outputs: Tensor = self.decoder(self.encode(inputs))
        return outputs

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error and the penalty on the codes, of one and the same pass."""
        codes = self.encode(batch.inputs)
        outputs = self.decoder(codes)
        error = self.objective(outputs, batch.targets)
        if batch.other_targets is not None and batch.share is not None:
            error = batch.share * error + (1 - batch.share) * self.objective(outputs, batch.other_targets)
        if not self.is_sparse:
            return {"total": error}
        penalty = self.sparsity * (codes.abs() * self.decoder.reading_norms).mean()
        return {"total": error + penalty, "reconstruction": error, "sparsity": penalty}
