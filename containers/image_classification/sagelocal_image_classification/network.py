"""The residual networks of the algorithm, as MXNet symbols.

The pre-activation ResNet of "Identity Mappings in Deep Residual Networks" (He et al. 2016), with
the layer names of MXNet's public ResNet models, so that parameters go from one to the other by
name. Depths 18 to 200 have four stages, after a first layer that makes images four times smaller;
20 to 110 have three narrow ones, and see small images as they are. Where four stages would make
nothing of an image, the first layer's pooling is left out; it has no parameters, so that those of
one size of images fit all.

    data -> bn_data -> conv0 [-> bn0 -> relu0 -> pooling0] -> stageI_unitJ ... -> bn1 -> relu1
         -> pool1 -> flatten0 -> fc1 -> softmax

The input is the pixels themselves, 0 to 255, in the order red, green, blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mxnet as mx

Symbol = Any
"""An mxnet.sym.Symbol; mxnet has no type annotations."""

DATA, LABEL, HEAD = "data", "softmax_label", "softmax"
LAST_LAYER = "fc1"

_EPSILON = 2e-5
_MOMENTUM = 0.9
# Images up to this size are not pooled by the first layer of a network of four stages.
_SMALL_PIXELS = 32

_UNITS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
DEEP, SMALL = tuple(_UNITS), (20, 32, 44, 56, 110)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a depth means: units in each stage, and the channels of the first layer and stages."""

    units: tuple[int, ...]
    filters: tuple[int, ...]
    is_bottleneck: bool

    @staticmethod
    def of(num_layers: int) -> Plan:
        """The plan of a depth of DEEP or SMALL."""
        if num_layers in SMALL:
            return Plan(((num_layers - 2) // 6,) * 3, (16, 16, 32, 64), False)
        if num_layers >= 50:
            return Plan(_UNITS[num_layers], (64, 256, 512, 1024, 2048), True)
        return Plan(_UNITS[num_layers], (64, 64, 128, 256, 512), False)


def scores(num_layers: int, num_classes: int, image_shape: tuple[int, int, int]) -> Symbol:
    """The network up to its last layer: a score for each class."""
    plan = Plan.of(num_layers)
    body = _normalised(mx.sym.Variable(DATA))
    if num_layers in SMALL:
        body = _convolution(body, plan.filters[0], 3, 1, "conv0")
    else:
        body = _first_layer(body, plan.filters[0], max(image_shape[1:]) <= _SMALL_PIXELS)
    for stage, (units, filters) in enumerate(zip(plan.units, plan.filters[1:], strict=True), 1):
        for unit in range(1, units + 1):
            stride = 2 if unit == 1 and stage > 1 else 1
            name = f"stage{stage}_unit{unit}"
            body = _unit(body, filters, stride, unit > 1, name, plan.is_bottleneck)
    body = _activated(body, "bn1", "relu1")
    body = mx.sym.Pooling(body, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1")
    return last_layer(mx.sym.Flatten(body, name="flatten0"), num_classes)


def last_layer(features: Symbol, num_classes: int) -> Symbol:
    """A score for each class from features."""
    return mx.sym.FullyConnected(features, num_hidden=num_classes, name=LAST_LAYER)


def head(scores: Symbol, multi_label: bool) -> Symbol:
    """The network as it is saved: probabilities, of all classes together or of each alone."""
    output = mx.sym.LogisticRegressionOutput if multi_label else mx.sym.SoftmaxOutput
    return output(scores, name=HEAD)


def without_head(symbol: Symbol) -> Symbol:
    """The scores of a network that ends with probabilities."""
    children = symbol.get_children()
    return children[0] if children is not None else symbol


def features(scores: Symbol) -> Symbol:
    """What the last fully connected layer of a network looks at."""
    internals = scores.get_internals()
    outputs = [name for name in internals.list_outputs() if name.endswith("_output")]
    return internals[outputs[-2]]


def _normalised(data: Symbol) -> Symbol:
    return mx.sym.BatchNorm(data, fix_gamma=True, eps=_EPSILON, momentum=_MOMENTUM, name="bn_data")


def _first_layer(data: Symbol, filters: int, is_small: bool) -> Symbol:
    body = _activated(_convolution(data, filters, 7, 2, "conv0"), "bn0", "relu0")
    if is_small:
        return body
    return mx.sym.Pooling(
        body, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max", name="pooling0"
    )


def _unit(
    data: Symbol, filters: int, stride: int, same_shape: bool, name: str, is_bottleneck: bool
) -> Symbol:
    """Two or three convolutions, each after a batch normalisation, and a way around them."""
    first = _activated(data, f"{name}_bn1", f"{name}_relu1")
    if is_bottleneck:
        body = _convolution(first, filters // 4, 1, 1, f"{name}_conv1")
        body = _activated(body, f"{name}_bn2", f"{name}_relu2")
        body = _convolution(body, filters // 4, 3, stride, f"{name}_conv2")
        body = _activated(body, f"{name}_bn3", f"{name}_relu3")
        body = _convolution(body, filters, 1, 1, f"{name}_conv3")
    else:
        body = _convolution(first, filters, 3, stride, f"{name}_conv1")
        body = _activated(body, f"{name}_bn2", f"{name}_relu2")
        body = _convolution(body, filters, 3, 1, f"{name}_conv2")
    around = data if same_shape else _convolution(first, filters, 1, stride, f"{name}_sc")
    return body + around


def _activated(data: Symbol, norm_name: str, activation_name: str) -> Symbol:
    data = mx.sym.BatchNorm(data, fix_gamma=False, eps=_EPSILON, momentum=_MOMENTUM, name=norm_name)
    return mx.sym.Activation(data, act_type="relu", name=activation_name)


def _convolution(data: Symbol, filters: int, kernel: int, stride: int, name: str) -> Symbol:
    return mx.sym.Convolution(
        data,
        num_filter=filters,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(kernel // 2, kernel // 2),
        no_bias=True,
        name=name,
    )
