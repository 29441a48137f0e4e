"""VAE: the variational autoencoder, with a Gaussian code and a Gaussian likelihood."""

import dataclasses
import math
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from suite.batch import Batch
from suite.families.autoencoder import Coder, Decoder, Encoder
from suite.fields import Bounds, FloatDistribution, IntDistribution
from suite.learner import Learner
from suite.task import Card, Objective

VALUES_AT_ONCE = 2**22
"""Values decoded at once by importance sampling; it changes memory, and which noise a sample gets, but no
distribution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAE(Coder):
    """A code drawn from a Gaussian that the encoder gives, and a prior that it must not stray from.

    Its total loss is the negative ELBO per value, in nats: a constant factor aside the paper's, so that learning rates
    and penalties mean the same for small and large inputs. Predictions are reconstructions from the mean code, or
    decoded draws from the prior where the task is to generate. Trained on corrupted inputs, the encoder sees those and
    the likelihood is that of the clean ones.

    The score ``elbo``, and ``log-likelihood`` at the end of a run, are in nats per example, over values as the model
    sees them. Both are lower bounds of the log-likelihood of the targets; the second is the tighter.

    Reference: Kingma and Welling, 2014, arXiv:1312.6114; Higgins et al., 2017, ICLR (beta); Sønderby et al., 2016,
    arXiv:1602.02282 (warm-up); Burda et al., 2016, arXiv:1509.00519 (`VAELearner.log_likelihood`).
    Differs from the paper: one variance serves all output values, learned by default (Rybkin et al., 2021,
    arXiv:2006.13202), where the first has one per value from the decoder.
    """

    name: ClassVar[str] = "vae"
    objectives: ClassVar[frozenset[Objective]] = frozenset({"squared-error", "generation"})

    beta: Annotated[float, Bounds(low=0), FloatDistribution(0.1, 10.0, log=True)] = 1.0
    """Weight of the divergence from the prior; 1 is the ELBO."""
    beta_warmup_steps: Annotated[int, Bounds(low=0), IntDistribution(0, 5000)] = 0
    """Steps over which that weight grows from nearly 0 to ``beta``, in a straight line; 0 is none."""
    likelihood_samples: Annotated[int, Bounds(low=0)] = 64
    """Importance samples per example for the score ``log-likelihood``; 0 leaves it out."""
    output_std: Annotated[float | None, Bounds(low=0, open_low=True), FloatDistribution(0.01, 1.0, log=True)] = None
    """Standard deviation of the likelihood, in the units of the targets; none learns it."""

    def build(self, card: Card) -> "VAELearner":
        """Return the learner."""
        return VAELearner(card, self)


class VAELearner(Learner):
    """Encoder, reparametrised sample, decoder."""

    beta: Tensor
    warmth: Tensor
    """Share of ``beta`` that counts at this step."""
    log_std: Tensor

    def __init__(self, card: Card, settings: VAE) -> None:
        super().__init__(card)
        self.code_size, self.likelihood_samples = settings.code_size, settings.likelihood_samples
        self.warmup_steps = settings.beta_warmup_steps
        self.encoder = Encoder(card, settings, 2 * settings.code_size)
        self.decoder = Decoder(card, settings)
        self.register_buffer("beta", torch.tensor(settings.beta), persistent=False)
        self.register_buffer("warmth", torch.ones(()), persistent=False)
        if settings.beta_warmup_steps:
            self.before_step.append(self.warm_up)
        if settings.output_std is None:
            self.log_std = nn.Parameter(torch.zeros(()))
        else:
            self.register_buffer("log_std", torch.tensor(math.log(settings.output_std)), persistent=False)

    def warm_up(self, step: int) -> None:
        """Let the divergence count a little more than at the step before."""
        self.warmth.fill_(min(1.0, (step + 1) / self.warmup_steps))

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
        return {"total": reconstruction + self.warmth * self.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def log_density(self, means: Float[Tensor, "*shape"], values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the log-density of each value under the likelihood around its mean."""
        squares = ((values - means) * (-self.log_std).exp()).square()
        return -0.5 * (squares + math.log(2 * math.pi)) - self.log_std

    def predict(self, batch: Batch) -> Tensor:
        """Return reconstructions from the mean codes, or one sample per example where the task is to generate."""
        if self.card.objective == "generation":
            return self.sample(len(batch.targets))
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

    def final_scores(self, batch: Batch) -> dict[str, Tensor]:
        """Return the tighter bound of each target's log-likelihood in nats, unless no samples are to be spent on it."""
        if not self.likelihood_samples:
            return {}
        return {"log-likelihood": self.log_likelihood(batch.inputs, self.likelihood_samples, batch.targets)}

    @torch.no_grad()
    def log_likelihood(
        self,
        inputs: Float[Tensor, "batch *shape"],
        num_samples: int,
        targets: Float[Tensor, "batch *shape"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """Return a lower bound of each target's log-likelihood in nats, tight as ``num_samples`` grows.

        Importance sampling with the encoder as proposal: ``log mean_k p(target, z_k) / q(z_k | input)``. With one
        sample it is a draw of the ELBO. Draws from torch's generator.

        Args:
            inputs: What the encoder sees.
            num_samples: Codes drawn for each example.
            targets: What the likelihood is that of; none is the inputs.
        """
        assert num_samples >= 1, "an estimate needs a sample"
        targets = inputs if targets is None else targets
        mean, log_variance = self.encode(inputs)
        at_once = max(1, VALUES_AT_ONCE // targets.numel())
        pieces = []
        for start in range(0, num_samples, at_once):
            count = min(at_once, num_samples - start)
            noise = torch.randn(count, *mean.shape, dtype=mean.dtype, device=mean.device)
            codes = mean + noise * (log_variance / 2).exp()
            outputs = self.decoder(codes.flatten(0, 1)).unflatten(0, (count, len(targets)))
            likelihood = self.log_density(outputs, targets.expand_as(outputs)).flatten(2).sum(dim=2)
            # The constants of prior and proposal cancel.
            prior, proposal = -0.5 * codes.square(), -0.5 * (noise.square() + log_variance)
            pieces.append(likelihood + (prior - proposal).sum(dim=2))
        return torch.cat(pieces).logsumexp(dim=0) - math.log(num_samples)


def divergence(mean: Float[Tensor, "batch code"], log_variance: Float[Tensor, "batch code"]) -> Float[Tensor, " batch"]:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) of each code in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
