"""Recurrent layers as every family of them builds and runs them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

RecurrentLayer = nn.RNN | nn.LSTM | nn.GRU


def recurrent_layers(
    cell: type[RecurrentLayer], features: int, hidden_size: int, *, num_layers: int, bidirectional: bool
) -> nn.ModuleList:
    """Return a stack of layers, one module each, that read (batch, steps, features).

    torch's own dropout between layers takes a Python float, in which lanes cannot differ: the families place theirs.
    """
    width = hidden_size * (2 if bidirectional else 1)
    return nn.ModuleList(
        cell(features if index == 0 else width, hidden_size, batch_first=True, bidirectional=bidirectional)
        for index in range(num_layers)
    )


def run_recurrent(
    layer: nn.Module, inputs: Float[Tensor, "batch steps features"]
) -> Float[Tensor, "batch steps states"]:
    """Return the states of every step.

    On a CPU autocast leaves the GRU and the vanilla cell in fp32, and hands the LSTM to kernels for bf16 that many
    processors do not have: there every cell stays in fp32, and so they can be compared.
    """
    if inputs.device.type != "cpu":
        return _states(layer, inputs)
    with torch.autocast("cpu", enabled=False):
        return _states(layer, inputs.float())


def _states(layer: nn.Module, inputs: Float[Tensor, "batch steps features"]) -> Float[Tensor, "batch steps states"]:
    states: Tensor = layer(inputs)[0]
    return states
