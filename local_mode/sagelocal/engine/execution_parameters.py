"""How a container wants to be called in a transform job: GET /execution-parameters.

Source: developer guide, "Use Your Own Inference Code with Batch Transform". A container need not
answer that path; one that fails there fails the job.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from sagelocal.domain.transform_spec import STRATEGIES, ExecutionParameters

PATH = "/execution-parameters"
_LONGEST_BODY_BYTES = 64 * 1024


class BadParameters(Exception):
    """The container answered what nobody can read; the text is fit for a FailureReason."""


def ask(address: str, timeout_seconds: float) -> ExecutionParameters:
    """The container's, or the defaults if it has none. Raises BadParameters."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=timeout_seconds
    )
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        status, body = response.status, response.read(_LONGEST_BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise BadParameters(
            f"GET {PATH}: the container did not answer: {error or type(error).__name__}"
        ) from error
    finally:
        connection.close()
    if 400 <= status < 500:
        return ExecutionParameters()
    if status != http.client.OK:
        raise BadParameters(f"GET {PATH} was answered {status}; a container without it answers 404")
    return parameters_of(body)


def parameters_of(body: bytes) -> ExecutionParameters:
    """The parameters in an answer's JSON. Raises BadParameters."""
    try:
        told = json.loads(body)
        if not isinstance(told, dict):
            raise TypeError
        given = ExecutionParameters()
        return ExecutionParameters(
            _count(told, "MaxConcurrentTransforms", given.max_concurrent) or 1,
            {s: s for s in STRATEGIES.values()}[told.get("BatchStrategy", given.strategy)],
            _count(told, "MaxPayloadInMB", given.max_payload_mb),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise BadParameters(
            f"GET {PATH} was answered {body[:200]!r}; what can be read is "
            '{"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}'
        ) from error


def _count(told: dict[str, Any], name: str, default: int) -> int:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value
