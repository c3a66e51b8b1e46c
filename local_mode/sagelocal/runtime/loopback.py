"""Addresses for the hosts of a job whose containers share this machine's network.

All of 127.0.0.0/8 is the machine itself (RFC 1122, 3.2.1.3), so each network gets 127.A.B.0/24 of
its own and each of its hosts one address there: two hosts may listen on the same port, as long as
each binds its own name. A claim is a file, so that it outlives the plane as the containers do.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from sagelocal.runtime.interface import JobNetwork, RuntimeFault

# Systems give names to addresses in 127.0.0.0/16 (127.0.0.53, 127.0.1.1), so these are far off.
_FIRST = int(IPv4Address("127.64.0.0"))
_BLOCK = 256
_BLOCKS = 64 * 256
_MAX_HOSTS = _BLOCK - 2


@dataclass(frozen=True)
class LoopbackAddresses:
    """The networks that have addresses; `folder` holds a file for each, named by its block."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def of(self, network: JobNetwork) -> dict[str, str]:
        """The address of each host, the same whenever it is asked for. Raises RuntimeFault."""
        if len(network.hosts) > _MAX_HOSTS:
            raise RuntimeFault(
                f"{len(network.hosts)} hosts are asked for, and the process runtime has addresses "
                f"for {_MAX_HOSTS} of a job"
            )
        with self._lock:
            block = self._claimed(network.name) or self._claim(network.name)
        return {
            host: str(IPv4Address(block + number))
            for number, host in enumerate(network.hosts, start=1)
        }

    def release(self, name: str) -> None:
        """Let others have the network's addresses. Harmless if it has none."""
        with self._lock:
            block = self._claimed(name)
            if block is not None:
                self._file(block).unlink(missing_ok=True)

    def _file(self, block: int) -> Path:
        return self.folder / str(IPv4Address(block))

    def _claimed(self, name: str) -> int | None:
        if not self.folder.exists():
            return None
        claims = (path for path in self.folder.glob("127.*") if path.read_text() == name)
        return next((int(IPv4Address(path.name)) for path in claims), None)

    def _claim(self, name: str) -> int:
        """Another plane has files of its own: the two begin to look at different places."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".new-") as file:
            file.write(name)
            file.flush()
            for block in self._candidates(name):
                try:
                    os.link(file.name, self._file(block))
                except FileExistsError:
                    continue
                return block
        raise RuntimeFault(f"All {_BLOCKS} networks that {self.folder} has room for are taken")

    def _candidates(self, name: str) -> Iterator[int]:
        seed = hashlib.sha256(f"{self.folder.absolute()} {name}".encode()).digest()
        start = int.from_bytes(seed[:4], "big")
        return (_FIRST + (start + offset) % _BLOCKS * _BLOCK for offset in range(_BLOCKS))
