"""ONNX models, from their protocol buffers. Field numbers are those of onnx.proto3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sagelocal_formats import FormatError
from sagelocal_formats.protobuf_wire import Message

from sagelocal.models.errors import ModelError
from sagelocal.models.graphs import Fields, Graph
from sagelocal.models.model import Numbers, Unread
from sagelocal.models.networks import Network, Operator, Shape

_DTYPES = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
}


def read_onnx(path: Path) -> Graph:
    """A model.onnx; raises ModelError."""
    try:
        model = Fields(Message(memoryview(path.read_bytes()), path.name))
        graph = model.message_of(7)
        if graph is None:
            raise ModelError(f"{path.name} is no ONNX model: it has no graph")
        opsets = {each.text(1) or "ai.onnx": each.number(2) for each in model.messages(8)}
        facts = {
            "producer": f"{model.text(2)} {model.text(3)}".strip(),
            "ir_version": model.number(1),
            "opsets": opsets,
            "graph": graph.text(2),
            **{each.text(1): each.text(2) for each in model.messages(14)},
        }
        arrays = {each.text(8): _array(each) for each in graph.messages(5)}
        return Graph(facts, arrays, _network(graph, arrays))
    except FormatError as error:
        raise ModelError(f"{path.name} is no whole ONNX model: {error}") from error


def _array(tensor: Fields) -> Numbers | Unread:
    shape, code = tuple(tensor.numbers(1)), tensor.number(2) or 0
    name = _DTYPES.get(code)
    raw = tensor.raw(9)
    if raw is None and code in (1, 11):
        raw = tensor.joined(4 if code == 1 else 10)
    if raw is None and code in (6, 7) and name:
        raw = np.array(tensor.numbers(5 if code == 6 else 7), np.uint64).astype(name).tobytes()
    count = int(np.prod(shape, dtype=np.float64))
    if name is None or raw is None or len(raw) != count * np.dtype(name).itemsize:
        reason = "it lies in a file of its own" if tensor.messages(13) else "it is not read"
        return Unread(shape, name or f"type {code}", len(raw or b""), reason)
    found: Numbers = np.frombuffer(raw, name).reshape(shape)
    return found


def _network(graph: Fields, arrays: Mapping[str, Numbers | Unread]) -> Network:
    makers: dict[str, str] = {}
    shapes = {each.text(1): _shape(each) for n in (11, 12, 13) for each in graph.messages(n)}
    operators: list[Operator] = []
    names: set[str] = set()
    for place, node in enumerate(graph.messages(1)):
        sources, outputs = node.texts(1), node.texts(2)
        name = node.text(3) or (outputs[0] if outputs else f"node {place}")
        name = name if name not in names else f"{name} ({place})"
        names.add(name)
        operators.append(
            Operator(
                name,
                node.text(4),
                tuple(makers.get(each, each) for each in sources if each and each not in arrays),
                dict(_setting(each) for each in node.messages(5)),
                {each: arrays[each].shape for each in sources if each in arrays},
                shapes.get(outputs[0]) if outputs else None,
            )
        )
        makers |= dict.fromkeys(outputs, name)
    inputs = {each.text(1): _shape(each) for each in graph.messages(11)}
    outputs = [makers.get(each.text(1), each.text(1)) for each in graph.messages(12)]
    given = {name: shape for name, shape in inputs.items() if name not in arrays}
    return Network(given, tuple(operators), tuple(dict.fromkeys(outputs)))


def _shape(value: Fields) -> Shape | None:
    """Of a ValueInfoProto: type, tensor type, shape, dimensions."""
    kind = value.message_of(2)
    tensor = kind.message_of(1) if kind else None
    shape = tensor.message_of(2) if tensor else None
    return None if shape is None else tuple(dim.number(1) for dim in shape.messages(1))


def _setting(attribute: Fields) -> tuple[str, str]:
    name = attribute.text(1)
    if attribute.raw(4) is not None:
        return name, (attribute.raw(4) or b"").decode(errors="replace")
    if attribute.raw(2) is not None:
        return name, f"{np.frombuffer(attribute.raw(2) or b'', '<f4')[0]:g}"
    integers = [n - (1 << 64) if n >> 63 else n for n in attribute.numbers(8)]
    if integers:
        return name, str(integers)
    single = attribute.number(3)
    if single is not None:
        return name, str(single - (1 << 64) if single >> 63 else single)
    return name, "..."
