"""Networks and what MXNet answers: python make_networks.py FOLDER, with MXNet's Python.

A folder for each network: MXNet's files, model-shapes.json, and answers.npz with `rows` and the
answers `0`, `1`, ... of the network in predictions. Two more are Image Classification's own, whose
`rows` are the pixels of pictures, and whose answers are those of what serves the family.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import mxnet as mx
import numpy as np
from sagelocal_image_classification import artifact, network, predictor

FOLDER = Path(sys.argv[1])
IMAGE = (3, 9, 8)
FLAT = (6,)
data = mx.sym.Variable("data")
sym = mx.sym


def split(x, **settings):
    first, second, third = sym.SliceChannel(x, num_outputs=3, **settings)
    return sym.Group([first + third, second * 2])


def embedded(x):
    # Many categories are below the first or beyond the last.
    return sym.Embedding(x * 30, input_dim=40, output_dim=5, name="e")


#: Name: the shape of a row, and the network.
NETWORKS = {
    "convolutions": (
        IMAGE,
        sym.Convolution(
            sym.Convolution(data, kernel=(3, 2), num_filter=4, pad=(1, 0), stride=(2, 1), name="a"),
            kernel=(3, 3),
            dilate=(1, 2),
            num_filter=6,
            num_group=2,
            no_bias=True,
            name="b",
        ),
    ),
    "one axis": ((3, 9), sym.Convolution(data, kernel=(3,), num_filter=4, name="a")),
    "deconvolution": (
        IMAGE,
        sym.Deconvolution(
            data, kernel=(3, 3), stride=(2, 2), pad=(1, 1), adj=(1, 0), num_filter=2, name="a"
        ),
    ),
    "batch norms": (
        IMAGE,
        sym.BatchNorm(
            sym.BatchNorm(data, fix_gamma=True, name="a"), fix_gamma=False, eps=0.01, name="b"
        ),
    ),
    "poolings": (
        IMAGE,
        sym.Group(
            [
                sym.Pooling(data, kernel=(2, 3), stride=(2, 2), pool_type="max", pad=(1, 1)),
                sym.Pooling(data, kernel=(2, 2), stride=(2, 2), pooling_convention="full"),
                sym.Pooling(data, kernel=(3, 3), pool_type="avg", pad=(1, 1)),
                sym.Pooling(
                    data, kernel=(3, 3), pool_type="avg", pad=(1, 1), count_include_pad=False
                ),
                sym.Pooling(data, kernel=(1, 1), global_pool=True, pool_type="avg"),
                sym.Pooling(data, kernel=(1, 1), global_pool=True, pool_type="max"),
            ]
        ),
    ),
    "layers": (
        IMAGE,
        sym.SoftmaxOutput(
            sym.FullyConnected(
                sym.Dropout(
                    sym.Activation(
                        sym.FullyConnected(data, num_hidden=7, name="a"), act_type="relu"
                    )
                ),
                num_hidden=3,
                no_bias=True,
                name="b",
            ),
            name="softmax",
        ),
    ),
    "layers of rows in rows": (
        (4, 6),
        sym.FullyConnected(data, num_hidden=3, flatten=False, name="a"),
    ),
    "losses": (
        FLAT,
        sym.Group(
            [
                sym.LogisticRegressionOutput(data, name="a"),
                sym.LinearRegressionOutput(data, name="b"),
                sym.SoftmaxActivation(data),
                sym.softmax(data, temperature=2.0),
                sym.log_softmax(data),
                sym.softmin(data),
                sym.MakeLoss(data),
            ]
        ),
    ),
    "softmax of channels": (IMAGE, sym.SoftmaxOutput(data, multi_output=True, name="a")),
    "activations": (
        IMAGE,
        sym.Group(
            [sym.Activation(data, act_type=k) for k in ("sigmoid", "tanh", "softrelu", "softsign")]
            + [sym.LeakyReLU(data, act_type=k) for k in ("leaky", "elu", "selu", "gelu")]
            + [sym.LeakyReLU(data, act_type="rrelu")[0]]
            + [sym.LeakyReLU(data, act_type="prelu", name="p")]
        ),
    ),
    "pairs": (
        FLAT,
        sym.Group(
            [
                data + sym.tanh(data),
                data - sym.sigmoid(data),
                data * sym.relu(data),
                data / sym.exp(data),
                sym.broadcast_add(data, sym.mean(data, axis=1, keepdims=True)),
                sym.broadcast_sub(data, sym.max(data, axis=1, keepdims=True)),
                sym.broadcast_maximum(data, sym.min(data, axis=1, keepdims=True)),
                sym.broadcast_mul(data, sym.expand_dims(sym.sum(data, axis=1), axis=1)),
                sym.add_n(data, data, sym.negative(data)),
            ]
        ),
    ),
    "scalars": (
        FLAT,
        sym.Group(
            [
                data + 2,
                data - 3,
                5 - data,
                data * 0.5,
                data / 4,
                1 / (sym.abs(data) + 1),
                sym.square(data) ** 1.5,
                2**data,
                sym.maximum(data, 0.1),
                sym.minimum(data, 0.1),
                sym.clip(data, -0.5, 0.75),
            ]
        ),
    ),
    "functions": (
        FLAT,
        sym.Group(
            [
                sym.sqrt(sym.abs(data)),
                sym.log(sym.abs(data) + 1),
                sym.rsqrt(sym.abs(data) + 1),
                sym.reciprocal(sym.abs(data) + 1),
                sym.ceil(data),
                sym.floor(data),
                sym.erf(data),
                sym.cast(data, dtype="float32"),
                sym.BlockGrad(data),
                sym.identity(data),
            ]
        ),
    ),
    "shapes": (
        IMAGE,
        sym.Group(
            [
                sym.Flatten(data),
                sym.reshape(data, shape=(0, 3, -1)),
                sym.transpose(data, axes=(0, 2, 3, 1)),
                sym.concat(data, data, dim=2),
                sym.squeeze(sym.expand_dims(data, axis=1), axis=1),
                sym.slice_axis(data, axis=2, begin=1, end=-2),
                sym.slice_axis(data, axis=3, begin=2, end=None),
                sym.Pad(data, mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 3, 1)),
                sym.Pad(
                    data, mode="constant", constant_value=2, pad_width=(0, 0, 0, 0, 1, 0, 0, 1)
                ),
                sym.UpSampling(data, scale=2, sample_type="nearest"),
            ]
        ),
    ),
    "norms": (
        IMAGE,
        sym.Group(
            [
                sym.L2Normalization(data, mode="channel"),
                sym.L2Normalization(data, mode="instance"),
                sym.L2Normalization(data, mode="spatial"),
                sym.LRN(data, nsize=3, alpha=0.5),
                sym.InstanceNorm(data, name="i"),
                sym.LayerNorm(data, name="l"),
            ]
        ),
    ),
    "products": (
        (4, 6),
        sym.Group(
            [
                sym.batch_dot(data, data, transpose_b=True),
                sym.dot(sym.mean(data, axis=1), sym.Variable("w", shape=(6, 2))),
            ]
        ),
    ),
    "parts": (FLAT, split(data, axis=1)),
    "places": ((4,), embedded(data)),
}


def parameters(symbol, shape):
    """Numbers for all that the network learns, by name; variances above zero."""
    random = np.random.default_rng(zlib.crc32(symbol.tojson().encode()))
    arguments, _, auxiliary = symbol.infer_shape(data=(2, *shape))
    named = {}
    for kind, names, shapes in (
        ("arg", symbol.list_arguments(), arguments),
        ("aux", symbol.list_auxiliary_states(), auxiliary),
    ):
        for name, of in zip(names, shapes, strict=True):
            if name != "data" and not name.endswith("label"):
                array = random.normal(size=of) / np.sqrt(max(2, np.prod(of[1:])))
                array = np.abs(array) + 0.5 if name.endswith("var") else array
                named[f"{kind}:{name}"] = mx.nd.array(array.astype(np.float32))
    return named


def bound(symbol, named, rows):
    """What the network answers to rows."""
    given = {key.partition(":")[2]: value for key, value in named.items()}
    labels = [name for name in symbol.list_arguments() if name.endswith("label")]
    shapes, _, _ = symbol.infer_shape(data=rows.shape)
    by_name = dict(zip(symbol.list_arguments(), shapes, strict=True))
    given |= {"data": mx.nd.array(rows), **{name: mx.nd.zeros(by_name[name]) for name in labels}}
    arguments = {name: given[name] for name in symbol.list_arguments()}
    states = {name: given[name] for name in symbol.list_auxiliary_states()}
    executor = symbol.bind(mx.cpu(), arguments, grad_req="null", aux_states=states)
    return [each.asnumpy() for each in executor.forward(is_train=False)]


def png(pixels):
    """The bytes of a picture: rows, columns, red green blue."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width, _ = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def written(folder, rows, answers):
    named = {str(place): each for place, each in enumerate(answers)}
    np.savez(folder / "answers.npz", rows=rows, **named)


for name, (shape, symbol) in NETWORKS.items():
    folder = FOLDER / name
    folder.mkdir()
    named = parameters(symbol, shape)
    symbol.save(str(folder / "model-symbol.json"))
    mx.nd.save(str(folder / "model-0000.params"), named)
    shapes = [{"name": "data", "shape": [2, *shape]}]
    (folder / "model-shapes.json").write_text(json.dumps(shapes))
    rows = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
    written(folder, rows, bound(symbol, named, rows))

for layers, multi_label, shape in ((20, False, (3, 12, 12)), (18, True, (3, 40, 40))):
    folder = FOLDER / f"resnet {layers}"
    symbol = network.head(network.scores(layers, 4, shape), multi_label)
    artifact.save_network(symbol, shape, 16, folder)
    named = parameters(symbol, shape)
    pixels = np.random.default_rng(2).integers(0, 255, (3, *shape[1:], 3), np.uint8)
    rows = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    # So that probabilities are neither 0 nor 1.
    (scores,) = bound(network.scores(layers, 4, shape), named, rows)
    for name in ("arg:fc1_weight", "arg:fc1_bias"):
        named[name] /= float(np.abs(scores).max()) / 2
    kinds = [
        {key.partition(":")[2]: value for key, value in named.items() if key.startswith(kind)}
        for kind in ("arg", "aux")
    ]
    artifact.save_parameters(*kinds, 3, folder)
    served = predictor.load(folder)
    answers = [served.answer(png(picture)) for picture in pixels]
    written(folder, rows, [np.array(answers)])
