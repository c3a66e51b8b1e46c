"""Networks as graphs of operators, whatever wrote them down, and the shapes inside MXNet's.

A shape is a tuple of lengths; a length that no file says (mostly the number of rows) is None, and
so is a whole shape that cannot be told. What an operator does to shapes is said in the reference of
MXNet 1.9's symbol API.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from sagelocal_formats.mxnet_symbol import Node, Symbol

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Operator:
    """One operator; `inputs` names operators and inputs of the network, in order."""

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Shape | None] = field(default_factory=dict)
    shape: Shape | None = None
    """Of its first output."""


@dataclass(frozen=True)
class Network:
    """Operators, each after its inputs; `inputs` are what a caller gives."""

    inputs: Mapping[str, Shape | None]
    operators: tuple[Operator, ...]
    outputs: tuple[str, ...]


def shape_text(shape: Shape | None) -> str:
    """As "N x 3 x 224 x 224"; "?" where nothing is known."""
    if shape is None:
        return "?"
    if not shape:
        return "scalar"
    lengths = ["?" if length is None else str(length) for length in shape]
    if shape[0] is None:
        lengths[0] = "N"
    return " x ".join(lengths)


def of_symbol(
    symbol: Symbol,
    parameters: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, Shape] | None = None,
) -> Network:
    """MXNet's graph; `parameters` are the shapes of the arrays that lie beside it.

    `inputs` are the shapes of the data; those that are not there are guessed from the first layer
    where it says them.
    """
    return _Reading(symbol, parameters, dict(inputs or {})).network()


class _Reading:
    def __init__(
        self, symbol: Symbol, parameters: Mapping[str, tuple[int, ...]], inputs: dict[str, Shape]
    ) -> None:
        self._symbol = symbol
        self._parameters = parameters
        self._given = inputs
        self._labels = _labels(symbol, parameters)
        self._shapes: dict[int, Shape | None] = {}
        self._operators: list[Operator] = []
        self._inputs: dict[str, Shape | None] = {}

    def network(self) -> Network:
        for index, node in enumerate(self._symbol.nodes):
            if node.is_variable:
                self._variable(index, node)
            else:
                self._operator(index, node)
        heads = [self._symbol.nodes[head.node].name for head in self._symbol.heads]
        return Network(self._inputs, tuple(self._operators), tuple(dict.fromkeys(heads)))

    def _variable(self, index: int, node: Node) -> None:
        shape: Shape | None = self._parameters.get(node.name)
        if shape is None:
            shape = self._given.get(node.name, _said(node)) or self._guess(index)
            if index not in self._labels:
                self._inputs[node.name] = shape
        self._shapes[index] = shape

    def _guess(self, index: int) -> Shape | None:
        """The shape of rows that go into a layer whose weights say their width."""
        axis = {"FullyConnected": 1, "dot": 0}
        for node in self._symbol.nodes:
            if node.op in axis and len(node.inputs) > 1 and node.inputs[0].node == index:
                weight = self._parameters.get(self._symbol.nodes[node.inputs[1].node].name)
                if weight is not None and len(weight) == 2:
                    return (None, weight[axis[node.op]])
        return None

    def _operator(self, index: int, node: Node) -> None:
        shapes = [self._shapes[each.node] for each in node.inputs]
        found = _outcome(node, shapes)
        self._shapes[index] = found
        sources, parameters = [], {}
        for each in node.inputs:
            source = self._symbol.nodes[each.node]
            if source.is_variable and source.name in self._parameters:
                parameters[source.name] = self._shapes[each.node]
            elif each.node not in self._labels:
                sources.append(source.name)
        settings = {key: value for key, value in node.attrs.items() if not key.startswith("__")}
        self._operators.append(
            Operator(node.name, node.op, tuple(sources), settings, parameters, found)
        )


def _labels(symbol: Symbol, parameters: Mapping[str, tuple[int, ...]]) -> set[int]:
    """Variables that only training gives: second inputs of a loss."""
    losses = [node for node in symbol.nodes if node.op.endswith("Output") and len(node.inputs) > 1]
    used = {each.node for node in symbol.nodes if node not in losses for each in node.inputs}
    return {
        node.inputs[1].node
        for node in losses
        if symbol.nodes[node.inputs[1].node].is_variable
        and symbol.nodes[node.inputs[1].node].name not in parameters
        and node.inputs[1].node not in used
    }


def _said(node: Node) -> Shape | None:
    shape = numbers(node.attrs.get("__shape__", ""))
    # MXNet writes 0 (and -1) for what it does not know.
    return tuple(length if length > 0 else None for length in shape) or None


def numbers(text: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    """An attribute such as "(3, 3)" or "[2]" or "1"; the default where it is none."""
    try:
        value = ast.literal_eval(text.replace("L", ""))
        values = value if isinstance(value, tuple | list) else (value,)
        return tuple(int(each) for each in values if isinstance(each, int | float)) or default
    except (ValueError, SyntaxError, OverflowError, RecursionError, MemoryError):
        return default


def is_true(text: str) -> bool:
    """MXNet writes True, true and 1."""
    return text.lower() in ("true", "1")


# --- what operators do to shapes ---------------------------------------------------------------

_Rule = Callable[[Node, Sequence[Shape | None]], Shape | None]


def _outcome(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    rule = _RULES.get(node.op)
    if rule is None or not shapes:
        return None
    try:
        return rule(node, shapes)
    except (IndexError, ValueError, TypeError, KeyError, ArithmeticError):
        return None  # Attributes that do not fit: the shape stays unknown.


def _same(_node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    return shapes[0]


def _broadcast(_node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    if any(shape is None for shape in shapes):
        return next((shape for shape in shapes if shape is not None), None)
    lengths = [
        [length for length in each if length != 1]
        for each in zip_longest(*(reversed(shape or ()) for shape in shapes), fillvalue=1)
    ]
    return tuple(each[0] if each else 1 for each in reversed(lengths))


def _fully_connected(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    hidden = int(node.attrs["num_hidden"])
    if is_true(node.attrs.get("flatten", "True")):
        return (shapes[0][0] if shapes[0] else None, hidden)
    return (*shapes[0][:-1], hidden) if shapes[0] else None


def _windows(
    node: Node, lengths: Sequence[int | None], kernel: tuple[int, ...], *, full: bool = False
) -> tuple[int | None, ...]:
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    stride = numbers(node.attrs.get("stride", ""), ones)
    pad = numbers(node.attrs.get("pad", ""), zeros)
    dilate = numbers(node.attrs.get("dilate", ""), ones)
    found: list[int | None] = []
    for length, window, step, border, gap in zip(lengths, kernel, stride, pad, dilate, strict=True):
        if length is None:
            found.append(None)
            continue
        span = length + 2 * border - ((window - 1) * gap + 1)
        found.append((math.ceil(span / step) if full else span // step) + 1)
    return tuple(found)


def _convolution(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape, filters = shapes[0], int(node.attrs["num_filter"])
    if shape is None or node.attrs.get("layout", "None") in ("NHWC", "NWC", "NDHWC"):
        return None
    kernel = numbers(node.attrs["kernel"])
    return (shape[0], filters, *_windows(node, shape[2:], kernel))


def _deconvolution(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    kernel = numbers(node.attrs["kernel"])
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    settings = zip(
        shape[2:],
        kernel,
        numbers(node.attrs.get("stride", ""), ones),
        numbers(node.attrs.get("pad", ""), zeros),
        numbers(node.attrs.get("adj", ""), zeros),
        strict=True,
    )
    lengths = [None if n is None else (n - 1) * s - 2 * p + k + a for n, k, s, p, a in settings]
    return (shape[0], int(node.attrs["num_filter"]), *lengths)


def _pooling(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    if is_true(node.attrs.get("global_pool", "False")):
        return (*shape[:2], *(1 for _ in shape[2:]))
    full = node.attrs.get("pooling_convention") == "full"
    return (*shape[:2], *_windows(node, shape[2:], numbers(node.attrs["kernel"]), full=full))


def _flatten(_node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    return None if shape is None else (shape[0], _product(shape[1:]))


def _product(lengths: Sequence[int | None]) -> int | None:
    known = [length for length in lengths if length is not None]
    return math.prod(known) if len(known) == len(lengths) else None


def _reshape(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    wanted, shape = numbers(node.attrs.get("shape", "")), shapes[0]
    if shape is None or any(each < -1 for each in wanted):
        return None
    new = [shape[place] if each == 0 else each for place, each in enumerate(wanted)]
    if -1 in new:
        place = new.index(-1)
        rest: list[int | None] = [*new[:place], *new[place + 1 :]]
        all_of_it, others = _product(shape), _product(rest)
        new[place] = None
        if all_of_it is not None and others:
            new[place] = all_of_it // others
        elif None in shape and rest.count(None) == shape.count(None) == 1:
            mine = _product([each for each in shape if each is not None])
            its = _product([each for each in rest if each is not None])
            new[place] = mine // its if mine and its else None
    return tuple(new)


def _transpose(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    axes = numbers(node.attrs.get("axes", ""), tuple(reversed(range(len(shape)))))
    return tuple(shape[axis] for axis in axes)


def _concat(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    known = [shape for shape in shapes if shape is not None]
    if len(known) != len(shapes):
        return None
    axis = int(node.attrs.get("dim", node.attrs.get("axis", "1")))
    lengths = [shape[axis] for shape in known]
    whole = None if None in lengths else sum(each for each in lengths if each is not None)
    first = list(known[0])
    first[axis] = whole
    return tuple(first)


def _reduced(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    axes = {axis % len(shape) for axis in numbers(node.attrs.get("axis", ""))}
    axes = axes or set(range(len(shape)))
    if is_true(node.attrs.get("keepdims", "False")):
        return tuple(1 if place in axes else length for place, length in enumerate(shape))
    return tuple(length for place, length in enumerate(shape) if place not in axes) or (1,)


def _dot(_node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    first, second = shapes[:2]
    if first is None or second is None:
        return None
    return (*first[:-1], *second[1:])


def _embedding(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    return (*shapes[0], int(node.attrs["output_dim"])) if shapes[0] else None


def _expand(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    if shapes[0] is None:
        return None
    axis = int(node.attrs["axis"])
    place = axis if axis >= 0 else len(shapes[0]) + 1 + axis
    return (*shapes[0][:place], 1, *shapes[0][place:])


def _slice_axis(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    axis = int(node.attrs["axis"]) % len(shape)
    length = shape[axis]
    begin, end = int(node.attrs["begin"]), node.attrs.get("end", "None")
    if length is None:
        return None
    kept = len(range(length)[begin : None if end == "None" else int(end)])
    return (*shape[:axis], kept, *shape[axis + 1 :])


def _split(node: Node, shapes: Sequence[Shape | None]) -> Shape | None:
    shape = shapes[0]
    if shape is None:
        return None
    axis = int(node.attrs.get("axis", "1")) % len(shape)
    length, count = shape[axis], int(node.attrs["num_outputs"])
    part = None if length is None else length // count
    if is_true(node.attrs.get("squeeze_axis", "False")):
        return (*shape[:axis], *shape[axis + 1 :])
    return (*shape[:axis], part, *shape[axis + 1 :])


_SAME = (
    "Activation BatchNorm BatchNorm_v1 LayerNorm InstanceNorm GroupNorm L2Normalization LRN "
    "Dropout LeakyReLU SoftmaxOutput Softmax SoftmaxActivation softmax log_softmax softmin sigmoid "
    "relu tanh softsign exp log sqrt rsqrt square abs negative ceil floor round clip erf Cast cast "
    "identity _copy BlockGrad MakeLoss LinearRegressionOutput LogisticRegressionOutput "
    "MAERegressionOutput _mul_scalar _plus_scalar _minus_scalar _rminus_scalar _div_scalar "
    "_rdiv_scalar _power_scalar _maximum_scalar _minimum_scalar hard_sigmoid zeros_like ones_like"
)
_PAIRS = (
    "elemwise_add elemwise_sub elemwise_mul elemwise_div _Plus _plus _add _Minus _minus _sub _Mul "
    "_mul _Div _div _grad_add broadcast_add broadcast_plus broadcast_sub broadcast_minus "
    "broadcast_mul broadcast_div broadcast_power broadcast_maximum broadcast_minimum _maximum "
    "_minimum add_n ElementWiseSum"
)
_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_PAIRS.split(), _broadcast),
    "FullyConnected": _fully_connected,
    "Convolution": _convolution,
    "Convolution_v1": _convolution,
    "Deconvolution": _deconvolution,
    "Pooling": _pooling,
    "Pooling_v1": _pooling,
    "Flatten": _flatten,
    "flatten": _flatten,
    "Reshape": _reshape,
    "reshape": _reshape,
    "transpose": _transpose,
    "Concat": _concat,
    "concat": _concat,
    "sum": _reduced,
    "mean": _reduced,
    "max": _reduced,
    "min": _reduced,
    "dot": _dot,
    "Embedding": _embedding,
    "expand_dims": _expand,
    "slice_axis": _slice_axis,
    "SliceChannel": _split,
    "split": _split,
}


def attribute_text(value: Any, most: int = 40) -> str:
    """A setting of an operator, short enough to be shown."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
