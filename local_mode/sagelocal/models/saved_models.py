"""TensorFlow's SavedModels, from their protocol buffers.

Field numbers are those of saved_model.proto, meta_graph.proto and tensor_shape.proto of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagelocal_formats import FormatError
from sagelocal_formats.protobuf_wire import Message

from sagelocal.models.errors import ModelError
from sagelocal.models.graphs import Fields, Graph
from sagelocal.models.saved_networks import of_signature, shape_of

DEFAULT = "serving_default"
"""The signature that is served where none is named; its network is the one that is drawn."""
_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    19: "float16",
}


def read_saved_model(path: Path) -> Graph:
    """The signatures of a saved_model.pb and the network of one; raises ModelError."""
    try:
        saved = Fields(Message(memoryview(path.read_bytes()), path.name))
        graphs = saved.messages(2)
        if not graphs:
            raise ModelError(f"{path.name} is no SavedModel: it has no graph")
        info = graphs[0].message_of(1)
        definition = graphs[0].message_of(2)
        signatures = dict(_signatures(graphs[0]))
        facts = {
            "tags": info.texts(4) if info else [],
            "tensorflow_version": info.text(5) if info else "",
            "operators": len(definition.messages(1)) if definition else 0,
            "signatures": {name: _described(each) for name, each in signatures.items()},
        }
        chosen = signatures.get(DEFAULT) or next(iter(signatures.values()), None)
        network = of_signature(definition, chosen) if definition and chosen else None
        return Graph(facts, {}, network)
    except FormatError as error:
        raise ModelError(f"{path.name} is no whole SavedModel: {error}") from error


def _signatures(graph: Fields) -> Iterator[tuple[str, Fields]]:
    """Those that a caller may name."""
    for entry in graph.messages(5):
        signature = entry.message_of(2)
        if signature is not None and not entry.text(1).startswith("__"):
            yield entry.text(1), signature


def _described(signature: Fields) -> dict[str, Any]:
    return {
        "method": signature.text(3),
        "inputs": dict(map(_tensor_info, signature.messages(1))),
        "outputs": dict(map(_tensor_info, signature.messages(2))),
    }


def _tensor_info(entry: Fields) -> tuple[str, str]:
    """A name, and its type and shape as text."""
    info = entry.message_of(2)
    if info is None:
        return entry.text(1), "?"
    kind = _TYPES.get(info.number(2) or 0, f"type {info.number(2)}")
    shape = shape_of(info.message_of(3))
    if shape is None:
        return entry.text(1), f"{kind} of any shape"
    return entry.text(1), f"{kind} ({', '.join('?' if n is None else str(n) for n in shape)})"
