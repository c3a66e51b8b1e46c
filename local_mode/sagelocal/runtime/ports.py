"""Ports for containers that share this machine's network: one to listen on, and some for inside.

An image finds them in SAGEMAKER_BIND_TO_PORT and SAGEMAKER_SAFE_PORT_RANGE (developer guide,
"Inference Pipelines"), which it must keep to for the same reason in the cloud.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sagelocal.runtime.interface import RuntimeFault

# All below what Linux hands out to outgoing connections (32768 and up), so that none takes the port
# between our choice and the container's bind.
_TO_BIND = range(18_000, 24_000)
_SAFE_RANGE = 40
_SAFE_STARTS = range(24_000, 32_000, _SAFE_RANGE)


@dataclass(frozen=True)
class PortsGiven:
    """What one container may listen on: `bind` for requests, `safe` for servers of its own."""

    bind: int
    safe: range

    @property
    def safe_range(self) -> str:
        """First and last port, as SAGEMAKER_SAFE_PORT_RANGE has it."""
        return f"{self.safe.start}-{self.safe.stop - 1}"


class Ports:
    """Gives every container ports that no other has. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[str, PortsGiven] = {}

    def give(self, name: str, wanted: int | None = None) -> PortsGiven:
        """Free ports for the container of that name, or the wanted one to listen on.

        Raises RuntimeFault when there are none, or somebody listens on the wanted one.
        """
        with self._lock:
            taken = {each.bind for each in self._given.values()}
            taken |= {each.safe.start for each in self._given.values()}
            bind = wanted or _first_free(_TO_BIND, taken, 1)
            if bind in taken or not _can_bind(bind):
                raise RuntimeFault(f"Port {bind} of this machine is in use; choose another one.")
            start = _first_free(_SAFE_STARTS, taken, _SAFE_RANGE)
            given = self._given[name] = PortsGiven(bind, range(start, start + _SAFE_RANGE))
        return given

    def release(self, name: str) -> None:
        """Let others have the container's ports. Harmless if it has none."""
        with self._lock:
            self._given.pop(name, None)


def _first_free(candidates: Sequence[int], taken: set[int], length: int) -> int:
    """The first port of `length` ones in a row that nobody listens on, wherever there are some."""
    for port in random.sample(candidates, k=len(candidates)):
        if port not in taken and all(map(_can_bind, range(port, port + length))):
            return port
    raise RuntimeFault(
        f"No {length} ports in a row from {candidates[0]} to {candidates[-1] + length - 1} are free"
    )


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
