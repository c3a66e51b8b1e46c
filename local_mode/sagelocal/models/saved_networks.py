"""The network of a SavedModel's signature, from TensorFlow's graph.

What a signature does mostly stands in functions that call one another, so calls are followed and
their operators stand in the place of the call. Variables and constants become the parameters of the
operators that take them; what only hands a value on is left out. Field numbers are those of
graph.proto, node_def.proto, attr_value.proto, function.proto, op_def.proto and tensor_shape.proto.

    graph:     nodes named n; an input is "n", "n:1" or "^n" (an order, no value)
    function:  an input is an argument's name or "n:OUTPUT:0"; `ret` says which inputs it gives back
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sagelocal.models.graphs import Fields
from sagelocal.models.networks import Network, Operator, Shape

MOST_OPERATORS, MOST_CALLS_DEEP = 20_000, 40
"""What is larger is not drawn: functions that call functions can be of any size."""

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_PASSES_ON = ("Identity", "IdentityN", "ReadVariableOp", "StopGradient", "EnsureShape", "Snapshot")
_CONSTANT, _INPUT, _INPUT_OR_DEFAULT = "Const", "Placeholder", "PlaceholderWithDefault"


@dataclass(frozen=True)
class _Value:
    """Where a value comes from: an operator or input of the network, or a parameter."""

    name: str
    is_parameter: bool = False
    shape: Shape | None = None


@dataclass(frozen=True)
class _Node:
    """One node of a graph or of a function."""

    name: str
    op: str
    inputs: tuple[tuple[str, int], ...]
    """Names of nodes or arguments, and which of their outputs."""
    settings: Mapping[str, Fields]


@dataclass(frozen=True)
class _Function:
    """A function of the graph's library."""

    arguments: tuple[str, ...]
    nodes: Mapping[str, _Node]
    results: tuple[tuple[str, int], ...]


@dataclass
class _Drawing:
    functions: Mapping[str, Fields]
    inputs: dict[str, Shape | None] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """What a signature calls its inputs, by the name of the node."""


class _TooLarge(Exception):
    pass


def of_signature(graph: Fields, signature: Fields) -> Network | None:
    """The network from a SignatureDef's inputs to its outputs; None for one too large to draw."""
    library = graph.message_of(2)
    functions = library.messages(1) if library else []
    drawing = _Drawing({_name_of(each): each for each in functions})
    drawing.given = {_place(tensor)[0]: name for name, tensor in _tensors(signature, 1)}
    shapes = {name: shape_of(tensor.message_of(3)) for name, tensor in _tensors(signature, 1)}
    nodes = {each.text(1): _node(each) for each in graph.messages(1)}
    wanted = [_place(tensor) for _, tensor in _tensors(signature, 2)]
    try:
        found = _follow(drawing, nodes, {}, wanted, "", 0)
    except _TooLarge:
        return None
    inputs = {name: shapes.get(name) or shape for name, shape in drawing.inputs.items()}
    outputs = tuple(dict.fromkeys(value.name for value in found if not value.is_parameter))
    return Network(inputs, tuple(drawing.operators.values()), outputs)


def shape_of(shape: Fields | None) -> Shape | None:
    """Of a TensorShapeProto, which has -1 for a length that is not known."""
    if shape is None or shape.number(3):
        return None
    lengths = [signed(dim.number(1) or 0) for dim in shape.messages(2)]
    return tuple(None if length < 0 else length for length in lengths)


def signed(number: int) -> int:
    """An int64 from the varint that it was written as."""
    return number - (1 << 64) if number >> 63 else number


# --- reading -----------------------------------------------------------------------------------


def _tensors(signature: Fields, number: int) -> Iterator[tuple[str, Fields]]:
    for entry in signature.messages(number):
        info = entry.message_of(2)
        if info is not None:
            yield entry.text(1), info


def _place(tensor: Fields) -> tuple[str, int]:
    """The node and output of a TensorInfo."""
    return _reference(tensor.text(1))


def _reference(text: str) -> tuple[str, int]:
    name, *rest = text.split(":")
    last = rest[-1] if rest else ""
    return name, int(last) if last.isdigit() and len(last) < 6 else 0


def _name_of(function: Fields) -> str:
    signature = function.message_of(1)
    return signature.text(1) if signature else ""


def _node(node: Fields) -> _Node:
    names = [name for name in node.texts(3) if not name.startswith("^")]
    settings = {entry.text(1): entry.message_of(2) for entry in node.messages(5)}
    return _Node(
        node.text(1),
        node.text(2),
        tuple(_reference(name) for name in names),
        {name: value for name, value in settings.items() if value is not None},
    )


def _function(function: Fields) -> _Function:
    signature = function.message_of(1)
    arguments = [each.text(1) for each in signature.messages(2)] if signature else []
    outputs = [each.text(1) for each in signature.messages(3)] if signature else []
    results = {entry.text(1): entry.text(2) for entry in function.messages(4)}
    return _Function(
        tuple(arguments),
        {each.text(1): _node(each) for each in function.messages(3)},
        tuple(_reference(results.get(name, "")) for name in outputs),
    )


# --- following ---------------------------------------------------------------------------------


def _follow(
    drawing: _Drawing,
    nodes: Mapping[str, _Node],
    arguments: Mapping[str, _Value],
    wanted: Sequence[tuple[str, int]],
    prefix: str,
    depth: int,
) -> list[_Value]:
    """Draw all that `wanted` needs; where the values of `wanted` come from."""
    if depth > MOST_CALLS_DEEP:
        raise _TooLarge
    outcomes: dict[str, list[_Value]] = {name: [value] for name, value in arguments.items()}
    for name in _in_order(nodes, [name for name, _ in wanted], outcomes):
        node = nodes[name]
        sources = [_output(outcomes, *each) for each in node.inputs]
        outcomes[name] = _outcome(drawing, node, sources, prefix, depth)
    return [_output(outcomes, *each) for each in wanted]


def _in_order(
    nodes: Mapping[str, _Node], wanted: Sequence[str], known: Mapping[str, object]
) -> Iterator[str]:
    """The names of all nodes that are needed, each after its inputs."""
    seen = set(known)
    stack = [(name, False) for name in reversed(wanted)]
    while stack:
        name, is_ready = stack.pop()
        if is_ready:
            yield name
        elif name not in seen and name in nodes:
            seen.add(name)
            stack.append((name, True))
            stack += [(each, False) for each, _ in reversed(nodes[name].inputs)]


def _output(outcomes: Mapping[str, Sequence[_Value]], name: str, number: int) -> _Value:
    """One output of a node; an operator with many has one place in the network."""
    values = outcomes.get(name) or [_Value(name or "?")]
    return values[number] if number < len(values) else values[-1]


def _outcome(
    drawing: _Drawing, node: _Node, sources: list[_Value], prefix: str, depth: int
) -> list[_Value]:
    if node.op in _CALLS:
        called = _called(drawing, node)
        if called is not None:
            given = dict(zip(called.arguments, sources, strict=False))
            # A call that nobody named says nothing.
            is_named = node.name.rstrip("_0123456789") not in _CALLS
            inside = f"{prefix}{node.name}/" if is_named else prefix
            return _follow(drawing, called.nodes, given, called.results, inside, depth + 1)
    if node.op in _PASSES_ON and sources:
        return sources
    if node.op in _VARIABLES:
        name = _text(node, "shared_name") or node.name
        return [_Value(name, True, shape_of(_part(node, "shape", 7)))]
    if node.op == _CONSTANT:
        tensor = _part(node, "value", 8)
        shape = shape_of(tensor.message_of(2)) if tensor else None
        return [_Value(f"{prefix}{node.name}", True, shape)]
    if node.op == _INPUT or (node.op == _INPUT_OR_DEFAULT and not depth):
        name = drawing.given.get(node.name, node.name)
        drawing.inputs[name] = shape_of(_part(node, "shape", 7))
        return [_Value(name)]
    return [_draw(drawing, node, sources, prefix)]


def _called(drawing: _Drawing, node: _Node) -> _Function | None:
    """The function that a call names."""
    named = _part(node, "f", 10)
    function = drawing.functions.get(named.text(1)) if named else None
    return None if function is None else _function(function)


def _draw(drawing: _Drawing, node: _Node, sources: Sequence[_Value], prefix: str) -> _Value:
    if len(drawing.operators) >= MOST_OPERATORS:
        raise _TooLarge
    name = f"{prefix}{node.name}"
    if name in drawing.operators or name in drawing.inputs:
        name = f"{name} ({len(drawing.operators)})"
    shapes = _part(node, "_output_shapes", 1)
    first = shapes.messages(7)[:1] if shapes else []
    drawing.operators[name] = Operator(
        name,
        node.op,
        tuple(source.name for source in sources if not source.is_parameter),
        dict(_settings(node)),
        {source.name: source.shape for source in sources if source.is_parameter},
        shape_of(first[0]) if first else None,
    )
    return _Value(name)


# --- settings ----------------------------------------------------------------------------------


def _part(node: _Node, name: str, number: int) -> Fields | None:
    """One kind of value of a setting: 1 list, 7 shape, 8 tensor, 10 function."""
    value = node.settings.get(name)
    return value.message_of(number) if value else None


def _text(node: _Node, name: str) -> str:
    value = node.settings.get(name)
    return (value.raw(2) or b"").decode(errors="replace") if value else ""


def _settings(node: _Node) -> Iterator[tuple[str, str]]:
    """Those that a caller of the operator would write: numbers, words and lists of numbers."""
    for name, value in sorted(node.settings.items()):
        if name.startswith("_"):
            continue
        text, real = value.raw(2), value.raw(4)
        number, truth, row = value.number(3), value.number(5), value.message_of(1)
        if text:
            yield name, text.decode(errors="replace")
        elif number is not None:
            yield name, str(signed(number))
        elif real is not None and len(real) == 4:
            yield name, f"{np.frombuffer(real, '<f4')[0]:g}"
        elif truth is not None:
            yield name, str(bool(truth))
        elif row is not None and row.numbers(3):
            yield name, str([signed(each) for each in row.numbers(3)])
