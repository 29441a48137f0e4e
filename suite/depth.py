"""The layers of a model from the input to the output, and which of them train at a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from suite.errors import UserError, shown
from suite.learner import Learner
from suite.transfer import Transfer


@dataclasses.dataclass(frozen=True)
class Layer:
    """What trains, rests and is counted together: a module, with the norm that follows it."""

    name: str
    parameters: Mapping[str, Tensor]


def layers_of(learner: Learner) -> list[Layer]:
    """Return the layers of a model from the input to the output, in the order in which its family lists them.

    A member of a numbered list is one layer, whatever it is made of: a residual or a transformer block, say. A norm
    that stands by itself belongs to the layer before it, and parameters of the model itself to the first layer.
    """
    by_owner: dict[str, dict[str, Tensor]] = {}
    for name, parameter in learner.named_parameters():
        by_owner.setdefault(_owner(name), {})[name] = parameter
    found: dict[str, dict[str, Tensor]] = {}
    own = by_owner.pop("", {})
    for owner, parameters in by_owner.items():
        key = _key(owner)
        is_norm = all(parameter.ndim < 2 for parameter in parameters.values())
        if is_norm and key == owner and key not in found and found:  # not the norm that a block begins with
            key = list(found)[-1]
        found.setdefault(key, {}).update(parameters)
    if own:
        first = next(iter(found), "")
        found = {**found, first: {**own, **found.get(first, {})}}
    return [Layer(name, parameters) for name, parameters in found.items()]


def frozen_names(layers: Sequence[Layer], settings: Transfer) -> set[str]:
    """Return the parameters that never train.

    Raises:
        UserError: A pattern matches nothing, there are too few layers, or nothing is left to train.
    """
    names = [name for layer in layers for name in layer.parameters]
    frozen: set[str] = set()
    for pattern in settings.freeze:
        found = {name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")}
        if not found:
            raise UserError(
                f"Each pattern of transfer.freeze must match a parameter, but {shown(pattern)} matches none. "
                f"The layers are {_listed(layers)}."
            )
        frozen |= found
    if settings.freeze_layers > len(layers):
        raise UserError(
            f"`transfer.freeze_layers < number of layers` must hold, but got {settings.freeze_layers} for "
            f"{len(layers)}: {_listed(layers)}."
        )
    for layer in layers[: settings.freeze_layers]:
        frozen |= set(layer.parameters)
    if settings.train == "head":
        frozen |= {name for layer in layers[:-1] for name in layer.parameters}
    if len(frozen) == len(names):
        raise UserError(
            f"Something must train, but transfer.train={settings.train!r}, transfer.freeze={list(settings.freeze)} and "
            f"transfer.freeze_layers={settings.freeze_layers} freeze every layer: {_listed(layers)}. Freeze fewer."
        )
    return frozen


def apply_depth(learner: Learner, settings: Transfer, *, steps_per_epoch: int) -> dict[str, Any]:
    """Freeze, slow down and thaw the layers of a fresh learner; return what a record says of it.

    Raises:
        UserError: The settings do not go with this model.
    """
    if not settings.is_on:
        return {}
    if type(learner).configure_optimizers is not Learner.configure_optimizers:
        raise UserError(
            "Layers are frozen, or trained at rates of their own, under one optimiser, but this family has several. "
            "Leave the group transfer at its defaults."
        )
    shared = _shared_name(learner)
    if shared is not None:
        raise UserError(
            f"Layers are frozen, or trained at rates of their own, where each has weights of its own, but {shared} is "
            "that of another layer. Leave family.tie_weights off, or the group transfer at its defaults."
        )
    layers = layers_of(learner)
    frozen = frozen_names(layers, settings)
    trained = [layer for layer in layers if not set(layer.parameters) <= frozen]
    for layer in layers:
        for name, parameter in layer.parameters.items():
            parameter.requires_grad_(name not in frozen)
    _rest(learner)
    if settings.layer_decay < 1:
        for distance, layer in enumerate(reversed(layers)):
            learner.lr_factors |= {item: settings.layer_decay**distance for item in layer.parameters.values()}
    if settings.train == "gradual":
        every = settings.thaw_every_steps or steps_per_epoch
        learner.before_step.append(_Thaw(learner, trained, frozen, every))
    return {
        "trained_layers": [layer.name for layer in trained],
        "frozen_layers": [layer.name for layer in layers if layer not in trained],
        "trained_parameters": sum(
            item.numel() for layer in layers for name, item in layer.parameters.items() if name not in frozen
        ),
    }


def frozen_layers(learner: Learner, modules: Collection[str]) -> list[str]:
    """Return those of ``modules``, named as `suite.inheritance` does, whose parameters are all frozen."""
    training: dict[str, bool] = {}
    for name, parameter in learner.named_parameters():
        owner = _owner(name) or name
        training[owner] = training.get(owner, False) or parameter.requires_grad
    return [name for name in modules if training.get(name) is False]


class _Thaw:
    """Trains one more layer after each so many steps, from the output to the input; a function of the step alone.

    Reference: Howard and Ruder, 2018, arXiv:1801.06146 (ULMFiT), where a layer thaws each epoch.
    """

    def __init__(self, learner: Learner, layers: Sequence[Layer], frozen: set[str], every: int) -> None:
        self.learner, self.layers, self.frozen, self.every = learner, layers, frozen, every
        self._num_thawed: int | None = None

    def __call__(self, step: int) -> None:
        num_thawed = min(1 + step // self.every, len(self.layers))
        if num_thawed == self._num_thawed:
            return
        for index, layer in enumerate(reversed(self.layers)):
            for name, parameter in layer.parameters.items():
                parameter.requires_grad_(index < num_thawed and name not in self.frozen)
        self._num_thawed = num_thawed
        _rest(self.learner)


def _rest(learner: Learner) -> None:
    """Hold the running statistics of norms whose parameters do not train; the others follow the data again."""
    learner.resting = [
        module
        for module in learner.modules()
        if isinstance(module, _NormBase) and module.weight is not None and not module.weight.requires_grad
    ]
    learner.train(learner.training)


def _shared_name(learner: Learner) -> str | None:
    """Return the second name of a parameter that has two, or None."""
    known = {name for name, _ in learner.named_parameters()}
    return next((name for name, _ in learner.named_parameters(remove_duplicate=False) if name not in known), None)


def _owner(name: str) -> str:
    """Return the module that a parameter belongs to; that of a parametrised weight is the layer itself."""
    owner, is_parametrised, _ = name.partition(".parametrizations.")
    return owner if is_parametrised else name.rpartition(".")[0]


def _key(owner: str) -> str:
    """Return the module up to its first number."""
    parts = owner.split(".")
    for index, part in enumerate(parts):
        if part.isdecimal():
            return ".".join(parts[: index + 1])
    return owner


def _listed(layers: Sequence[Layer]) -> str:
    return ", ".join(layer.name for layer in layers)
