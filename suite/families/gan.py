"""GAN: a generator of samples and a discriminator that tells them from the data, trained against each other."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from suite.batch import Batch
from suite.errors import UserError
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution, When
from suite.learner import Learner
from suite.networks import players
from suite.task import Card, Objective

Loss = Literal["non-saturating", "wasserstein-gp", "hinge"]
Form = Literal["dense", "convolutional"]
WEIGHTED = nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d
LATENT_SIZES: dict[Form, int] = {"dense": 2, "convolutional": 64}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GAN(Family):
    """A generator of samples from normal noise, and a discriminator that judges packs of examples at once.

    Packs let it see a lack of variety. Vectors have the dense form, by default that of Lin et al. for two dimensions:
    layers with batch norm and ReLU against maxout layers. Signals and images have the convolutional form of DCGAN;
    there a pack lies side by side in the channels.

    Reference: Goodfellow et al., 2014, arXiv:1406.2661; packing and dense sizes Lin et al., 2018, arXiv:1712.04086;
    convolutions Radford et al., 2016, arXiv:1511.06434; ``wasserstein-gp`` Gulrajani et al., 2017, arXiv:1704.00028;
    ``hinge``, with spectral norm on every layer of the discriminator, Miyato et al., 2018, arXiv:1802.05957.
    Differs from the paper: the convolutional discriminator has no batch norm, which the other two losses do not allow,
    and the generator's output is squashed only where the task's card names a range of values. A batch holds examples,
    where a batch of Lin et al. holds packs (their 100 packs of m are ``--data.batch_size`` 100 m here), and packs are
    cut from the batch, where they draw each place of a pack anew. The discriminator moves first, and the generator then
    answers the moved one; they move both at once. All discriminator steps of one step see the same examples and fresh
    samples, where Gulrajani et al. take a new batch for each.
    """

    name: ClassVar[str] = "gan"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"generation"})

    loss: Annotated[Loss, CategoricalDistribution(("non-saturating", "wasserstein-gp", "hinge"))] = "non-saturating"
    """What the two play for."""
    form: Form | None = None
    """Dense layers on flat vectors, or convolutions; none takes convolutions where the input has neighbourhoods."""
    packing: Annotated[int, Bounds(low=1), IntDistribution(1, 4)] = 1
    """Examples that the discriminator judges together."""
    latent_size: Annotated[int | None, Bounds(low=1), IntDistribution(2, 128, log=True)] = None
    """Normal random numbers that a sample is made from; none is 2 in the dense form, and 64 in the convolutional."""
    generator_width: Annotated[int, Bounds(low=1), IntDistribution(32, 512, log=True)] = 400
    """Units per hidden layer of the dense generator."""
    generator_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 4
    """Hidden layers of the dense generator."""
    discriminator_width: Annotated[int, Bounds(low=1), IntDistribution(32, 512, log=True)] = 200
    """Maxout units per hidden layer of the dense discriminator."""
    discriminator_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 3
    """Hidden layers of the dense discriminator."""
    discriminator_pieces: Annotated[int, Bounds(low=1), IntDistribution(2, 8)] = 5
    """Linear pieces of a maxout unit."""
    channels: Annotated[
        tuple[int, ...], Bounds(low=1), CategoricalDistribution(((16, 32), (32, 64), (64, 128), (32, 64, 128)))
    ] = (32, 64)
    """Channels of each convolution of the discriminator, which halves the sizes; the generator has them in reverse."""
    discriminator_steps: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 1
    """Steps of the discriminator for each of the generator."""
    gradient_penalty: Annotated[
        float, Bounds(low=0), FloatDistribution(0.1, 100.0, log=True), When("loss", "wasserstein-gp")
    ] = 10.0
    """Weight of the penalty of wasserstein-gp; the other losses have none."""
    init_std: Annotated[float, Bounds(low=0, open_low=True), FloatDistribution(0.005, 0.1, log=True)] = 0.02
    """Standard deviation of the initial weights; initial biases are 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels:
            raise UserError("`len(family.channels) >= 1` must hold, but got an empty list.")

    def form_for(self, card: Card) -> Form:
        """Return the form that the players take."""
        return self.form or ("dense" if len(card.input_shape) == 1 else "convolutional")

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.vocabulary is not None:
            return "generates real numbers, and the examples here are tokens"
        if card.input_shape != card.output_shape:
            return "generates samples in the shape of the examples, and the task wants another"
        if self.form_for(card) == "convolutional":
            if len(card.input_shape) == 1:
                return "needs a signal (channels, length) or an image (channels, height, width) for its convolutions"
            if min(card.input_shape[1:]) < 2 ** len(self.channels):
                return f"the input {card.input_shape} is too small to be halved {len(self.channels)} times"
        return None

    def idle(self, card: Card) -> Mapping[str, str]:
        """Return the sizes of the other form."""
        if self.form_for(card) == "dense":
            return {"channels": "vectors go through dense layers"}
        dense = ("generator_width", "generator_layers", "discriminator_width", "discriminator_layers")
        return dict.fromkeys((*dense, "discriminator_pieces"), "signals and images go through convolutions")

    def build(self, card: Card) -> "GANLearner":
        """Return the learner."""
        return GANLearner(card, self)


class GANLearner(Learner):
    """Two players with an optimiser each, under the same settings; one moves while the other is frozen.

    Penalties and clipping therefore act on each player by itself, at each of its steps. What follows a step (weight
    averaging, say) follows the generator's, and sees both.
    """

    penalty_weight: Tensor

    def __init__(self, card: Card, settings: GAN) -> None:
        super().__init__(card)
        form = settings.form_for(card)
        self.loss, self.packing, self.is_dense = settings.loss, settings.packing, form == "dense"
        self.latent_size = settings.latent_size or LATENT_SIZES[form]
        self.discriminator_steps = settings.discriminator_steps
        self.register_buffer("penalty_weight", torch.tensor(settings.gradient_penalty), persistent=False)
        if self.is_dense:
            self.generator = players.dense_generator(
                self.latent_size, settings.generator_width, settings.generator_layers, card.num_outputs
            )
            self.discriminator = players.dense_discriminator(
                settings.packing * card.num_inputs,
                settings.discriminator_width,
                settings.discriminator_layers,
                settings.discriminator_pieces,
            )
        else:
            channels, *sizes = card.input_shape
            self.generator = players.convolutional_generator(self.latent_size, card.output_shape, settings.channels)
            self.discriminator = players.convolutional_discriminator(
                (settings.packing * channels, *sizes), settings.channels
            )
        if card.value_range is not None:
            self.generator.append(players.Squash(*card.value_range))
        for module in list(self.modules()):
            if isinstance(module, WEIGHTED):
                nn.init.normal_(module.weight, std=settings.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if settings.loss == "hinge":
            for module in list(self.discriminator.modules()):
                if isinstance(module, WEIGHTED):
                    spectral_norm(module)

    # -- the losses

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return what both players lose on ``batch`` as they stand; the total is the sum."""
        real, samples = self.packs(batch), self.sample_packs(batch)
        discriminator = self.discriminator_loss(real, samples.detach())
        generator = self.generator_loss(samples)
        return {"total": discriminator + generator, "discriminator": discriminator, "generator": generator}

    def discriminator_loss(
        self, real: Float[Tensor, "packs *values"], samples: Float[Tensor, "more *values"]
    ) -> Float[Tensor, ""]:
        """Return the loss of the discriminator on packs of examples and of samples."""
        on_real, on_samples = self.discriminator(torch.cat([real, samples])).tensor_split([len(real)])
        if self.loss == "non-saturating":
            return functional.softplus(-on_real).mean() + functional.softplus(on_samples).mean()
        if self.loss == "hinge":
            return functional.relu(1 - on_real).mean() + functional.relu(1 + on_samples).mean()
        # The share asks for a gradient only so that the points between are no leaf, which the counter of operations
        # cannot take a gradient by.
        share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, requires_grad=True)
        between = share * real + (1 - share) * samples[: len(real)]
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        # Of the squares, kept off 0, where a norm has no gradient.
        norm = (slope.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
        distance: Tensor = on_samples.mean() - on_real.mean()
        return distance + self.penalty_weight * (norm - 1).square().mean()

    def generator_loss(self, samples: Float[Tensor, "packs *values"]) -> Float[Tensor, ""]:
        """Return the loss of the generator on packs of its samples."""
        judged: Tensor = self.discriminator(samples)
        return functional.softplus(-judged).mean() if self.loss == "non-saturating" else -judged.mean()

    def packs(self, batch: Batch) -> Float[Tensor, "packs *values"]:
        """Return the examples in packs; a last pack that is not full is filled up from the start of the batch."""
        examples = batch.inputs.flatten(1) if self.is_dense else batch.inputs
        missing = -len(examples) % self.packing
        if missing:
            examples = examples[torch.arange(len(examples) + missing, device=examples.device) % len(examples)]
        return self._packed(examples)

    def sample_packs(self, batch: Batch) -> Float[Tensor, "packs *values"]:
        """Return as many packs of fresh samples as `packs` makes; two at the least, which batch norm needs."""
        count = max(2, -(-len(batch.inputs) // self.packing)) * self.packing
        return self._packed(self.generator(torch.randn(count, self.latent_size, device=batch.inputs.device)))

    def _packed(self, examples: Float[Tensor, "batch values *sizes"]) -> Float[Tensor, "packs more *sizes"]:
        return examples.reshape(-1, self.packing * examples.shape[1], *examples.shape[2:])

    def predict(self, batch: Batch) -> Tensor:
        """Return one sample per example, from torch's generator; the examples are not looked at."""
        noise = torch.randn(len(batch.targets), self.latent_size, device=batch.targets.device)
        samples: Tensor = self.generator(noise)
        return samples.reshape(-1, *self.card.output_shape)

    # -- the steps

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build the discriminator's optimiser and the generator's, in this order."""
        return [self.build_optimizer(player.parameters()) for player in (self.discriminator, self.generator)]

    def optimize(self, batch: Batch) -> dict[str, Tensor]:
        """Take the discriminator's steps and then the generator's; return the losses of the last ones."""
        real = self.packs(batch)
        for _ in range(self.discriminator_steps):
            losing, total = self._move(0, lambda: self.discriminator_loss(real, self.sample_packs(batch)))
        answering, other_total = self._move(1, lambda: self.generator_loss(self.sample_packs(batch)))
        return {"total": total + other_total, "discriminator": losing, "generator": answering}

    def _move(self, player: int, loss: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        """Take one step of one player while the other is frozen; return its loss, bare and with the penalties."""
        self.clear_gradients()
        self.discriminator.requires_grad_(player == 0)
        self.generator.requires_grad_(player == 1)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._autocast):
            bare = loss()
        total = bare
        for penalty in self.penalties:
            total = total + penalty()
        total.backward()
        for hook in self.after_backward:
            hook()
        self._optimizer_steps[player]()
        self.requires_grad_(True)
        return bare.detach(), total.detach()
