"""`decode(body, content_type)` and `encode(prediction, accept)`, by the image's own functions."""

from __future__ import annotations

from typing import Any

from sagelocal_hugging_face import bodies

from sagemaker_huggingface_inference_toolkit.content_types import CSV, JSON, UTF8_TYPES


def decode(content: str | bytes, content_type: str = JSON) -> Any:
    """What a pipeline is given, mostly `{"inputs": ...}`.

    Raises BadRequest or UnsupportedMediaType, which the caller sees as 400 and 415.
    """
    return bodies.input_fn(content, content_type)


def encode(content: Any, content_type: str = JSON) -> str | bytes:
    """The prediction as text, or as bytes where the type is no text; raises NotAcceptable."""
    body, written = bodies.output_fn(content, content_type)
    return body.decode() if written in UTF8_TYPES else body


def decode_json(content: str | bytes) -> Any:
    """Whatever JSON says."""
    return decode(content, JSON)


def decode_csv(string_like: str) -> Any:
    """The columns `inputs`, or `question` and `context`."""
    return decode(string_like, CSV)


def encode_json(content: Any) -> str | bytes:
    """JSON without blanks; arrays as lists."""
    return encode(content, JSON)


def encode_csv(content: Any) -> str | bytes:
    """A row for each object."""
    return encode(content, CSV)
