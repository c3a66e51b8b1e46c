"""MXNet's symbol JSON: the graph of a model, without MXNet.

    builder = SymbolBuilder()
    data, weight, bias = (builder.variable(name) for name in ("data", "fc0_weight", "fc0_bias"))
    fc0 = builder.operator("FullyConnected", "fc0", [data, weight, bias], {"num_hidden": "1"})
    text = builder.build([fc0]).dumps()          # byte for byte what Symbol.save writes

A node without an operator ("null") is a variable; attribute values are always strings. The
operators of control flow (`_foreach`, `_while_loop`, `_cond`) hold graphs of their own, whose
variables stand for inputs of the node that holds them. Files from before MXNet 1.0 say "attr" or
"param" for "attrs" and leave the version out of an input. Sources: nnvm's src/pass/saveload_json.cc
for the fields, dmlc-core's json.h for the white space.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagelocal_formats.errors import FormatError

VARIABLE = "null"
MXNET_VERSION = 10901

# dmlc's writer keeps a list of numbers on one line up to this length.
_LINE_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One output of a node, as an input of another or as a head of the graph."""

    node: int
    output: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A variable or an operator."""

    op: str
    name: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Entry, ...] = ()
    subgraphs: tuple[Symbol, ...] = ()

    @property
    def is_variable(self) -> bool:
        return self.op == VARIABLE


@dataclass(frozen=True, slots=True)
class Symbol:
    """A graph: nodes in an order in which each stands after its inputs, and its outputs."""

    nodes: tuple[Node, ...]
    heads: tuple[Entry, ...]
    outputs_per_node: tuple[int, ...]
    mxnet_version: int = MXNET_VERSION

    def variables(self) -> tuple[str, ...]:
        """Names of all variables: inputs, parameters and auxiliary states, in the file's order."""
        return tuple(node.name for node in self.nodes if node.is_variable)

    def node(self, name: str) -> Node:
        """A node by its name; raises KeyError."""
        for candidate in self.nodes:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def dumps(self) -> str:
        """The text that MXNet's Symbol.save writes."""
        attrs = {"attrs": f'{{"mxnet_version": ["int", {self.mxnet_version}]}}'}
        return _object(_graph_fields(self, 0) | attrs, 0, several_lines=True)


class SymbolBuilder:
    """Collects nodes; each method returns the entry that later nodes take as input."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._outputs: list[int] = []

    def variable(self, name: str, attrs: Mapping[str, str] | None = None) -> Entry:
        """An input, a parameter or a label."""
        return self._add(Node(VARIABLE, name, attrs or {}), outputs=1)

    def operator(
        self,
        op: str,
        name: str,
        inputs: Sequence[Entry],
        attrs: Mapping[str, str] | None = None,
        outputs: int = 1,
        subgraphs: Sequence[Symbol] = (),
    ) -> Entry:
        """An operator; the entry is its first output."""
        return self._add(Node(op, name, attrs or {}, tuple(inputs), tuple(subgraphs)), outputs)

    def build(self, heads: Sequence[Entry]) -> Symbol:
        """The graph with these outputs."""
        return Symbol(tuple(self._nodes), tuple(heads), tuple(self._outputs))

    def _add(self, node: Node, outputs: int) -> Entry:
        self._nodes.append(node)
        self._outputs.append(outputs)
        return Entry(len(self._nodes) - 1)


def loads(text: str | bytes, source: str = "<bytes>") -> Symbol:
    """Read a symbol file's text; raises FormatError."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error.msg}", source=source, offset=error.pos) from None
    except RecursionError:
        raise FormatError("nested too deeply", source=source, offset=0) from None
    except UnicodeDecodeError as error:
        raise FormatError("not UTF-8 text", source=source, offset=error.start) from None
    try:
        symbol = _symbol(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        problem = f"not an MXNet symbol: {type(error).__name__} {error}"
        raise FormatError(problem, source=source, offset=0) from None
    if not symbol.heads:
        raise FormatError("not an MXNet symbol: it has no outputs", source=source, offset=0)
    return symbol


def _symbol(document: dict[str, Any]) -> Symbol:
    nodes = tuple(_node(raw, index) for index, raw in enumerate(document["nodes"]))
    heads = tuple(_entry(raw, len(nodes)) for raw in document["heads"])
    pointers = document.get("node_row_ptr") or list(range(len(nodes) + 1))
    if len(pointers) != len(nodes) + 1:
        raise ValueError(f"{len(pointers)} row pointers for {len(nodes)} nodes")
    outputs = tuple(int(b) - int(a) for a, b in itertools.pairwise(pointers))
    version = document.get("attrs", {}).get("mxnet_version", ["int", 0])[1]
    return Symbol(nodes, heads, outputs, int(version))


def _node(raw: dict[str, Any], index: int) -> Node:
    attrs = {}
    for key in ("param", "attr", "attrs"):
        attrs.update({str(name): str(value) for name, value in raw.get(key, {}).items()})
    inputs = tuple(_entry(entry, index) for entry in raw.get("inputs", []))
    subgraphs = tuple(_symbol(subgraph) for subgraph in raw.get("subgraphs", []))
    return Node(str(raw["op"]), str(raw["name"]), attrs, inputs, subgraphs)


def _entry(raw: Sequence[int], nodes_before: int) -> Entry:
    node, output = int(raw[0]), int(raw[1])
    if not 0 <= node < nodes_before:
        raise ValueError(f"an input refers to node {node}, which does not stand before it")
    return Entry(node, output, int(raw[2]) if len(raw) > 2 else 0)


def _graph_fields(symbol: Symbol, depth: int) -> dict[str, str]:
    row_pointers = itertools.accumulate(symbol.outputs_per_node, initial=0)
    variables = [index for index, node in enumerate(symbol.nodes) if node.is_variable]
    nodes = [
        _object(_node_fields(node, depth + 3), depth + 2, several_lines=True)
        for node in symbol.nodes
    ]
    return {
        "nodes": _block(nodes, depth + 1),
        "arg_nodes": _numbers([str(index) for index in variables], depth + 1),
        "node_row_ptr": _numbers([str(pointer) for pointer in row_pointers], depth + 1),
        "heads": _entries(symbol.heads, depth + 1),
    }


def _node_fields(node: Node, depth: int) -> Iterator[tuple[str, str]]:
    yield "op", _text(node.op)
    yield "name", _text(node.name)
    if node.attrs:
        pairs = {name: _text(node.attrs[name]) for name in sorted(node.attrs)}
        yield "attrs", _object(pairs, depth, several_lines=len(pairs) > 1)
    yield "inputs", _entries(node.inputs, depth)
    if node.subgraphs:
        graphs = [
            _object(_graph_fields(graph, depth + 1), depth + 1, several_lines=True)
            for graph in node.subgraphs
        ]
        yield "subgraphs", _block(graphs, depth)


def _object(
    fields: Mapping[str, str] | Iterator[tuple[str, str]], depth: int, *, several_lines: bool
) -> str:
    items = fields.items() if isinstance(fields, Mapping) else fields
    members = [f"{_text(name)}: {value}" for name, value in items]
    return _enclosed("{", members, "}", depth, several_lines=several_lines)


def _block(members: Sequence[str], depth: int) -> str:
    return _enclosed("[", members, "]", depth, several_lines=True)


def _numbers(members: Sequence[str], depth: int) -> str:
    return _enclosed("[", members, "]", depth, several_lines=len(members) > _LINE_LENGTH)


def _entries(entries: Sequence[Entry], depth: int) -> str:
    texts = [f"[{entry.node}, {entry.output}, {entry.version}]" for entry in entries]
    return _numbers(texts, depth)


def _enclosed(
    opening: str, members: Sequence[str], closing: str, depth: int, *, several_lines: bool
) -> str:
    """dmlc's layout: ", " between members, and a line of its own for each where asked."""
    if not several_lines or not members:
        return opening + ", ".join(members) + closing
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    return opening + inner + f", {inner}".join(members) + outer + closing


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
