"""A model as a graph of operators, for formats that hold a program and not only weights."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import torch
from torch.export import Dim, ExportedProgram

from suite.errors import UserError
from suite.format import Exportable


def trace(item: Exportable) -> ExportedProgram:
    """Return the predictor as an exported program whose batch, and length where that differs, may have any size.

    Raises:
        UserError: Predictions are no function of the inputs, or the model does what no graph can hold.
    """
    if item.card.objective == "generation":
        raise UserError(
            "A graph must give the same predictions for the same inputs, but those of a generator "
            f"({item.spec.family.name!r} on {item.card.name!r}) are samples, drawn anew each time. "
            "--format safetensors holds its weights."
        )
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(item.predictor, (item.example,), dynamic_shapes=(dynamic_axes(item),))
    except Exception as error:  # torch's exporter raises many types, which have no common base
        raise refusal(item, error) from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # names folders of this machine
    return program


def dynamic_axes(item: Exportable) -> dict[int, Dim]:
    """Return the axes of the input that may have any size, by their place."""
    axes, family = {0: Dim("batch")}, item.spec.family
    seen = family.seen_card(item.card)
    if not seen.is_length_fixed:
        most = None if seen is item.card else seen.input_shape[-1]
        axes[item.example.ndim - 1] = Dim("length") if most is None else Dim("length", max=most)
    return axes


def refusal(item: Exportable, error: Exception) -> UserError:
    """Return the error for a model that the exporter cannot take, with the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    model = item.spec.compression.text() if item.spec.compression is not None else item.spec.family.name
    return UserError(
        f"A graph must hold every operation of the model for any number of examples, but torch cannot export {model!r} "
        f"on {item.card.name!r}: {type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}. "
        "--format safetensors holds its weights."
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters from telling of their steps; what counts is in their exceptions, and in the check of the file."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
