"""The functions of a script that leaves them out; `serve` calls the script's own."""

from __future__ import annotations

from typing import Any

from sagemaker_containers import _encoders, _worker


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """The request as an array."""
    return _encoders.decode(input_data, content_type)


def default_output_fn(prediction: Any, accept: str) -> _worker.Response:
    """The prediction as a response of that type."""
    return _worker.Response(response=_encoders.encode(prediction, accept), mimetype=accept)
