"""The functions of an inference script that leaves some out: tensors in and out.

As in the PyTorch inference toolkit, `input_fn` makes a tensor, of float32 where the body is text
and of the array's own type where it is npy; `predict_fn` calls the model without gradients, in
evaluation mode; `output_fn` writes what came out. A user's own functions replace each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sagelocal_serve import BadRequest, MediaType
from sagelocal_serve.codecs import defaults
from sagelocal_serve.media_type import NPY

from sagelocal_pytorch.models import Model, device

# What PyTorch has no type for (torch.from_numpy), and the type that takes its values.
_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def input_fn(body: bytes | str, content_type: str) -> torch.Tensor:
    """The body as a tensor; raises BadRequest or UnsupportedMediaType."""
    array = np.asarray(defaults.input_fn(body, content_type))
    if array.dtype.kind not in "biuf":
        raise BadRequest(f"The body holds {array.dtype} values; a tensor takes numbers.")
    if MediaType.parse(content_type).canonical != NPY:
        array = array.astype(np.float32)
    array = array.astype(_WIDER.get(array.dtype.name, array.dtype.newbyteorder("=")))
    return torch.from_numpy(np.ascontiguousarray(array)).to(device())


def predict_fn(data: Any, model: Model) -> Any:
    """What the model makes of `data`; raises BadRequest for a shape or type that it refuses."""
    if isinstance(model, torch.nn.Module):
        model.eval()
    try:
        with torch.no_grad():
            return model(data)
    except RuntimeError as error:
        if not isinstance(data, torch.Tensor) or not _is_about_the_input(error):
            raise
        raise BadRequest(
            f"The model takes no tensor of shape {tuple(data.shape)} and type {data.dtype}: "
            f"{_last_line(error)}"
        ) from error


def output_fn(prediction: Any, accept: str) -> tuple[bytes | Iterator[bytes], str]:
    """The prediction as JSON, CSV, JSON Lines or npy; raises NotAcceptable."""
    return defaults.output_fn(plain(prediction), accept)


def plain(value: Any) -> Any:
    """Tensors as arrays, also inside of lists, tuples and mappings."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _is_about_the_input(error: RuntimeError) -> bool:
    """PyTorch says so in words only: its errors have no classes."""
    text = str(error)
    return any(
        words in text
        for words in (
            *(
                "shapes cannot be multiplied",
                "size mismatch",
                "Expected ",
                "expected ",
                "must match",
            ),
            *(
                "should have",
                "same dtype",
                "is invalid for input of size",
                "Dimension out of range",
            ),
            *("Given ", "Sizes of tensors"),
        )
    )


def _last_line(error: RuntimeError) -> str:
    """TorchScript puts its traceback before what happened."""
    return str(error).strip().splitlines()[-1].removeprefix("RuntimeError: ")
