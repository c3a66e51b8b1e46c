"""The functions of an inference script that leaves some out: MXNet's arrays in and out.

`input_fn` gives an NDArray, `predict_fn` feeds a Module in batches of the size it was bound with
and calls a Gluon block once, `output_fn` writes the result. A user's own functions replace each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mxnet as mx
import numpy as np
from sagelocal_serve import BadRequest
from sagelocal_serve.codecs import defaults

from sagelocal_mxnet.models import Model


def input_fn(body: bytes | str, content_type: str) -> Any:
    """The body as an NDArray of float32; raises BadRequest or UnsupportedMediaType."""
    array = np.asarray(defaults.input_fn(body, content_type))
    if array.dtype.kind not in "biuf":
        raise BadRequest(f"The body holds {array.dtype} values; MXNet takes numbers.")
    return mx.nd.array(array.astype(np.float32))


def predict_fn(data: Any, model: Model) -> Any:
    """What the model makes of `data`, as numpy: one array, or a list for several outputs."""
    if isinstance(model, mx.mod.BaseModule):
        return _predict_with_module(data, model)
    return _as_numpy(model(data))


def output_fn(prediction: Any, accept: str) -> tuple[bytes | Iterator[bytes], str]:
    """The prediction as JSON, CSV, JSON Lines or npy; raises NotAcceptable."""
    return defaults.output_fn(_as_numpy(prediction), accept)


def _predict_with_module(data: Any, module: Model) -> Any:
    """All rows through a module, whose batch size is fixed: the last batch is padded."""
    bound = module.data_shapes
    if len(bound) != 1:
        raise BadRequest(
            f"The model has {len(bound)} inputs ({', '.join(entry[0] for entry in bound)}); "
            "a request gives one. Define input_fn and predict_fn in inference.py."
        )
    rows = _rows(data.asnumpy(), tuple(bound[0][1]))
    size = bound[0][1][0]
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    batches = [_batch(part, size, module) for part in parts]
    outputs = [np.concatenate(output) for output in zip(*batches, strict=True)]
    return outputs[0] if len(outputs) == 1 else outputs


def _rows(array: Any, bound_shape: tuple[int, ...]) -> Any:
    """`array` with one row per example, also where it came flat (CSV) or as one example."""
    example = bound_shape[1:]
    width = int(np.prod(example))
    if not array.size or array.size % width:
        raise BadRequest(
            f"The request holds {array.size} values in shape {array.shape}; the model takes "
            f"{width} for each example (shape {example})."
        )
    return array.reshape((-1, *example))


def _batch(rows: Any, size: int, module: Model) -> list[Any]:
    padding = [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1)
    batch = mx.io.DataBatch([mx.nd.array(np.pad(rows, padding))])
    module.forward(batch, is_train=False)
    return [output.asnumpy()[: len(rows)] for output in module.get_outputs()]


def _as_numpy(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_numpy(item) for item in value]
    return value.asnumpy() if isinstance(value, mx.nd.NDArray) else value
