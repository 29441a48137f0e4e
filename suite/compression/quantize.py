"""Quantize: weights as whole numbers of few bits, a scale for each row of them, and the numbers that go in likewise."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from suite.compressor import Compressor
from suite.engine.data import ResidentSplit, epoch_order
from suite.errors import UserError
from suite.extras import require
from suite.fields import Bounds, CategoricalDistribution
from suite.learner import Learner
from suite.probe import LAYERS
from suite.weights import pack, unpack

if TYPE_CHECKING:
    from torchao.quantization import Int8Tensor

Scheme = Literal["int8-weight-only", "int8-dynamic", "int8-static", "int4-weight-only"]

NUMBERS, SCALES, LARGEST = "@numbers", "@scales", "@largest_input"
"""Suffixes of what stands for a weight in the file."""
CALIBRATION_BATCH = 250


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Compressor):
    """Store weights as 8-bit or 4-bit whole numbers with scales, and let linear layers compute in them.

    Linear layers become torchao's: their inputs stay floats (``weight-only``), or are rounded to 8 bits by the largest
    value of each example (``dynamic``) or by that of the training examples seen before (``static``), and the products
    are whole numbers. Convolutions and embeddings are stored in the same numbers and computed in floats, since torchao
    has no such kernel for them on a CPU. Recurrent layers, norms and biases stay floats.

    Reference: Jacob et al., 2018, arXiv:1712.05877; the arithmetic is torchao's (Or et al., 2025, arXiv:2507.16099).
    Differs from the paper: no training goes on with rounded weights.
    """

    name: ClassVar[str] = "quantize"
    is_final: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("torchao",)

    scheme: Annotated[
        Scheme,
        CategoricalDistribution(("int8-weight-only", "int8-dynamic", "int8-static", "int4-weight-only")),
    ] = "int8-weight-only"
    """Bits of the weights, and whether and how the inputs of linear layers are rounded too."""
    group_size: Annotated[int, Bounds(low=2), CategoricalDistribution((32, 64, 128))] = 32
    """Weights of a row that share a scale under int4-weight-only; where it does not divide the row, all of them do."""
    calibration_examples: Annotated[int, Bounds(low=1)] = 1000
    """Training examples whose inputs to each layer set the scales of int8-static."""

    @property
    def trains(self) -> bool:
        """Whether there is a training: never."""
        return False

    def attach(self, learner: Learner, parent: Learner, total_steps: int | None) -> None:
        """Take the parent's weights."""
        require("torchao", extra="compress", purpose="compression.method quantize")
        if not _layers(learner):
            raise UserError(
                "Quantisation takes linear, convolutional and embedding layers, but this model has none. "
                "Compress it by another method."
            )
        learner.load_state_dict(parent.state_dict())

    def pack(self, learner: Learner, train: ResidentSplit, seed: int) -> dict[str, Tensor]:
        """Return the numbers and scales, and the tensors that stay floats."""
        layers = _layers(learner)
        tensors = learner.state_dict()
        ranges = self._calibrate(learner, layers, train, seed) if self.scheme == "int8-static" else {}
        for name, layer in layers.items():
            rows = layer.weight.detach().flatten(1)
            numbers, scales = self._round(rows)
            del tensors[f"{name}.weight"]
            tensors[f"{name}.weight{NUMBERS}"] = _two_per_byte(numbers) if self._bits == 4 else numbers
            tensors[f"{name}.weight{SCALES}"] = scales
            if name in ranges:
                tensors[f"{name}.weight{LARGEST}"] = ranges[name]
        return pack(tensors)

    def load(self, learner: Learner, packed: Mapping[str, Tensor]) -> None:
        """Put layers of whole numbers in place of those of floats."""
        require("torchao", extra="compress", purpose="A quantised model")
        layers = _layers(learner)
        shapes = {name: tensor.shape for name, tensor in learner.state_dict().items()}
        for name, layer in layers.items():
            num_rows, row = layer.weight.flatten(1).shape
            del shapes[f"{name}.weight"]
            whole = (num_rows, row) if self._bits == 8 else ((num_rows * row + 1) // 2,)
            shapes[f"{name}.weight{NUMBERS}"] = torch.Size(whole)
            shapes[f"{name}.weight{SCALES}"] = torch.Size((num_rows, row // self._group(row)))
            largest = f"{name}.weight{LARGEST}"
            if largest in packed:  # one value, with as many axes as the input has, which no shape here tells
                shapes[largest] = packed[largest].shape
        tensors = unpack(packed, shapes)
        kept = learner.state_dict()
        kept.update({name: tensor for name, tensor in tensors.items() if name in kept})
        learner.load_state_dict(kept)
        for name, layer in layers.items():
            numbers, scales = tensors[f"{name}.weight{NUMBERS}"], tensors[f"{name}.weight{SCALES}"]
            if self._bits == 4:
                numbers = _one_per_byte(numbers, layer.weight.flatten(1).shape)
            if isinstance(layer, nn.Linear) and self._bits == 8:
                weight = self._linear(numbers, scales, tensors.get(f"{name}.weight{LARGEST}"))
                layer.weight = nn.Parameter(weight, requires_grad=False)
            else:
                shape = layer.weight.shape
                layer.weight = nn.Parameter(numbers.reshape(shape), requires_grad=False)
                parametrize.register_parametrization(layer, "weight", FromNumbers(scales), unsafe=True)
        learner.requires_grad_(False)

    def note(self, learner: Learner) -> str:
        """Return how many of the parameters are whole numbers."""
        total = sum(parameter.numel() for parameter in learner.parameters())
        whole = sum(
            parameter.numel()
            for parameter in learner.parameters()
            if parameter.dtype == torch.int8 or type(parameter.data) is not Tensor
        )
        return f"{whole / total:.1%} of {total:,} parameters are {self._bits}-bit whole numbers"

    @property
    def _bits(self) -> int:
        return 4 if self.scheme == "int4-weight-only" else 8

    def _group(self, row: int) -> int:
        """Return how many weights of a row share a scale."""
        return self.group_size if self._bits == 4 and row % self.group_size == 0 else row

    def _round(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the whole numbers of ``rows`` (int8) and the scales of their groups, by torchao's rule."""
        _quiet()
        from torchao.quantization import Int8Tensor, IntxUnpackedToInt8Tensor, PerRow

        if self._bits == 8:
            found = Int8Tensor.from_hp(rows, PerRow(), reduce_range=self._reduces_range(rows.device))
        else:
            found = IntxUnpackedToInt8Tensor.from_hp(rows, (1, self._group(rows.shape[1])), torch.int4)  # type: ignore[attr-defined]  # torch 2.13 has it, its stubs lack it
        return found.qdata, found.scale

    def _reduces_range(self, device: torch.device) -> bool:
        """Return whether numbers stay below 64: sums of products overflow on processors without VNNI otherwise."""
        _quiet()
        from torchao.utils import should_reduce_range

        return self.scheme in ("int8-dynamic", "int8-static") and bool(should_reduce_range(device))

    def _linear(self, numbers: Tensor, scales: Tensor, largest: Tensor | None) -> Int8Tensor:
        """Return the weight of a linear layer; its type brings the arithmetic along."""
        from torchao.quantization import Int8Tensor, PerRow, PerTensor
        from torchao.quantization.quantize_.workflows import QuantizeTensorToInt8Kwargs

        inputs = input_scale = None
        reduces_range = self._reduces_range(numbers.device)
        if self.scheme != "int8-weight-only":
            granularity = PerRow() if largest is None else PerTensor()
            inputs = QuantizeTensorToInt8Kwargs(granularity=granularity, reduce_range=reduces_range)
        if largest is not None:
            input_scale = largest.clamp(min=torch.finfo(torch.float32).eps) / (63 if reduces_range else 127)
        return Int8Tensor(
            numbers,
            scales,
            [1, numbers.shape[1]],
            torch.float32,
            zero_point=torch.zeros_like(scales, dtype=torch.int8),
            act_quant_scale=input_scale,
            act_quant_kwargs=inputs,
            reduce_range=reduces_range,
        )

    @torch.no_grad()
    def _calibrate(
        self, learner: Learner, layers: Mapping[str, nn.Module], train: ResidentSplit, seed: int
    ) -> dict[str, Tensor]:
        """Return the largest size of an input to each linear layer over some training examples."""
        largest: dict[str, Tensor] = {}
        handles = [
            layer.register_forward_pre_hook(functools.partial(_note_largest, largest, name))
            for name, layer in layers.items()
            if isinstance(layer, nn.Linear)
        ]
        order = epoch_order(seed, 0, len(train), shuffle=True)[: self.calibration_examples].to(train.targets.device)
        for indices in order.split(CALIBRATION_BATCH):
            learner.predict(train.gather(indices))
        for handle in handles:
            handle.remove()
        return largest


def _note_largest(largest: dict[str, Tensor], name: str, _layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Keep the shape of one value per axis of the input, which is how torchao wants a scale for all of it."""
    found = inputs[0].detach().abs().amax().float().reshape([1] * inputs[0].ndim)
    largest[name] = torch.maximum(largest[name], found) if name in largest else found


class FromNumbers(nn.Module):
    """A weight as floats, from whole numbers and the scale of each group of them."""

    scales: Tensor

    def __init__(self, scales: Tensor) -> None:
        super().__init__()
        self.register_buffer("scales", scales)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the weight, in the shape of ``numbers``."""
        rows, groups = self.scales.shape
        return (numbers.reshape(rows, groups, -1).float() * self.scales.unsqueeze(-1)).reshape(numbers.shape)


def _quiet() -> None:
    """Keep torchao from telling at its import which kernels for GPUs it found no use for."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _layers(learner: Learner) -> dict[str, Any]:
    """Return the layers whose weights become whole numbers, by name; a weight that is computed from others stays."""
    kinds = (*LAYERS, nn.Embedding)
    return {
        name: module
        for name, module in learner.named_modules()
        if isinstance(module, kinds) and type(module.weight) is nn.Parameter
    }


def _two_per_byte(numbers: Tensor) -> Tensor:
    """Return whole numbers in [-8, 7], two to a byte (uint8); an odd one has a byte for itself."""
    flat = (numbers.flatten() + 8).to(torch.uint8)
    flat = torch.cat([flat, flat.new_zeros(len(flat) % 2)])
    return flat[::2] | flat[1::2] << 4


def _one_per_byte(packed: Tensor, shape: torch.Size) -> Tensor:
    """Return what `_two_per_byte` was given (int8)."""
    flat = torch.stack([packed & 15, packed >> 4], dim=1).flatten()[: shape.numel()]
    return flat.to(torch.int8).reshape(shape) - 8
