"""One request through identify, parse, validate, call and serialise."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.model import OperationModel

from sagelocal import __version__
from sagelocal.domain.names import Scope
from sagelocal.protocol import models, requests, responses, validation
from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import HttpRequest, HttpResponse
from sagelocal.protocol.identify import Identity, identify
from sagelocal.services.calls import Call, OperationTable

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

log = logging.getLogger("sagelocal.gateway")

DEFAULT_REGION = "us-east-1"

# What may be the label of a host name, as botocore has it of a region. It becomes part of ARNs and
# of paths on disk, where `..` would lead elsewhere.
_REGION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass
class Exchange:
    """One request on its way; the fields after it fill up as the request becomes understood."""

    request: HttpRequest
    base_url: str
    peer: str = "127.0.0.1"
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)
    service: str = "?"
    operation: str = "?"
    fault: Fault | None = None

    def log(self, status: int) -> None:
        """The one line of this call."""
        asked = "" if self.operation != "?" else f" {self.request.method} {self.request.path}"
        log.info(
            "%s.%s%s => %d%s %.0f ms %s",
            self.service,
            self.operation,
            asked,
            status,
            f" {self.fault.code}" if self.fault else "",
            (time.monotonic() - self.started) * 1000,
            self.request_id,
        )


class Dispatcher:
    """Answers AWS requests with the operations of a table."""

    def __init__(self, plane: Plane, operations: OperationTable) -> None:
        self._plane = plane
        self._operations = operations
        self._services = {service for service, _ in operations}

    def __call__(self, exchange: Exchange) -> HttpResponse:
        """The response, whatever happens: faults become AWS errors, the unexpected a 500."""
        identity = identify(exchange.request)
        exchange.service = identity.service
        if identity.service == "s3":
            exchange.request = requests.with_query_headers(exchange.request)
        service = models.load(identity.service)
        try:
            return self._answer(exchange, identity, service)
        except Fault as fault:
            exchange.fault = fault
        except Exception:
            log.exception(
                "%s.%s failed %s", identity.service, exchange.operation, exchange.request_id
            )
            exchange.fault = _internal_failure(exchange)
        return responses.serialise_fault(
            service, exchange.request, exchange.fault, exchange.request_id
        )

    def _answer(
        self, exchange: Exchange, identity: Identity, service: models.Service | None
    ) -> HttpResponse:
        if service is None or service.name not in self._services:
            if service:
                exchange.operation = requests.operation_name(service, exchange.request) or "?"
            raise _not_here(f"The service {identity.service}", service)
        parsed = requests.parse(
            service,
            exchange.request,
            most_blob_bytes=self._plane.settings.max_invocation_bytes,
        )
        name = exchange.operation = parsed.operation.name
        function = self._operations.get((service.name, name))
        if function is None:
            raise _not_here(f"The operation {service.name}:{name}", service)
        validation.check(service.name, parsed.operation, parsed.parameters)
        call = self._call(exchange, identity, parsed.operation)
        result: Mapping[str, Any] = function(self._plane, call, parsed.parameters)
        protocol = requests.protocol_of(service, exchange.request)
        return responses.serialise(service, parsed.operation, result, exchange.request_id, protocol)

    def _call(self, exchange: Exchange, identity: Identity, operation: OperationModel) -> Call:
        region = identity.region or DEFAULT_REGION
        return Call(
            service=identity.service,
            operation=operation.name,
            scope=Scope(self._plane.settings.account, _checked(region)),
            request_id=exchange.request_id,
            base_url=exchange.base_url,
            access_key=identity.access_key,
            headers=exchange.request.headers,
            query=exchange.request.query,
        )


def _checked(region: str) -> str:
    if _REGION.fullmatch(region):
        return region
    raise Fault(
        "InvalidSignatureException",
        f"Credential should be scoped to a valid Region, not {region!r}.",
    )


def _not_here(subject: str, service: models.Service | None) -> Fault:
    """AWS has it, sagelocal has not: a 4xx, so that clients do not retry."""
    text = (
        f"{subject} is not available in sagelocal {__version__}. "
        "Call AWS itself for it, or see the README for what there is."
    )
    if service and service.name == "s3":
        return Fault("MethodNotAllowed", text, status=405)
    if service and service.protocol in ("query", "ec2"):
        return Fault("InvalidAction", text)
    return Fault("UnknownOperationException", text)


def _internal_failure(exchange: Exchange) -> Fault:
    code = "InternalError" if exchange.service == "s3" else "InternalFailure"
    text = f"sagelocal failed; its log has the reason under request id {exchange.request_id}"
    return Fault(code, text, status=500)
