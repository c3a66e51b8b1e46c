"""ONNX graphs, one operator after the other.

    graph = GraphBuilder("pca")
    rows = graph.input("data", (None, 3))
    product = graph.add("MatMul", rows, graph.constant("v", components))
    graph.output("projection", product, (None, 2))
    content = graph.model("a PCA")          bytes, checked by onnx itself

A length that is None is that of the rows. Operators are those of opset 17 and ai.onnx.ml 3, which
every runtime since 2022 has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.networks import Shape

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
ML = "ai.onnx.ml"
_ROWS = "N"
# What protocol buffers hold in one message.
_MOST_BYTES = (1 << 31) - (1 << 20)


class GraphBuilder:
    """Collects operators; each method returns the name of what others take as input."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._names: set[str] = set()
        self._size_bytes = 0
        self._uses_ml = False

    def input(self, name: str, shape: Shape) -> str:
        """Float32 numbers of the caller's."""
        self._names.add(name)
        self._inputs.append(_value(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, name: str, value: NDArray[Any] | float) -> str:
        """Numbers of the model; a single one is a float32."""
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self._size_bytes += array.nbytes
        if self._size_bytes > _MOST_BYTES:
            raise NoExport("its numbers take more than the 2 GiB that an ONNX file can hold")
        name = self._unused(name)
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integers(self, name: str, *values: int) -> str:
        """A list of whole numbers: axes, shapes."""
        return self.constant(name, np.array(values, np.int64))

    def add(
        self,
        op: str,
        *inputs: str,
        name: str = "",
        outputs: int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """An operator; the name of its first output, others are NAME:1, NAME:2, ..."""
        self._uses_ml = self._uses_ml or domain == ML
        name = self._unused(name or op.lower())
        names = [name, *(f"{name}:{place}" for place in range(1, outputs))]
        self._nodes.append(
            helper.make_node(op, list(inputs), names, name=name, domain=domain, **attributes)
        )
        return name

    def output(self, name: str, value: str, shape: Shape | None, *, is_label: bool = False) -> None:
        """What a caller gets: float32, or the int64 of labels. Its name is nothing else's."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"{name} (output)"))
        kind = TensorProto.INT64 if is_label else TensorProto.FLOAT
        self._outputs.append(_value(name, kind, shape))

    def model(self, description: str, notes: Mapping[str, str] | None = None) -> bytes:
        """The file's content; raises ModelError for numbers that do not fit one another."""
        constants = list(self._constants.values())
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, constants, description
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if self._uses_ml:
            opsets.append(helper.make_opsetid(ML, ML_OPSET))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        model.producer_name = "sagelocal"
        helper.set_model_props(model, dict(notes or {}))
        try:
            inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
            # Shapes that were not known before follow from the operators.
            self._outputs = list(inferred.graph.output)
            del model.graph.output[:]
            model.graph.output.extend(self._outputs)
            onnx.checker.check_model(model)
        except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
            raise ModelError(f"its numbers do not fit its network: {error}") from error
        content: bytes = model.SerializeToString()
        return content

    def signature(self) -> str:
        """As "data (N x 3) -> projection (N x 2)", once `model` was called."""
        inputs, outputs = (", ".join(map(_said, each)) for each in (self._inputs, self._outputs))
        return f"{inputs} -> {outputs}"

    def _unused(self, name: str) -> str:
        found, number = name, 2
        while found in self._names:
            found, number = f"{name}_{number}", number + 1
        self._names.add(found)
        return found


def _value(name: str, kind: int, shape: Shape | None) -> onnx.ValueInfoProto:
    lengths = None if shape is None else [_ROWS if shape[0] is None else shape[0], *shape[1:]]
    return helper.make_tensor_value_info(name, kind, lengths)


def _said(value: onnx.ValueInfoProto) -> str:
    dims = value.type.tensor_type.shape.dim
    lengths = [dim.dim_param or str(dim.dim_value or "?") for dim in dims]
    return f"{value.name} ({' x '.join(lengths)})"
