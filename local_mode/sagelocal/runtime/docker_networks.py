"""Where containers of a Docker engine find this machine, and which addresses are containers'.

With the engine on this machine, its default bridge is an interface here (`docker0`), and what
listens on the bridge's address is reached from every network of the engine but internal ones. With
the engine in a virtual machine (Docker Desktop) there is no such interface, and its own name for
this machine leads to what listens on loopback here.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any

DESKTOP_HOST = "host.docker.internal"
DEFAULT_BRIDGE = "bridge"

_BRIDGE_NAME = "com.docker.network.bridge.name"
_SIOCGIFADDR = 0x8915  # netdevice(7)
_ASK_AGAIN_SECONDS = 1.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class Networks:
    """The networks of the engine behind `api`."""

    api: Any
    _subnets: tuple[Subnet, ...] = field(default=(), init=False)
    _asked_at: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def host_address(self) -> str:
        """The address of the default bridge here, or the name that Docker Desktop has for us."""
        for network in self.api.networks(names=[DEFAULT_BRIDGE]):
            if network["Name"] != DEFAULT_BRIDGE:
                continue  # the filter takes any part of a name for a match
            interface = (network.get("Options") or {}).get(_BRIDGE_NAME)
            address = interface_address(interface) if interface else None
            if address is not None:
                return address
        return DESKTOP_HOST

    def contains(self, address: str) -> bool:
        """Whether the address lies in a bridge network of the engine.

        Networks come and go with jobs, so an unknown address is looked up again, though not more
        than once a second.
        """
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return False
        with self._lock:
            if not _within(wanted, self._subnets) and self._may_ask():
                self._subnets = tuple(_subnets(self.api.networks()))
            return _within(wanted, self._subnets)

    def _may_ask(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at < _ASK_AGAIN_SECONDS:
            return False
        self._asked_at = now
        return True


def interface_address(name: str) -> str | None:
    """The IPv4 address of a network interface of this machine; None if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def _subnets(networks: list[dict[str, Any]]) -> list[Subnet]:
    return [
        ipaddress.ip_network(config["Subnet"])
        for network in networks
        if network["Driver"] == "bridge"
        for config in (network["IPAM"].get("Config") or [])
        if config.get("Subnet")
    ]


def _within(address: Address, subnets: tuple[Subnet, ...]) -> bool:
    return any(address in subnet for subnet in subnets)
