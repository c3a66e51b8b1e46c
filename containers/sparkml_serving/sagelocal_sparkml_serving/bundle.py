"""MLeap bundles: a pipeline's stages, their attributes and columns.

    bundle.json                        {"name", "format": "json", "version"}
    root/model.json                    {"op": "pipeline", "attributes": {"nodes": [names]}}
    root/NAME.node/model.json          {"op": "string_indexer", "attributes": {...}}
    root/NAME.node/node.json           {"name", "shape": {"inputs": [{"name", "port"}], "outputs"}}

(MLeap documentation, "MLeap Bundles".) An attribute is written in one of these ways:

    {"double": 2.5}, {}                                         a scalar; MLeap leaves out zeros
    {"type": "list", "string": ["a", "b"]}                      a list
    {"type": "tensor", "double": [1, 2], "shape": {...}}        a tensor, since MLeap 0.6
    {"type": "tensor", "base": "double", "value": "<base64>"}   the same as big-endian bytes
    {"type": "double", "value": 2.5}                            before MLeap 0.6
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

INFO_FILE, ROOT = "bundle.json", "root"
MODEL_FILE, NODE_FILE = "model.json", "node.json"
PIPELINE = "pipeline"

_NUMPY = {
    "boolean": "?",
    "byte": ">i1",
    "short": ">i2",
    "int": ">i4",
    "long": ">i8",
    "float": ">f4",
    "double": ">f8",
}
_BASES = (*_NUMPY, "string")
_SHOWN_NAMES = 12

Array = Any
"""A numpy array of float64."""


class BundleError(ValueError):
    """A model folder that is not an MLeap bundle which can be run; says why and what to do."""


@dataclass(frozen=True)
class Stage:
    """One transformer: what it does, its attributes, and its columns as (port, column)."""

    name: str
    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[tuple[str, str]]
    outputs: Sequence[tuple[str, str]]
    folder: Path

    def has(self, *names: str) -> bool:
        """Whether one of the attributes is there."""
        return any(name in self.attributes for name in names)

    def number(self, *names: str, default: float | None = None) -> float:
        """A scalar, by the first of its names that is there; raises BundleError."""
        value = self._get(names, default)
        return math.nan if value is None else float(value)  # JSON has no NaN: it is null

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean; MLeap leaves out what is false."""
        return bool(self.attributes.get(name, default))

    def text(self, *names: str, default: str | None = None) -> str:
        """A text; raises BundleError."""
        return str(self._get(names, default) or "")

    def texts(self, *names: str) -> list[str]:
        """A list of texts; raises BundleError."""
        return [str(each) for each in self._get(names, None) or []]

    def numbers(self, *names: str) -> Array:
        """A list or vector of numbers; raises BundleError."""
        return np.asarray(self._get(names, None) or [], dtype=np.float64).reshape(-1)

    def matrix(self, name: str) -> Array:
        """A matrix, which MLeap writes column by column; raises BundleError."""
        found = self._get((name,), None)
        if not isinstance(found, Tensor) or len(found.shape) != 2:
            raise BundleError(f"{self}: the attribute {name!r} is not a matrix.")
        return np.asarray(found, np.float64).reshape(found.shape, order="F")

    def input(self, port: str = "input") -> str:
        """The column at a port, or the only one; raises BundleError."""
        return _column(self, self.inputs, port)

    def output(self, port: str = "output") -> str:
        """The column at a port, or the only one; raises BundleError."""
        return _column(self, self.outputs, port)

    def maybe_output(self, port: str) -> str | None:
        """The column at a port; None if the pipeline does not keep it."""
        return next((column for found, column in self.outputs if found == port), None)

    def _get(self, names: Sequence[str], default: Any) -> Any:
        for name in names:
            if name in self.attributes:
                return self.attributes[name]
        if default is None:
            raise BundleError(
                f"{self} has no attribute {' or '.join(map(repr, names))}; it has: "
                f"{', '.join(self.attributes) or 'none'}."
            )
        return default

    def __str__(self) -> str:
        return f"The stage {self.name!r} ({self.op})"


class Tensor(list[Any]):
    """Numbers with a shape, in the order of the file."""

    shape: tuple[int, ...] = ()


def read(model_dir: Path) -> list[Stage]:
    """The stages of the bundle in a folder, with inner pipelines opened. Raises BundleError."""
    folder = _bundle_folder(model_dir)
    return _stages(folder / ROOT)


def _bundle_folder(model_dir: Path) -> Path:
    found = sorted(model_dir.rglob(INFO_FILE))
    if len(found) == 1:
        return found[0].parent
    archives = sorted(model_dir.rglob("*.zip"))
    if not found and len(archives) == 1:
        step = (
            f"The bundle is still packed in {archives[0].name}: unpack it, and make model.tar.gz "
            "of bundle.json and root"
        )
    else:
        step = "Save the pipeline with MLeap's serializeToBundle, unpack it and pack it as tar.gz"
    names = sorted(str(path.relative_to(model_dir)) for path in model_dir.rglob("*"))
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    many = f"{len(found)} files {INFO_FILE}" if found else f"no {INFO_FILE}"
    raise BundleError(f"The model archive has {many}; it holds {shown or 'nothing'}. {step}.")


def _stages(folder: Path) -> list[Stage]:
    model = read_json(folder / MODEL_FILE)
    op, attributes = read_model(model, folder)
    if op == PIPELINE:
        names = attributes.get("nodes") or []
        return [stage for name in names for stage in _stages(folder / f"{name}.node")]
    node = read_json(folder / NODE_FILE)
    shape = node.get("shape", {})
    return [
        Stage(
            str(node.get("name", folder.name)),
            op,
            attributes,
            _sockets(shape.get("inputs", [])),
            _sockets(shape.get("outputs", [])),
            folder,
        )
    ]


def read_model(model: Mapping[str, Any], folder: Path) -> tuple[str, dict[str, Any]]:
    """The operation and the attributes of a model.json; raises BundleError."""
    if not isinstance(model.get("op"), str):
        raise BundleError(f"{folder.name}/{MODEL_FILE} names no operation ('op').")
    attributes = model.get("attributes") or {}
    try:
        return model["op"], {name: _value(value) for name, value in attributes.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder.name}/{MODEL_FILE} cannot be read: {error!r}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file of the bundle; raises BundleError."""
    if not path.is_file():
        if path.with_suffix(".pb").is_file():
            raise BundleError(
                f"The bundle is written as protobuf ({path.with_suffix('.pb').name}). Write it "
                "in MLeap's JSON format, which is the default of serializeToBundle."
            )
        raise BundleError(f"The bundle has no {path.parent.name}/{path.name}.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path.parent.name}/{path.name} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path.parent.name}/{path.name} is no JSON object.")
    return document


def _value(written: Any) -> Any:
    if not isinstance(written, dict):
        return written
    kind = written.get("type")
    if kind == "tensor":
        return _tensor(written)
    if kind == "list":
        return next((written[base] for base in _BASES if base in written), _others(written))
    if kind is None:
        return next((written[base] for base in _BASES if base in written), _others(written))
    return _value_of_old(written["value"])


def _others(written: Mapping[str, Any]) -> Any:
    """Lists of tensors and what no stage here reads; 0 for a scalar that was left out."""
    if "tensor" in written:
        found = written["tensor"]
        return [_tensor(each) for each in found] if isinstance(found, list) else _tensor(found)
    rest = {name: value for name, value in written.items() if name != "type"}
    return rest or ([] if written.get("type") == "list" else 0)


def _value_of_old(value: Any) -> Any:
    if isinstance(value, dict) and "values" in value:
        return _with_shape(value["values"], value.get("dimensions"))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_value_of_old(each) for each in value]
    return value


def _tensor(written: Mapping[str, Any]) -> Tensor:
    dimensions = [each["size"] for each in (written.get("shape") or {}).get("dimensions", [])]
    if "value" in written and isinstance(written["value"], str):
        raw = base64.b64decode(written["value"])
        values = np.frombuffer(raw, _NUMPY[written.get("base", "double")]).tolist()
    else:
        values = next((written[base] for base in _BASES if base in written), [])
    return _with_shape(values, dimensions)


def _with_shape(values: Sequence[Any], dimensions: Sequence[int] | None) -> Tensor:
    tensor = Tensor(values)
    shape = tuple(map(int, dimensions or ()))
    # A dimension of -1 is whatever there is.
    tensor.shape = shape if shape and -1 not in shape else (len(tensor),)
    return tensor


def _sockets(written: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(each["port"], each["name"]) for each in written]


def _column(stage: Stage, sockets: Sequence[tuple[str, str]], port: str) -> str:
    for found, column in sockets:
        if found in (port, f"{port}0"):
            return column
    if len(sockets) == 1:
        return sockets[0][1]
    raise BundleError(f"{stage} has no column at {port!r}; it has: {dict(sockets)}.")
