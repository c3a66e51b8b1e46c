"""A network that is loaded, and what it says of one image.

Images are resized to what the network was trained on, without regard to their proportions and
without cutting (developer guide, "Input/Output Interface for the Image Classification
Algorithm").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray
from sagelocal_serve.errors import BadRequest, ModelError

from sagelocal_image_classification import artifact, pictures
from sagelocal_image_classification.artifact import SHAPES_FILE, ArtifactError
from sagelocal_image_classification.pictures import NoPicture

#: An image of a few bytes may say that it is any size: this many take 200 MB.
MAX_PIXELS = 1 << 26

_GREY, _COLOUR = 0, 1


@dataclass(frozen=True, slots=True)
class Predictor:
    """A network bound to one image at a time."""

    module: Any
    image_shape: tuple[int, int, int]

    def answer(self, image: bytes) -> list[float]:
        """The probability of each class; raises BadRequest for what is no image."""
        pixels = self._pixels(image)
        batch = mx.nd.expand_dims(mx.nd.transpose(pixels, (2, 0, 1)), 0).astype(np.float32)
        self.module.forward(mx.io.DataBatch([batch]), is_train=False)
        found: NDArray[np.float32] = self.module.get_outputs()[0].asnumpy()
        return [float(value) for value in found.reshape(-1)]

    def _pixels(self, image: bytes) -> Any:
        """Rows, columns and channels of the image, in the network's size."""
        channels, height, width = self.image_shape
        _check(image)
        try:
            decoded = mx.image.imdecode(image, flag=_COLOUR if channels == 3 else _GREY)
            pixels = mx.image.imresize(decoded, width, height)
            pixels.wait_to_read()
        except (mx.MXNetError, ValueError) as error:
            raise BadRequest(
                f"The image of {len(image)} bytes cannot be decoded: it is broken, or of a format "
                "other than JPEG and PNG."
            ) from error
        return pixels


def _check(image: bytes) -> None:
    try:
        size = pictures.size_of(image)
    except NoPicture as error:
        raise BadRequest(f"The body is no image: {error}. Send a JPEG or PNG file.") from error
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise BadRequest(f"The image has more than {MAX_PIXELS} pixels. Make it smaller.")


def load(model_dir: Path) -> Predictor:
    """The network of a model folder; raises ModelError."""
    try:
        checkpoint = artifact.load(model_dir)
    except ArtifactError as error:
        raise ModelError(f"The model cannot be served: {error}") from error
    if checkpoint.image_shape is None:
        raise ModelError(
            f"The model has no {SHAPES_FILE}, which says how large images are: add it, such as "
            '[{"name": "data", "shape": [1, 3, 224, 224]}]'
        )
    module = mx.mod.Module(
        checkpoint.symbol, data_names=[checkpoint.input_name], label_names=None, context=mx.cpu()
    )
    try:
        module.bind([(checkpoint.input_name, (1, *checkpoint.image_shape))], for_training=False)
        module.set_params(
            checkpoint.arguments, checkpoint.auxiliary, allow_missing=True, allow_extra=True
        )
    except (mx.MXNetError, RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The model's parameters do not fit its network and image shape: {error}"
        ) from error
    return Predictor(module, checkpoint.image_shape)
