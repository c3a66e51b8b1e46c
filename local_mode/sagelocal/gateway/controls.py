"""What can be asked of the plane itself, below /_sagelocal/: things that no AWS operation does.

    POST /_sagelocal/training-jobs/NAME/interruption   {"Region": "us-east-1"}

Bodies are JSON both ways; an error is `{"__type": CODE, "message": TEXT}`, as AWS's JSON protocols
write it. A web page could send a POST to loopback: only requests that say `Content-Type:
application/json` are heard, which a page may not send to another origin without being allowed to.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from sagelocal.gateway.dispatch import Exchange
from sagelocal.protocol.faults import Fault, validation
from sagelocal.protocol.http import HttpResponse

Control = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]

PREFIX = "/_sagelocal/"
_INTERRUPTION = re.compile(r"/_sagelocal/training-jobs/([^/]+)/interruption")
_LARGEST_BODY_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class Controls:
    """Answers every path below /_sagelocal/ that no handler before it answered."""

    def __init__(self, interrupt_training_job: Control) -> None:
        self._interrupt_training_job = interrupt_training_job

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        if not exchange.request.path.startswith(PREFIX):
            return None
        exchange.service = "sagelocal"
        try:
            return _answer(200, self._act(exchange))
        except Fault as refused:
            exchange.fault = refused
        except Exception:
            log.exception("%s failed %s", exchange.operation, exchange.request_id)
            text = f"sagelocal failed; its log has the reason under {exchange.request_id}"
            exchange.fault = Fault("InternalFailure", text, status=500)
        fault = exchange.fault
        return _answer(fault.status, {"__type": fault.code, "message": fault.message})

    def _act(self, exchange: Exchange) -> Mapping[str, Any]:
        request = exchange.request
        found = _INTERRUPTION.fullmatch(request.path)
        if found is None:
            raise Fault("ResourceNotFound", f"There is nothing at {request.path}.", status=404)
        exchange.operation = "InterruptTrainingJob"
        if request.method != "POST":
            raise Fault("MethodNotAllowed", f"{request.path} takes POST alone.", status=405)
        return self._interrupt_training_job(unquote(found[1]), _body(exchange))


def _body(exchange: Exchange) -> Mapping[str, Any]:
    request = exchange.request
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise validation("the Content-Type of the request must be application/json")
    content = request.body.read(_LARGEST_BODY_BYTES + 1)
    if len(content) > _LARGEST_BODY_BYTES:
        raise validation(f"the body of the request may have {_LARGEST_BODY_BYTES} bytes")
    try:
        document = json.loads(content or b"{}")
    except ValueError as error:
        raise validation(f"the body of the request is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise validation("the body of the request must be a JSON object")
    return document


def _answer(status: int, document: Mapping[str, Any]) -> HttpResponse:
    body = json.dumps(document).encode()
    return HttpResponse(status, (("Content-Type", "application/json"),), body)
