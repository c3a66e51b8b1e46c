"""What a request passes, in order. The first handler that answers ends the walk."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

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

    A browser also lets any page POST here without asking (S3's DeleteObjects needs no more), and
    says whose page it is in the Origin header: pages of this machine pass, and no client but a
    browser sends one.
    """

    def __init__(self, configured_host: str) -> None:
        self._configured = configured_host.lower()

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        host = host_name(exchange.request)
        if not self._is_ours(host):
            return _refusal(
                exchange,
                f"The host name {host!r} is not one of this control plane's. Use 127.0.0.1 or "
                "localhost, or start it with --host NAME.",
            )
        origin = exchange.request.headers.get("origin")
        if origin is not None and not self._is_page_of_ours(origin, host):
            return _refusal(
                exchange,
                f"Pages of {origin!r} may not call this control plane, only pages of this machine.",
            )
        return None

    def _is_ours(self, host: str) -> bool:
        if not host or host == self._configured or _TRUSTED_HOSTS.fullmatch(host):
            return True
        return _address(host) is not None

    def _is_page_of_ours(self, origin: str, host: str) -> bool:
        try:
            page = urlsplit(origin).hostname or ""
        except ValueError:
            return False
        if page and page in (host.strip("[]"), self._configured, "localhost"):
            return True
        address = _address(page)
        return address is not None and address.is_loopback


class PeerCheck:
    """Refuses who is neither on this machine nor in a container of it.

    Containers of an engine find us at an address of its bridge, and Linux lets whoever is on a
    network of this machine send to any address of it, so the address alone does not say who asks.
    A plane that was told to listen to the network asks nobody.
    """

    def __init__(self, configured_host: str, is_container: Callable[[str], bool]) -> None:
        self._is_private = _is_loopback(configured_host)
        self._is_container = is_container

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        peer = exchange.peer
        if not self._is_private or _is_loopback(peer) or self._is_container(peer):
            return None
        return _refusal(
            exchange,
            f"{peer} is neither this machine nor one of its containers. Start the control plane "
            "with --host ADDRESS to let others in.",
        )


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


def _refusal(exchange: Exchange, text: str) -> HttpResponse:
    exchange.fault = Fault("AccessDeniedException", text, status=403)
    return serialise_fault(None, exchange.request, exchange.fault, exchange.request_id)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
