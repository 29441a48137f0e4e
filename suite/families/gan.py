"""GAN: a generator of samples and a discriminator that tells them from the data, trained against each other."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from suite.batch import Batch
from suite.errors import UserError
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution, When
from suite.layers import Dropout
from suite.learner import Learner
from suite.task import Card, Objective

Loss = Literal["non-saturating", "wasserstein-gp", "hinge"]
BATCH_NORM_MOMENTUM = 0.05
"""Share of a batch in the running statistics that samples are drawn with, as in the code of Lin et al."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GAN(Family):
    """A generator and a discriminator of fully connected layers, by default those of Lin et al. for two dimensions.

    Generator: layers with batch norm and ReLU, from normal noise. Discriminator: maxout layers; it judges packs of
    examples at once, so that it can see a lack of variety. Neither has convolutions: pictures are flat vectors to it.

    Reference: Goodfellow et al., 2014, arXiv:1406.2661; packing and sizes Lin et al., 2018, arXiv:1712.04086;
    ``wasserstein-gp`` Gulrajani et al., 2017, arXiv:1704.00028; ``hinge``, with spectral norm on every layer of the
    discriminator, Miyato et al., 2018, arXiv:1802.05957.
    Differs from the paper: a batch holds examples, where a batch of Lin et al. holds packs (their 100 packs of m are
    ``--data.batch_size`` 100 m here), and packs are cut from the batch, where they draw each place of a pack anew. The
    discriminator moves first, and the generator then answers the moved one; they move both at once. All discriminator
    steps of one step see the same examples and fresh samples, where Gulrajani et al. take a new batch for each.
    """

    name: ClassVar[str] = "gan"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"generation"})

    loss: Annotated[Loss, CategoricalDistribution(("non-saturating", "wasserstein-gp", "hinge"))] = "non-saturating"
    """What the two play for."""
    packing: Annotated[int, Bounds(low=1), IntDistribution(1, 4)] = 1
    """Examples that the discriminator judges together."""
    latent_size: Annotated[int, Bounds(low=1), IntDistribution(2, 128, log=True)] = 2
    """Normal random numbers that a sample is made from."""
    generator_width: Annotated[int, Bounds(low=1), IntDistribution(32, 512, log=True)] = 400
    """Units per hidden layer of the generator."""
    generator_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 4
    """Hidden layers of the generator."""
    discriminator_width: Annotated[int, Bounds(low=1), IntDistribution(32, 512, log=True)] = 200
    """Maxout units per hidden layer of the discriminator."""
    discriminator_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 3
    """Hidden layers of the discriminator."""
    discriminator_pieces: Annotated[int, Bounds(low=1), IntDistribution(2, 8)] = 5
    """Linear pieces of a maxout unit."""
    discriminator_steps: Annotated[int, Bounds(low=1), IntDistribution(1, 5)] = 1
    """Steps of the discriminator for each of the generator."""
    gradient_penalty: Annotated[
        float, Bounds(low=0), FloatDistribution(0.1, 100.0, log=True), When("loss", "wasserstein-gp")
    ] = 10.0
    """Weight of the penalty of wasserstein-gp; the other losses have none."""
    init_std: Annotated[float, Bounds(low=0, open_low=True), FloatDistribution(0.005, 0.1, log=True)] = 0.02
    """Standard deviation of the initial weights; initial biases are 0."""

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.vocabulary is not None:
            return "generates real numbers, and the examples here are tokens"
        if card.input_shape != card.output_shape:
            return "generates samples in the shape of the examples, and the task wants another"
        return None

    def build(self, card: Card) -> "GANLearner":
        """Return the learner."""
        return GANLearner(card, self)


class Maxout(nn.Module):
    """Units that are the largest of several affine maps each.

    Reference: Goodfellow et al., 2013, arXiv:1302.4389.
    """

    def __init__(self, num_inputs: int, width: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_inputs, width * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch units"]:
        """Return the units."""
        largest: Tensor = self.linear(x).unflatten(1, (self.pieces, -1)).amax(dim=1)
        return largest


class GANLearner(Learner):
    """Two players with an optimiser each, under the same settings; one moves while the other is frozen.

    Penalties and clipping therefore act on each player by itself, at each of its steps. What follows a step (weight
    averaging, say) follows the generator's, and sees both; batch norm's running statistics are not averaged. What
    changes examples is refused: the generator would learn the changed ones.
    """

    penalty_weight: Tensor

    def __init__(self, card: Card, settings: GAN) -> None:
        super().__init__(card)
        self.loss, self.packing, self.latent_size = settings.loss, settings.packing, settings.latent_size
        self.discriminator_steps = settings.discriminator_steps
        self.register_buffer("penalty_weight", torch.tensor(settings.gradient_penalty), persistent=False)
        widths = [settings.latent_size, *[settings.generator_width] * settings.generator_layers]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [
                nn.Linear(before, after, bias=False),
                nn.BatchNorm1d(after, momentum=BATCH_NORM_MOMENTUM),
                nn.ReLU(),
            ]
        self.generator = nn.Sequential(*layers, nn.Linear(settings.generator_width, card.num_outputs))
        widths = [
            settings.packing * card.num_inputs,
            *[settings.discriminator_width] * settings.discriminator_layers,
        ]
        layers = []
        for before, after in itertools.pairwise(widths):
            layers += [Maxout(before, after, settings.discriminator_pieces), Dropout()]
        self.discriminator = nn.Sequential(*layers, nn.Linear(settings.discriminator_width, 1))
        for module in list(self.modules()):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=settings.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if settings.loss == "hinge":
            for module in list(self.discriminator.modules()):
                if isinstance(module, nn.Linear):
                    spectral_norm(module)

    def configure(self, **settings: Any) -> None:
        """Set how both players are optimised; refuse what changes examples."""
        if self.transforms:
            raise UserError(
                "A GAN learns to generate what it is shown, so nothing may change the examples on their way, but this "
                "run would. Leave augmentation, cutmix, input_noise and mixup off, and take a task without corruption."
            )
        super().configure(**settings)

    # -- the losses

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return what both players lose on ``batch`` as they stand; the total is the sum."""
        real, samples = self.packs(batch), self.sample_packs(batch)
        discriminator = self.discriminator_loss(real, samples.detach())
        generator = self.generator_loss(samples)
        return {"total": discriminator + generator, "discriminator": discriminator, "generator": generator}

    def discriminator_loss(
        self, real: Float[Tensor, "packs values"], samples: Float[Tensor, "more values"]
    ) -> Float[Tensor, ""]:
        """Return the loss of the discriminator on packs of examples and of samples."""
        on_real, on_samples = self.discriminator(torch.cat([real, samples])).tensor_split([len(real)])
        if self.loss == "non-saturating":
            return functional.softplus(-on_real).mean() + functional.softplus(on_samples).mean()
        if self.loss == "hinge":
            return functional.relu(1 - on_real).mean() + functional.relu(1 + on_samples).mean()
        # The share asks for a gradient only so that the points between are no leaf, which the counter of operations
        # cannot take a gradient by.
        share = torch.rand(len(real), 1, device=real.device, requires_grad=True)
        between = share * real + (1 - share) * samples[: len(real)]
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        # Of the squares, kept off 0, where a norm has no gradient.
        norm = (slope.square().sum(dim=1) + 1e-12).sqrt()
        distance: Tensor = on_samples.mean() - on_real.mean()
        return distance + self.penalty_weight * (norm - 1).square().mean()

    def generator_loss(self, samples: Float[Tensor, "packs values"]) -> Float[Tensor, ""]:
        """Return the loss of the generator on packs of its samples."""
        judged: Tensor = self.discriminator(samples)
        return functional.softplus(-judged).mean() if self.loss == "non-saturating" else -judged.mean()

    def packs(self, batch: Batch) -> Float[Tensor, "packs values"]:
        """Return the examples in packs; a last pack that is not full is filled up from the start of the batch."""
        flat = batch.inputs.flatten(1)
        missing = -len(flat) % self.packing
        if missing:
            flat = flat[torch.arange(len(flat) + missing, device=flat.device) % len(flat)]
        return flat.reshape(-1, self.packing * flat.shape[1])

    def sample_packs(self, batch: Batch) -> Float[Tensor, "packs values"]:
        """Return as many packs of fresh samples as `packs` makes; two at the least, which batch norm needs."""
        count = max(2, -(-len(batch.inputs) // self.packing)) * self.packing
        samples: Tensor = self.generator(torch.randn(count, self.latent_size, device=batch.inputs.device))
        return samples.reshape(-1, self.packing * samples.shape[1])

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
