"""The default input_fn and output_fn, as in the Hugging Face inference toolkit.

application/json    {"inputs": ..., "parameters": {...}}, or what the pipeline itself takes
text/csv            a column `inputs`, or the columns `question` and `context`, with a header
application/x-npy   an array
image/*             a picture;  audio/*  sound, as it is
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from PIL import Image
from sagelocal_serve import Accept, BadRequest, MediaType, NotAcceptable, UnsupportedMediaType
from sagelocal_serve.codecs.json_text import decode_json
from sagelocal_serve.codecs.npy import decode_npy, encode_npy
from sagelocal_serve.media_type import CSV, JSON, NPY

_PICTURES = ("jpeg", "png", "tiff", "bmp", "gif", "webp", "x-image")
_SOUNDS = ("flac", "x-flac", "mpeg", "mp3", "wav", "x-wav", "wave", "ogg", "x-audio")
_HEADERS = ("inputs", "question", "context")
# As many as Pillow warns of.
_MAX_PIXELS = 1 << 26


def input_fn(body: bytes | str, content_type: str) -> Any:
    """What the pipeline is given; raises BadRequest or UnsupportedMediaType."""
    kind = MediaType.parse(content_type).essence
    decode = _DECODERS.get(kind)
    if decode is None:
        raise UnsupportedMediaType.of(content_type, _DECODERS)
    if not body:
        raise BadRequest("The request has an empty body.")
    return decode(body)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """The prediction in the first format of the Accept list that can be written."""
    chosen = Accept.parse(accept).choose(tuple(_ENCODERS))
    if chosen is None:
        raise NotAcceptable.of(accept, _ENCODERS)
    return _ENCODERS[chosen.essence](prediction), str(chosen)


def _text(body: bytes | str) -> str:
    try:
        return body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: {error}.") from error


def _read_json(body: bytes | str) -> Any:
    return decode_json(_text(body))


def _read_csv(body: bytes | str) -> dict[str, Any]:
    rows = list(csv.DictReader(io.StringIO(_text(body))))
    header = list(rows[0]) if rows else []
    if not any(name in header for name in _HEADERS):
        raise BadRequest(
            "The CSV body needs a header and rows: a column 'inputs', or the columns 'question' "
            f"and 'context'; it has {', '.join(map(repr, header)) or 'none'}."
        )
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in header else rows}


def _read_npy(body: bytes | str) -> Any:
    return decode_npy(body if isinstance(body, bytes) else body.encode())


def _read_picture(body: bytes | str) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else body.encode()
    try:
        with Image.open(io.BytesIO(raw)) as picture:
            if math.prod(picture.size) > _MAX_PIXELS:
                raise BadRequest(f"The picture has more than {_MAX_PIXELS} pixels.")
            return {"inputs": picture.convert("RGB")}
    except BadRequest:
        raise
    except Exception as error:  # Pillow raises whatever its decoders meet
        raise BadRequest(f"The body is no picture that can be read: {error}.") from error


def _read_sound(body: bytes | str) -> dict[str, Any]:
    return {"inputs": body if isinstance(body, bytes) else body.encode()}


def _write_json(prediction: Any) -> bytes:
    return json.dumps(
        prediction, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    ).encode()


def _plain(value: Any) -> Any:
    """What pipelines give that JSON has no form for."""
    if isinstance(value, Image.Image):
        with io.BytesIO() as out:
            value.save(out, format="PNG")
            return base64.b64encode(out.getvalue()).decode()
    if isinstance(value, datetime):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _write_csv(prediction: Any) -> bytes:
    rows = prediction if isinstance(prediction, list) else [prediction]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise NotAcceptable(
            f"The prediction is no list of objects and makes no {CSV}; ask for {JSON}."
        )
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def _write_npy(prediction: Any) -> bytes:
    return encode_npy(np.array(prediction))


_DECODERS: dict[str, Callable[[bytes | str], Any]] = {
    JSON: _read_json,
    CSV: _read_csv,
    NPY: _read_npy,
    **{f"image/{name}": _read_picture for name in _PICTURES},
    "application/x-image": _read_picture,
    **{f"audio/{name}": _read_sound for name in _SOUNDS},
}

_ENCODERS: dict[str, Callable[[Any], bytes]] = {JSON: _write_json, CSV: _write_csv, NPY: _write_npy}
