"""VAE: the variational autoencoder, with a Gaussian code and a Gaussian likelihood."""

import dataclasses
import math
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from suite.batch import Batch
from suite.families.autoencoder import Coder, Decoder, Encoder
from suite.fields import Bounds, FloatDistribution
from suite.learner import Learner
from suite.task import Card

SAMPLES_AT_ONCE = 64
"""Importance samples decoded at once; it changes memory, and which noise a sample gets, but no distribution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAE(Coder):
    """A code drawn from a Gaussian that the encoder gives, and a prior that it must not stray from.

    Its total loss is the negative ELBO per value, in nats: a constant factor aside the paper's, so that learning rates
    and penalties mean the same for small and large inputs. Predictions are reconstructions from the mean code. Trained
    on corrupted inputs, the encoder sees those and the likelihood is that of the clean ones. The score ``elbo`` is in
    nats per example.

    Reference: Kingma and Welling, 2014, arXiv:1312.6114; Higgins et al., 2017, ICLR (beta); Burda et al., 2016,
    arXiv:1509.00519 (`VAELearner.log_likelihood`).
    Differs from the paper: one variance serves all output values, learned by default (Rybkin et al., 2021,
    arXiv:2006.13202), where the first has one per value from the decoder.
    """

    name: ClassVar[str] = "vae"

    beta: Annotated[float, Bounds(low=0), FloatDistribution(0.1, 10.0, log=True)] = 1.0
    """Weight of the divergence from the prior; 1 is the ELBO."""
    output_std: Annotated[float | None, Bounds(low=0, open_low=True), FloatDistribution(0.01, 1.0, log=True)] = None
    """Standard deviation of the likelihood, in the units of the targets; none learns it."""

    def build(self, card: Card) -> "VAELearner":
        """Return the learner."""
        return VAELearner(card, self)


class VAELearner(Learner):
    """Encoder, reparametrised sample, decoder."""

    beta: Tensor
    log_std: Tensor

    def __init__(self, card: Card, settings: VAE) -> None:
        super().__init__(card)
        self.code_size = settings.code_size
        self.encoder = Encoder(card, settings, 2 * settings.code_size)
        self.decoder = Decoder(card, settings)
        self.register_buffer("beta", torch.tensor(settings.beta), persistent=False)
        if settings.output_std is None:
            self.log_std = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_std", torch.tensor(math.log(settings.output_std)), persistent=False)

    def encode(self, inputs: Float[Tensor, "batch *shape"]) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the codes, each (batch, code)."""
        mean, log_variance = self.encoder(inputs).float().chunk(2, dim=1)
        return mean, log_variance

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the negative log-likelihood, the divergence and their weighted sum, per value and in nats."""
        mean, log_variance = self.encode(batch.inputs)
        codes = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        outputs = self.decoder(codes).float()
        reconstruction = -self.log_density(outputs, batch.targets).mean()
        if batch.other_targets is not None and batch.share is not None:
            other = -self.log_density(outputs, batch.other_targets).mean()
            reconstruction = batch.share * reconstruction + (1 - batch.share) * other
        kl = divergence(mean, log_variance).mean() / self.card.num_outputs
        return {"total": reconstruction + self.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def log_density(self, means: Float[Tensor, "*shape"], values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each value under the likelihood around its mean."""
        squares = ((values - means) * (-self.log_std).exp()).square()
        return -0.5 * (squares + math.log(2 * math.pi)) - self.log_std

    def predict(self, batch: Batch) -> Tensor:
        """Return the reconstructions from the mean codes, without drawing anything."""
        reconstructions: Tensor = self.decoder(self.encode(batch.inputs)[0])
        return reconstructions

    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Return the ELBO of each example in nats, from one draw of its code, whatever beta is."""
        mean, log_variance = self.encode(batch.inputs)
        outputs = self.decoder(mean + torch.randn_like(mean) * (log_variance / 2).exp())
        likelihood = self.log_density(outputs, batch.targets).flatten(1).sum(dim=1)
        return {"elbo": likelihood - divergence(mean, log_variance)}

    @torch.no_grad()
    def sample(self, num: int) -> Tensor:
        """Return ``num`` decoded draws from the prior, without the likelihood's noise: (num, *output_shape)."""
        samples: Tensor = self.decoder(torch.randn(num, self.code_size, device=self.log_std.device))
        return samples

    @torch.no_grad()
    def log_likelihood(self, inputs: Float[Tensor, "batch *shape"], num_samples: int) -> Float[Tensor, " batch"]:
        """Return a lower bound of each input's log-likelihood in nats, tight as ``num_samples`` grows.

        Importance sampling with the encoder as proposal: ``log mean_k p(x, z_k) / q(z_k | x)``. With one sample it is a
        draw of the ELBO. Draws from torch's generator.
        """
        assert num_samples >= 1, "an estimate needs a sample"
        mean, log_variance = self.encode(inputs)
        pieces = []
        for start in range(0, num_samples, SAMPLES_AT_ONCE):
            count = min(SAMPLES_AT_ONCE, num_samples - start)
            noise = torch.randn(count, *mean.shape, dtype=mean.dtype, device=mean.device)
            codes = mean + noise * (log_variance / 2).exp()
            outputs = self.decoder(codes.flatten(0, 1)).unflatten(0, (count, len(inputs)))
            likelihood = self.log_density(outputs, inputs.expand_as(outputs)).flatten(2).sum(dim=2)
            # The constants of prior and proposal cancel.
            prior, proposal = -0.5 * codes.square(), -0.5 * (noise.square() + log_variance)
            pieces.append(likelihood + (prior - proposal).sum(dim=2))
        return torch.cat(pieces).logsumexp(dim=0) - math.log(num_samples)


def divergence(mean: Float[Tensor, "batch code"], log_variance: Float[Tensor, "batch code"]) -> Float[Tensor, " batch"]:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) of each code in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
