"""Normalisation of activations as a choice: batch, layer, group or none, made in one place for every family."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from suite.errors import UserError

NormName = Literal["batch", "layer", "group", "none"]


def normalization(name: NormName, channels: int, *, num_groups: int) -> nn.Module:
    """Return a normalisation of (batch, channels) or (batch, channels, *positions), scaled and shifted per channel.

    ``layer`` is taken over channels and positions together; so it is torch's LayerNorm for vectors, and GroupNorm with
    one group for signals and images.

    Reference: Ioffe and Szegedy, 2015, arXiv:1502.03167 (batch norm); Ba et al., 2016, arXiv:1607.06450 (layer norm);
    Wu and He, 2018, arXiv:1803.08494 (group norm).
    """
    match name:
        case "batch":
            return BatchNorm(channels)
        case "layer":
            return GroupNorm(1, channels)
        case "group":
            return GroupNorm(num_groups, channels)
    return nn.Identity()


def placed_norm(name: NormName, channels: int, *, num_groups: int) -> list[nn.Module]:
    """Return what stands between a layer and its nonlinearity: the norm, or nothing, which costs nothing."""
    return [] if name == "none" else [normalization(name, channels, num_groups=num_groups)]


def check_groups(name: str, channels: Sequence[int], num_groups: int, *, field: str) -> None:
    """Raise `UserError` where group norm cannot divide the channels, which the setting ``field`` gives."""
    if name == "group" and any(count % num_groups for count in channels):
        raise UserError(
            f"Each of family.{field} must be a multiple of family.num_groups under group norm, "
            f"but got {list(channels)} and num_groups={num_groups}."
        )


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over vectors, signals and images alike.

    One value per channel has no variance; torch raises there, as in the last batch of an epoch when one example is left
    for it. Here the running statistics serve.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # torch's name of the argument
        assert input.ndim >= 2, "an axis of channels"

    def forward(self, x: Float[Tensor, "batch channels *sizes"]) -> Float[Tensor, "batch channels *sizes"]:
        """Return ``x`` with mean 0 and variance 1 per channel, scaled and shifted."""
        if self.training and x.numel() == self.num_features:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class GroupNorm(nn.GroupNorm):
    """Group norm that takes a batch of one, too.

    torch refuses one value per group where it is the batch's only example, as the last batch of an epoch may be; what
    comes out is the bias, as in any larger batch.
    """

    def forward(self, input: Float[Tensor, "batch channels *sizes"]) -> Float[Tensor, "batch channels *sizes"]:
        """Return ``input`` with mean 0 and variance 1 per example and group, scaled and shifted per channel."""
        if input.numel() == self.num_groups:
            return input * 0 + self.bias.reshape(1, -1, *[1] * (input.ndim - 2))
        return super().forward(input)


class PerStep(nn.Module):
    """A normalisation of each step's channels by themselves: no step sees another, as causal networks need."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Float[Tensor, "batch channels steps"]) -> Float[Tensor, "batch channels steps"]:
        """Return the normalised steps."""
        steps: Tensor = self.norm(x.transpose(1, 2).flatten(0, 1))
        batch, channels, length = x.shape
        return steps.reshape(batch, length, channels).transpose(1, 2)
