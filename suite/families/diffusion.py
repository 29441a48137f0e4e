"""Diffusion: examples are noised in many small steps, and a network learns to take the noise off again."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from suite.batch import Batch
from suite.errors import UserError
from suite.family import Family
from suite.fields import Bounds, CategoricalDistribution, FloatDistribution, IntDistribution
from suite.learner import Learner
from suite.networks.denoiser import UNet, VectorDenoiser
from suite.task import Card, Objective

ScheduleName = Literal["cosine", "linear"]
PredictionName = Literal["velocity", "noise"]

LEAST_SIGNAL = 4e-5
"""Share of the signal's variance that is left at the last level, at least: that of the linear schedule with a thousand
levels. From less, noise that is predicted could not be turned into a clean example."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diffusion(Family):
    """A network that takes noise off, from pure noise to a sample in a few steps; a U-Net where inputs have neighbours.

    A level t mixes an example with normal noise, ``signal * example + noise_share * noise``, the squares of both adding
    up to one. The network sees mixture and level; its loss is the squared error of what it predicts.

    Reference: Ho et al., 2020, arXiv:2006.11239; Nichol and Dhariwal, 2021, arXiv:2102.09672 (cosine schedule, fewer
    levels in sampling); Song et al., 2021, arXiv:2010.02502 (DDIM, ``eta``); Salimans and Ho, 2022, arXiv:2202.00512
    (velocity).
    Differs from the paper: averaged weights are the regulariser ``weight_averaging``, and off by default. The cosine
    schedule never lets the signal vanish. Predicted examples are clipped to the range of the data where the task's card
    names one, under every sampler.
    """

    name: ClassVar[str] = "diffusion"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"generation"})

    prediction: Annotated[PredictionName, CategoricalDistribution(("velocity", "noise"))] = "velocity"
    """What the network answers with: the noise, or ``signal * noise - noise_share * example``."""
    schedule: Annotated[ScheduleName, CategoricalDistribution(("cosine", "linear"))] = "cosine"
    """How the signal fades from level to level."""
    num_levels: Annotated[int, Bounds(low=2, high=100_000), IntDistribution(100, 1000, log=True)] = 1000
    """Levels of noise in training."""
    sampling_steps: Annotated[int, Bounds(low=1), IntDistribution(5, 100, log=True)] = 25
    """Steps from noise to a sample, at levels an equal distance apart."""
    eta: Annotated[float, Bounds(0, 1), FloatDistribution(0.0, 1.0)] = 0.0
    """Share of fresh noise in a step: 0 is DDIM, which draws none, and 1 ancestral sampling, as in the first paper."""
    width: Annotated[int, Bounds(low=1), IntDistribution(32, 512, log=True)] = 128
    """Units per layer, where inputs are vectors."""
    num_layers: Annotated[int, Bounds(low=1), IntDistribution(1, 6)] = 3
    """Residual layers, where inputs are vectors."""
    channels: Annotated[
        tuple[int, ...], Bounds(low=1), CategoricalDistribution(((16, 32), (32, 64), (64, 128), (32, 64, 128)))
    ] = (16, 32)
    """Channels of each stage of the U-Net."""
    num_blocks: Annotated[int, Bounds(low=1), IntDistribution(1, 3)] = 1
    """Residual blocks of each stage, on either way."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampling_steps > self.num_levels:
            raise UserError(
                f"`sampling_steps <= num_levels` must hold, but got (sampling_steps={self.sampling_steps}, "
                f"num_levels={self.num_levels})."
            )
        if not self.channels:
            raise UserError("`len(family.channels) >= 1` must hold, but got an empty list.")

    def supports(self, card: Card) -> str | None:
        """Return why the task does not fit."""
        if card.vocabulary is not None:
            return "generates real numbers, and the examples here are tokens"
        if card.input_shape != card.output_shape:
            return "generates samples in the shape of the examples, and the task wants another"
        return None

    def idle(self, card: Card) -> Mapping[str, str]:
        """Return the sizes of the other network."""
        if len(card.input_shape) == 1:
            return dict.fromkeys(("channels", "num_blocks"), "vectors go through dense layers")
        return dict.fromkeys(("width", "num_layers"), "signals and images go through a U-Net")

    def sampling_levels(self) -> list[int]:
        """Return the levels that sampling goes through, from the last one to 0, which is clean."""
        steps = self.sampling_steps
        return [round(self.num_levels * left / steps) for left in range(steps, -1, -1)]

    def build(self, card: Card) -> "DiffusionLearner":
        """Return the learner."""
        return DiffusionLearner(card, self)


def signal_variance(schedule: ScheduleName, num_levels: int) -> Float[Tensor, " levels"]:
    """Return the share of an example's variance that is left at each level; 1 at level 0, which is clean."""
    steps = torch.arange(num_levels + 1, dtype=torch.float64) / num_levels
    if schedule == "cosine":
        # The offset keeps the first levels from adding next to nothing: equation 17 of Nichol and Dhariwal.
        curve = ((steps + 0.008) / 1.008 * math.pi / 2).cos().square()
        variance = curve / curve[0]
    else:
        # The variances of the first paper, made for a thousand levels, and larger where there are fewer.
        added = (1000 / num_levels * torch.linspace(1e-4, 0.02, num_levels, dtype=torch.float64)).clamp(max=0.999)
        variance = torch.cat([torch.ones(1, dtype=torch.float64), (1 - added).cumprod(dim=0)])
    return variance.clamp(min=LEAST_SIGNAL)


class DiffusionLearner(Learner):
    """A denoising network, the tables of its schedule, and a sampler."""

    signal: Tensor
    noise_share: Tensor
    eta: Tensor

    def __init__(self, card: Card, settings: Diffusion) -> None:
        super().__init__(card)
        self.predicts_noise = settings.prediction == "noise"
        self.num_levels, self.levels = settings.num_levels, settings.sampling_levels()
        self.draws_noise = settings.eta > 0
        variance = signal_variance(settings.schedule, settings.num_levels)
        self.register_buffer("signal", variance.sqrt().float(), persistent=False)
        self.register_buffer("noise_share", (1 - variance).sqrt().float(), persistent=False)
        self.register_buffer("eta", torch.tensor(settings.eta), persistent=False)
        self.network: nn.Module
        if len(card.input_shape) == 1:
            self.network = VectorDenoiser(card.num_inputs, settings.width, settings.num_layers)
        else:
            self.network = UNet(card.input_shape, settings.channels, settings.num_blocks)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the squared error of what the network predicts, each example at a level of its own."""
        examples = batch.inputs
        levels = torch.randint(1, self.num_levels + 1, (len(examples),), device=examples.device)
        noise = torch.randn_like(examples)
        noisy, wanted = self.mix(examples, noise, levels)
        return {"total": functional.mse_loss(self.network(noisy, levels / self.num_levels).float(), wanted)}

    def mix(
        self,
        examples: Float[Tensor, "batch *shape"],
        noise: Float[Tensor, "batch *shape"],
        levels: Int[Tensor, " batch"],
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, "batch *shape"]]:
        """Return the noisy examples at ``levels``, and what the network shall predict from them."""
        shape = (-1, *[1] * (examples.ndim - 1))
        signal, share = self.signal[levels].reshape(shape), self.noise_share[levels].reshape(shape)
        wanted = noise if self.predicts_noise else signal * noise - share * examples
        return signal * examples + share * noise, wanted

    def predict(self, batch: Batch) -> Tensor:
        """Return one sample per example, from torch's generator; the examples are not looked at."""
        return self.denoise(torch.randn(len(batch.targets), *self.card.output_shape, device=self.signal.device))

    @torch.no_grad()
    def denoise(self, noise: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Return the samples that pure ``noise`` leads to; a function of it alone where ``eta`` is 0."""
        x = noise
        for level, following in itertools.pairwise(self.levels):
            signal, share = self.signal[level], self.noise_share[level]
            clean = self.clean(x, level)
            # What is left when the clean example is taken out; after clipping it differs from what was predicted.
            predicted = (x - signal * clean) / share
            kept = self.noise_share[following]
            if self.draws_noise:
                ratio = signal / self.signal[following]
                fresh = self.eta * kept / share * (1 - ratio.square()).clamp(min=0).sqrt()
                kept = (kept.square() - fresh.square()).clamp(min=0).sqrt()
                x = self.signal[following] * clean + kept * predicted + fresh * torch.randn_like(x)
            else:
                x = self.signal[following] * clean + kept * predicted
        return x

    def clean(self, noisy: Float[Tensor, "batch *shape"], level: int) -> Float[Tensor, "batch *shape"]:
        """Return the examples that the network takes to be behind ``noisy`` ones at one level."""
        levels = torch.full((len(noisy),), level / self.num_levels, device=noisy.device)
        answer = self.network(noisy, levels).float()
        signal, share = self.signal[level], self.noise_share[level]
        clean: Tensor = (noisy - share * answer) / signal if self.predicts_noise else signal * noisy - share * answer
        if self.card.value_range is not None:
            clean = clean.clamp(*self.card.value_range)
        return clean
