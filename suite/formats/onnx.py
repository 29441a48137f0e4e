"""ONNX: the open graph format that runtimes in many languages read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from suite.format import INPUT, OUTPUT, Exportable, Format
from suite.tracing import dynamic_axes, quiet, refusal, trace

if TYPE_CHECKING:
    import onnx


@dataclasses.dataclass(frozen=True, kw_only=True)
class ONNX(Format):
    """The graph and the weights in one file, in the operators of the ONNX standard; onnxruntime runs it."""

    name: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")

    def encode(self, item: Exportable) -> bytes:
        """Return the file's content."""
        program = trace(item)
        try:
            with quiet():
                made = torch.onnx.export(
                    program,
                    input_names=[INPUT],
                    output_names=[OUTPUT],
                    dynamic_shapes=(dynamic_axes(item),),  # their names: a program knows numbers alone
                    verbose=False,
                )
                assert made is not None, "torch returns a program unless a path is given"
                model: onnx.ModelProto = made.model_proto
                _strip(model)
                for name, text in sorted(item.about.items()):
                    model.metadata_props.add(key=name, value=text)
                model.doc_string = f"{item.about['run_id']}, exported by boltbench"
                return bytes(model.SerializeToString(deterministic=True))
        except Exception as error:  # exporter and protobuf raise many types, which have no common base
            raise refusal(item, error) from error

    def open(self, path: Path, item: Exportable) -> Callable[[Tensor], Tensor]:
        """Return what onnxruntime computes from the file, on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda inputs: torch.from_numpy(session.run([OUTPUT], {INPUT: inputs.numpy()})[0])


def _strip(model: onnx.ModelProto) -> None:
    """Take out what the exporter noted of this machine's source files, and what it calls itself in each node."""
    for holder in (model.graph, *model.functions):
        holder.ClearField("metadata_props")
        for node in holder.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        for value in holder.value_info:
            value.ClearField("metadata_props")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    model.ClearField("metadata_props")
