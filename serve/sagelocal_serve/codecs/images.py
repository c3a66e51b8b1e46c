"""image/jpeg, image/png and application/x-image (any of those and more): pixels as an array.

Needs Pillow, the extra "images", which is loaded by the first request. A picture is three colours
wide, whatever it was: grey is spread, transparency dropped. It is not turned as its camera was.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_serve.errors import BadRequest
from sagelocal_serve.media_type import IMAGE, JPEG, PNG

#: Whether this environment can read it.
AVAILABLE = importlib.util.find_spec("PIL") is not None

#: A picture of a few bytes may say that it is any size: this many take 200 MB.
MAX_PIXELS = 1 << 26

#: What a type may hold, by Pillow's names. Others have a long history of crashes.
FORMATS = {JPEG: ("JPEG",), PNG: ("PNG",), IMAGE: ("JPEG", "PNG", "BMP", "GIF", "WEBP")}


def decode_image(body: bytes, kind: str) -> NDArray[np.uint8]:
    """The picture as (height, width, 3) bytes of red, green and blue; raises BadRequest.

    `kind` is one of FORMATS.
    """
    pillow = importlib.import_module("PIL.Image")
    formats = FORMATS[kind]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a size that is looked at here
            with pillow.open(io.BytesIO(body), formats=formats) as picture:
                if math.prod(picture.size) > MAX_PIXELS:
                    raise _too_large()
                return _colours(picture)
    except BadRequest:
        raise
    except pillow.DecompressionBombError as error:
        raise _too_large() from error
    except Exception as error:  # Pillow raises whatever its decoders meet
        raise BadRequest(
            f"The body is no whole picture of the format {', '.join(formats)}."
        ) from error


def _too_large() -> BadRequest:
    return BadRequest(f"The picture has more than {MAX_PIXELS} pixels. Make it smaller.")


def _colours(picture: Any) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):
        # 16 bits of grey, of which Pillow would keep the lower eight.
        grey = (np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(picture.convert("RGB"))
