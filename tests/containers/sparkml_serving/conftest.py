"""MLeap bundles as MLeap writes them, and the image's handler on them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sagelocal_serve import Accept, Handler, MediaType, Request
from sagelocal_sparkml_serving.serving import app


def tensor(values: Any, packed: bool = False) -> dict[str, Any]:
    """A tensor attribute, column by column; packed as the newer MLeap's bytes."""
    array = np.asarray(values, dtype=np.float64)
    flat = array.reshape(-1, order="F")
    shape = {"dimensions": [{"size": size, "name": ""} for size in array.shape]}
    if packed:
        raw = base64.b64encode(flat.astype(">f8").tobytes()).decode()
        return {"type": "tensor", "base": "double", "shape": shape, "value": raw}
    return {"type": "tensor", "double": flat.tolist(), "shape": shape}


def attribute(value: Any) -> Any:
    """A value as MLeap's JSON has it, which leaves out zeros and what is false."""
    if isinstance(value, np.ndarray):
        return tensor(value)
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        kind = "string" if value and isinstance(value[0], str) else "double"
        return {"type": "list", kind: value}
    names = {bool: "boolean", int: "long", float: "double", str: "string"}
    return {names[type(value)]: value} if value else {}


@dataclass
class Bundle:
    """A pipeline that is being written into a model folder, and its handler."""

    folder: Path
    names: list[str] = field(default_factory=list)
    handler: Handler | None = None

    def add(
        self,
        op: str,
        inputs: Mapping[str, str] | str,
        outputs: Mapping[str, str] | str,
        **attributes: Any,
    ) -> Path:
        """One more stage; columns by their ports, or just the one. Its folder."""
        name = f"{op}_{len(self.names)}"
        self.names.append(name)
        place = self.folder / "root" / f"{name}.node"
        wires = {
            "inputs": {"input": inputs} if isinstance(inputs, str) else inputs,
            "outputs": {"output": outputs} if isinstance(outputs, str) else outputs,
        }
        shape = {
            side: [{"name": column, "port": port} for port, column in ports.items()]
            for side, ports in wires.items()
        }
        write(place / "node.json", {"name": name, "shape": shape})
        write_model(place, op, attributes)
        return place

    def save(self) -> Bundle:
        """Write what is around the stages."""
        root = self.folder / "root"
        info = {"uid": "7b4eaab4", "name": "pipeline", "format": "json", "version": "0.20.0"}
        write(self.folder / "bundle.json", info)
        write(root / "node.json", {"name": "pipeline", "shape": {"inputs": [], "outputs": []}})
        write_model(root, "pipeline", {"nodes": self.names})
        return self

    def load(self) -> Bundle:
        """As `serve` does."""
        self.handler = app()
        self.handler.prepare(self.folder)
        self.handler.load(self.folder)
        return self

    def ask(
        self, body: Any, content_type: str = "application/json", accept: str = ""
    ) -> tuple[int, str, str]:
        """Status, text and content type of an answer."""
        if self.handler is None:
            self.save().load()
        assert self.handler is not None
        text = body if isinstance(body, str) else json.dumps(body)
        asked = Request(text.encode(), MediaType.parse(content_type), Accept.parse(accept))
        answer = self.handler.handle(asked)
        assert isinstance(answer.body, bytes)
        return answer.status, answer.body.decode(), str(answer.content_type)

    def run(self, row: Sequence[Any], inputs: Mapping[str, str], output: str) -> Any:
        """The answer to one row: `inputs` and `output` are names with types, `f:double:vector`."""
        schema = {
            "input": [column(f"{name}:{kind}") for name, kind in inputs.items()],
            "output": column(output),
        }
        is_list = "struct" in schema["output"]  # an object, no list
        accept = "application/jsonlines"
        status, text, _ = self.ask({"schema": schema, "data": list(row)}, accept=accept)
        if status != 200:
            return status, text
        return json.loads(text)["features"] if is_list else text


def column(text: str) -> dict[str, str]:
    """A column of a schema from `name:type[:struct]`."""
    return dict(zip(("name", "type", "struct"), text.split(":"), strict=False))


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def write_model(folder: Path, op: str, attributes: Mapping[str, Any]) -> None:
    written = {name: attribute(value) for name, value in attributes.items()}
    write(folder / "model.json", {"op": op, "attributes": written})


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle(tmp_path / "model")
