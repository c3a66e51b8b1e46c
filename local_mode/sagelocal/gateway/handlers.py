"""What a request passes, in order. The first handler that answers ends the walk."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from sagelocal.gateway.dispatch import Exchange
from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import HttpResponse
from sagelocal.protocol.identify import host_name
from sagelocal.protocol.responses import serialise_fault

Handler = Callable[[Exchange], HttpResponse | None]

HEALTH_PATH = "/_sagelocal/health"

# Names that no stranger's DNS can point at this machine: loopback (RFC 6761), Docker's name of the
# host, and AWS's own, which a proxy may bring.
_TRUSTED_HOSTS = re.compile(
    r"(?:.+\.)?localhost|host\.docker\.internal|(?:.+\.)?amazonaws\.com(?:\.cn)?"
)


class HostCheck:
    """Refuses names through which a web page could reach us (DNS rebinding).

    A page at `evil.example`, whose name now resolves to 127.0.0.1, sends that name in its Host
    header. An address instead of a name cannot be rebound, so any address passes.
    """

    def __init__(self, configured_host: str) -> None:
        self._configured = configured_host.lower()

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        host = host_name(exchange.request)
        if not host or host == self._configured or _TRUSTED_HOSTS.fullmatch(host):
            return None
        if _is_address(host.strip("[]")):
            return None
        exchange.fault = Fault(
            "AccessDeniedException",
            f"The host name {host!r} is not one of this control plane's. Use 127.0.0.1 or "
            "localhost, or start it with --host NAME.",
            status=403,
        )
        return serialise_fault(None, exchange.request, exchange.fault, exchange.request_id)


class HealthCheck:
    """Answers /_sagelocal/health; `facts` is what the plane says of itself."""

    def __init__(self, facts: Callable[[], dict[str, Any]]) -> None:
        self._facts = facts

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        if exchange.request.path != HEALTH_PATH:
            return None
        body = json.dumps({"status": "ok", **self._facts()}).encode()
        return HttpResponse(200, (("Content-Type", "application/json"),), body)


def walk(handlers: Sequence[Handler], exchange: Exchange) -> HttpResponse:
    """The answer of the first handler that has one; the last always has."""
    for handler in handlers:
        response = handler(exchange)
        if response is not None:
            return response
    raise LookupError("no handler answered")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
