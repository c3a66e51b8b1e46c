"""What each operator of MXNet is in ONNX.

A function takes one call, adds what computes it and gives the name of its (first) output. Meanings
and defaults of settings are those in the reference of MXNet 1.9's symbol API; of a setting that
ONNX does not know, a function raises NoExport.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sagelocal_formats.mxnet_symbol import Entry, Node

from sagelocal.models.errors import NoExport
from sagelocal.models.exporting.onnx_graph import GraphBuilder
from sagelocal.models.model import Numbers
from sagelocal.models.networks import Shape, is_true, numbers

_END = (1 << 63) - 1
_FLOAT, _INT64 = 1, 7
_FIRST_LAYOUTS = ("None", "NCW", "NCHW", "NCDHW")


@dataclass(frozen=True)
class Call:
    """One node, its inputs with what is known of their shapes, and where their numbers are."""

    graph: GraphBuilder
    node: Node
    entries: Sequence[Entry]
    shapes: Sequence[Shape | None]
    value: Callable[[Entry], str]
    numbers: Callable[[Entry], Numbers]

    def input(self, place: int = 0) -> str:
        """What an operator of ONNX takes for an input."""
        return self.value(self.entries[place])

    def inputs(self) -> list[str]:
        return [self.value(entry) for entry in self.entries]

    def rank(self, place: int = 0) -> int | None:
        """How many axes an input has, where that is known."""
        shape = self.shapes[place]
        return None if shape is None else len(shape)

    def text(self, name: str, default: str = "None") -> str:
        return self.node.attrs.get(name, default)

    def number(self, name: str, default: float) -> float:
        return float(self.node.attrs.get(name, default))

    def integer(self, name: str, default: int) -> int:
        found = self.node.attrs.get(name, "None")
        return default if found == "None" else int(found)

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        return numbers(self.node.attrs.get(name, ""), default)

    def flag(self, name: str, default: bool = False) -> bool:
        return is_true(self.node.attrs.get(name, str(default)))

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The operator that has the node's name."""
        return self.graph.add(op, *inputs, name=self.node.name, **attributes)

    def axes(self, *axes: int) -> str:
        return self.graph.integers(f"{self.node.name}_axes", *axes)

    def constant(self, value: float | Numbers) -> str:
        return self.graph.constant(f"{self.node.name}_constant", value)

    def refused(self, what: str) -> NoExport:
        return NoExport(f"{self.node.op} ({self.node.name}) with {what} has no form in ONNX here")


_Function = Callable[[Call], str]


# --- layers with parameters --------------------------------------------------------------------


def _windows(call: Call, kernel: tuple[int, ...]) -> dict[str, Any]:
    """What convolutions and poolings say of their windows."""
    pad = call.integers("pad", (0,) * len(kernel))
    return {
        "kernel_shape": kernel,
        "strides": call.integers("stride", (1,) * len(kernel)),
        "pads": (*pad, *pad),
    }


def _convolution(call: Call) -> str:
    kernel = call.integers("kernel")
    if call.text("layout") not in _FIRST_LAYOUTS:
        raise call.refused(f"layout={call.text('layout')}")
    settings = {
        **_windows(call, kernel),
        "dilations": call.integers("dilate", (1,) * len(kernel)),
        "group": call.integer("num_group", 1),
    }
    if call.node.op == "Deconvolution":
        if any(call.integers("target_shape")):
            raise call.refused("target_shape")
        settings["output_padding"] = call.integers("adj", (0,) * len(kernel))
        return call.add("ConvTranspose", *call.inputs(), **settings)
    return call.add("Conv", *call.inputs(), **settings)


def _batch_norm(call: Call) -> str:
    if call.integer("axis", 1) != 1:
        raise call.refused(f"axis={call.text('axis')}")
    gamma = call.numbers(call.entries[1])
    if call.flag("fix_gamma", True):
        gamma = np.ones_like(gamma)
    scale = call.graph.constant(f"{call.node.name}_gamma", gamma)
    others = [call.input(place) for place in (2, 3, 4)]
    epsilon = call.number("eps", 1e-3)
    return call.add("BatchNormalization", call.input(), scale, *others, epsilon=epsilon)


def _fully_connected(call: Call) -> str:
    data, weight, *bias = call.inputs()
    if call.flag("flatten", True):
        if call.rank() != 2:
            data = call.graph.add("Flatten", data)
        return call.add("Gemm", data, weight, *bias, transB=1)
    product = (data, call.graph.add("Transpose", weight))
    if not bias:
        return call.add("MatMul", *product)
    return call.add("Add", call.graph.add("MatMul", *product), *bias)


def _embedding(call: Call) -> str:
    # MXNet gives categories below the first and beyond the last the vectors of those.
    last = int(call.node.attrs["input_dim"]) - 1
    within = call.graph.add("Clip", call.input(), call.constant(0.0), call.constant(float(last)))
    places = call.graph.add("Cast", within, to=_INT64)
    return call.add("Gather", call.input(1), places, axis=0)


def _layer_norm(call: Call) -> str:
    axis = call.integer("axis", -1)
    rank = call.rank()
    if axis != -1 and (rank is None or axis != rank - 1):
        raise call.refused(f"axis={axis}")
    epsilon = call.number("eps", 1e-5)
    return call.add("LayerNormalization", *call.inputs(), axis=-1, epsilon=epsilon)


def _instance_norm(call: Call) -> str:
    return call.add("InstanceNormalization", *call.inputs(), epsilon=call.number("eps", 1e-3))


# --- pooling and activations -------------------------------------------------------------------

_POOLS = {"max": "MaxPool", "avg": "AveragePool"}
_ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softrelu": "Softplus",
    "softsign": "Softsign",
}


def _pooling(call: Call) -> str:
    kind, convention = call.text("pool_type", "max"), call.text("pooling_convention", "valid")
    if kind not in _POOLS:
        raise call.refused(f"pool_type={kind}")
    if call.text("layout") not in _FIRST_LAYOUTS:
        raise call.refused(f"layout={call.text('layout')}")
    if call.flag("global_pool"):
        return call.add(f"Global{_POOLS[kind]}", call.input())
    settings = _windows(call, call.integers("kernel"))
    # Of windows beyond the border, MXNet and runtimes of ONNX count differently many numbers.
    if convention == "same" or (convention == "full" and kind == "avg"):
        raise call.refused(f"pool_type={kind} and pooling_convention={convention}")
    settings["ceil_mode"] = int(convention == "full")
    if kind == "avg":
        settings["count_include_pad"] = int(call.flag("count_include_pad", True))
    return call.add(_POOLS[kind], call.input(), **settings)


def _activation(call: Call) -> str:
    return call.add(_ACTIVATIONS[call.text("act_type")], call.input())


def _leaky(call: Call) -> str:
    kind, slope, data = call.text("act_type", "leaky"), call.number("slope", 0.25), call.input()
    if kind == "leaky":
        return call.add("LeakyRelu", data, alpha=slope)
    if kind == "elu":
        return call.add("Elu", data, alpha=slope)
    if kind == "selu":
        return call.add("Selu", data)
    if kind == "rrelu":
        mean = (call.number("lower_bound", 0.125) + call.number("upper_bound", 0.334)) / 2
        return call.add("LeakyRelu", data, alpha=mean)
    if kind == "gelu":
        graph = call.graph
        scaled = graph.add("Mul", data, call.constant(math.sqrt(0.5)))
        halves = graph.add("Add", graph.add("Erf", scaled), call.constant(1.0))
        return call.add("Mul", graph.add("Mul", data, call.constant(0.5)), halves)
    rank = call.rank()
    if kind != "prelu" or rank is None:
        raise call.refused(f"act_type={kind}")
    slopes = call.numbers(call.entries[1]).reshape(-1, *(1,) * (rank - 2))
    return call.add("PRelu", data, call.constant(slopes))


# --- probabilities -----------------------------------------------------------------------------


def _softmax_output(call: Call) -> str:
    if call.flag("multi_output"):
        return call.add("Softmax", call.input(), axis=1)
    if not call.flag("preserve_shape") and call.rank() != 2:
        raise call.refused("an input that is no matrix of rows")
    return call.add("Softmax", call.input(), axis=-1)


def _softmax_activation(call: Call) -> str:
    if call.text("mode", "instance") == "channel":
        return call.add("Softmax", call.input(), axis=1)
    return _softmax_output(call)


def _softmax(call: Call) -> str:
    if call.flag("use_length"):
        raise call.refused("use_length")
    data = call.input()
    temperature = call.text("temperature")
    if temperature != "None":
        data = call.graph.add("Div", data, call.constant(float(temperature)))
    if call.node.op == "softmin":
        data = call.graph.add("Neg", data)
    op = "LogSoftmax" if call.node.op == "log_softmax" else "Softmax"
    return call.add(op, data, axis=call.integer("axis", -1))


# --- numbers one by one ------------------------------------------------------------------------


def _named(op: str) -> _Function:
    """An operator of ONNX with the same inputs and no settings."""

    def function(call: Call) -> str:
        return call.add(op, *call.inputs())

    return function


def _first(op: str) -> _Function:
    """The same of the first input alone: others are for training."""

    def function(call: Call) -> str:
        return call.add(op, call.input())

    return function


def _with_scalar(op: str, *, is_reversed: bool = False) -> _Function:
    def function(call: Call) -> str:
        inputs = (call.input(), call.constant(call.number("scalar", 0)))
        return call.add(op, *(reversed(inputs) if is_reversed else inputs))

    return function


def _dropout(call: Call) -> str:
    if call.text("mode", "training") != "training":
        raise call.refused(f"mode={call.text('mode')}")
    return call.add("Identity", call.input())


def _square(call: Call) -> str:
    return call.add("Mul", call.input(), call.input())


def _rsqrt(call: Call) -> str:
    return call.add("Reciprocal", call.graph.add("Sqrt", call.input()))


def _clip(call: Call) -> str:
    low, high = (call.constant(call.number(name, 0)) for name in ("a_min", "a_max"))
    return call.add("Clip", call.input(), low, high)


def _cast(call: Call) -> str:
    # All numbers here are float32, as in the image, which has no arithmetic in float16.
    if call.text("dtype") not in ("float32", "float16"):
        raise call.refused(f"dtype={call.text('dtype')}")
    return call.add("Cast", call.input(), to=_FLOAT)


def _l2_normalization(call: Call) -> str:
    rank, mode = call.rank(), call.text("mode", "instance")
    if rank is None:
        raise call.refused("an input of unknown shape")
    places = {"instance": range(1, rank), "channel": (1,), "spatial": range(2, rank)}[mode]
    graph, data = call.graph, call.input()
    squares = graph.add("ReduceSum", graph.add("Mul", data, data), call.axes(*places), keepdims=1)
    lengths = graph.add("Sqrt", graph.add("Add", squares, call.constant(call.number("eps", 1e-10))))
    return call.add("Div", data, lengths)


def _lrn(call: Call) -> str:
    return call.add(
        "LRN",
        call.input(),
        size=call.integer("nsize", 5),
        alpha=call.number("alpha", 1e-4),
        beta=call.number("beta", 0.75),
        bias=call.number("knorm", 2),
    )


# --- shapes ------------------------------------------------------------------------------------


def _reshape(call: Call) -> str:
    shape = call.integers("shape")
    if not shape or min(shape) < -1 or call.flag("reverse"):
        raise call.refused(f"shape={call.text('shape')}")
    return call.add("Reshape", call.input(), call.axes(*shape))


def _transpose(call: Call) -> str:
    axes = call.integers("axes")
    return call.add("Transpose", call.input(), **({"perm": axes} if axes else {}))


def _concat(call: Call) -> str:
    return call.add("Concat", *call.inputs(), axis=call.integer("dim", 1))


def _expand_dims(call: Call) -> str:
    return call.add("Unsqueeze", call.input(), call.axes(call.integer("axis", 0)))


def _squeeze(call: Call) -> str:
    axes = call.integers("axis")
    if not axes:
        raise call.refused("no axis")
    return call.add("Squeeze", call.input(), call.axes(*axes))


def _reduced(op: str) -> _Function:
    def function(call: Call) -> str:
        axes, keepdims = call.integers("axis"), int(call.flag("keepdims"))
        if not axes or call.flag("exclude"):
            raise call.refused("no axis" if not axes else "exclude")
        if op == "ReduceSum":
            return call.add(op, call.input(), call.axes(*axes), keepdims=keepdims)
        return call.add(op, call.input(), axes=axes, keepdims=keepdims)

    return function


def _dot(call: Call) -> str:
    is_batch = call.node.op == "batch_dot"
    rank = 3 if is_batch else 2
    if {call.rank(0), call.rank(1)} != {rank}:
        raise call.refused(f"inputs that have no {rank} axes")
    perm = (0, 2, 1) if is_batch else (1, 0)
    inputs = call.inputs()
    for place, name in enumerate(("transpose_a", "transpose_b")):
        if call.flag(name):
            inputs[place] = call.graph.add("Transpose", inputs[place], perm=perm)
    return call.add("MatMul", *inputs)


def _slice_axis(call: Call) -> str:
    end = call.integer("end", _END)
    limits = (call.axes(n) for n in (call.integer("begin", 0), end, call.integer("axis", 0)))
    return call.add("Slice", call.input(), *limits)


def _split(call: Call) -> str:
    if call.flag("squeeze_axis"):
        raise call.refused("squeeze_axis")
    count = call.integer("num_outputs", 1)
    return call.add("Split", call.input(), outputs=count, axis=call.integer("axis", 1))


def _pad(call: Call) -> str:
    widths = call.integers("pad_width")
    pads = call.axes(*widths[::2], *widths[1::2])
    mode = call.text("mode", "constant")
    value = call.constant(call.number("constant_value", 0))
    return call.add("Pad", call.input(), pads, value, mode=mode)


def _up_sampling(call: Call) -> str:
    if call.text("sample_type") != "nearest" or call.integer("num_args", 1) != 1:
        raise call.refused(f"sample_type={call.text('sample_type')}")
    scale = call.integer("scale", 1)
    return call.add(
        "Resize",
        call.input(),
        "",
        call.constant(np.array([1, 1, scale, scale], np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


_PAIRS = {
    "Add": "elemwise_add _Plus _plus _add _grad_add broadcast_add broadcast_plus",
    "Sub": "elemwise_sub _Minus _minus _sub broadcast_sub broadcast_minus",
    "Mul": "elemwise_mul _Mul _mul broadcast_mul",
    "Div": "elemwise_div _Div _div broadcast_div",
    "Pow": "broadcast_power _power _Power",
    "Max": "broadcast_maximum _maximum _Maximum",
    "Min": "broadcast_minimum _minimum _Minimum",
    "Sum": "add_n ElementWiseSum",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Tanh": "tanh",
    "Softsign": "softsign",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Neg": "negative",
    "Ceil": "ceil",
    "Floor": "floor",
    "Erf": "erf",
    "Reciprocal": "reciprocal",
    "Identity": "identity _copy BlockGrad MakeLoss make_loss",
    "Flatten": "Flatten flatten",
}
_LOSSES = {
    "Sigmoid": "LogisticRegressionOutput",
    "Identity": "LinearRegressionOutput MAERegressionOutput",
}
_SCALARS = {"plus": "Add", "minus": "Sub", "mul": "Mul", "div": "Div", "power": "Pow"}

OPERATORS: Mapping[str, _Function] = {
    **{name: _named(op) for op, names in _PAIRS.items() for name in names.split()},
    **{name: _first(op) for op, names in _LOSSES.items() for name in names.split()},
    **{f"_{name}_scalar": _with_scalar(op) for name, op in _SCALARS.items()},
    **{
        f"_r{name}_scalar": _with_scalar(_SCALARS[name], is_reversed=True)
        for name in ("minus", "div", "power")
    },
    "_maximum_scalar": _with_scalar("Max"),
    "_minimum_scalar": _with_scalar("Min"),
    "Convolution": _convolution,
    "Convolution_v1": _convolution,
    "Deconvolution": _convolution,
    "BatchNorm": _batch_norm,
    "BatchNorm_v1": _batch_norm,
    "FullyConnected": _fully_connected,
    "Embedding": _embedding,
    "LayerNorm": _layer_norm,
    "InstanceNorm": _instance_norm,
    "Pooling": _pooling,
    "Pooling_v1": _pooling,
    "Activation": _activation,
    "LeakyReLU": _leaky,
    "SoftmaxOutput": _softmax_output,
    "Softmax": _softmax_output,
    "SoftmaxActivation": _softmax_activation,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "softmin": _softmax,
    "Dropout": _dropout,
    "square": _square,
    "rsqrt": _rsqrt,
    "clip": _clip,
    "Cast": _cast,
    "cast": _cast,
    "L2Normalization": _l2_normalization,
    "LRN": _lrn,
    "Reshape": _reshape,
    "reshape": _reshape,
    "transpose": _transpose,
    "Concat": _concat,
    "concat": _concat,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "sum": _reduced("ReduceSum"),
    "mean": _reduced("ReduceMean"),
    "max": _reduced("ReduceMax"),
    "min": _reduced("ReduceMin"),
    "dot": _dot,
    "batch_dot": _dot,
    "slice_axis": _slice_axis,
    "SliceChannel": _split,
    "split": _split,
    "Pad": _pad,
    "pad": _pad,
    "UpSampling": _up_sampling,
}
