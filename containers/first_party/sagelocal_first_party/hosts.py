"""The hosts of a job as one: arrays gathered, summed and handed out over plain sockets.

    with joined(environment.resources) as group:
        (products,) = group.sum(products)      # the same on every host, when all have called it

The first host listens, every other one connects to it and stays connected. All hosts make the same
calls in the same order; each call waits for all of them. Arrays travel as .npy, never as pickles.
A host that is gone ends the job of the others with a PlatformError instead of letting them wait.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRWPair
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sagelocal_train import hosts as names
from sagelocal_train.config import Resources
from sagelocal_train.errors import PlatformError

Array = NDArray[Any]
Stream: TypeAlias = "BufferedRWPair[socket.SocketIO, socket.SocketIO]"

PORT = 9000
"""The port of the originals' parameter server."""

_CONNECT_PAUSE_SECONDS = 0.05
_COUNT = struct.Struct("<Q")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """All hosts of a job, seen from one of them. `peers` are connected, in the order of hosts:
    the others for the first host, the first host alone for each other."""

    resources: Resources
    peers: tuple[_Peer, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether this is the host that brings things together, and saves."""
        return self.resources.is_first_host

    @property
    def rank(self) -> int:
        """The number of this host, from 0: hosts that draw random numbers seed them with it."""
        return self.resources.hosts.index(self.resources.current_host)

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return len(self.resources.hosts)

    def gather(self, *arrays: Array) -> list[list[Array]]:
        """On the first host everyone's arrays, in the order of hosts; an empty list elsewhere."""
        if self.is_first:
            return [list(arrays), *(peer.receive() for peer in self.peers)]
        self.peers[0].send(arrays)
        return []

    def broadcast(self, *arrays: Array) -> list[Array]:
        """The first host's arrays, on every host; what the others pass is not looked at."""
        if not self.is_first:
            return self.peers[0].receive()
        for peer in self.peers:
            peer.send(arrays)
        return list(arrays)

    def sum(self, *arrays: Array) -> list[Array]:
        """The sums of everyone's arrays, on every host, added in the order of hosts."""
        if self.size == 1:
            return list(arrays)
        everyones = self.gather(*arrays)
        return self.broadcast(*(_added(column) for column in zip(*everyones, strict=True)))


ALONE = Group(Resources())
"""The group of a job on one host, which needs no network."""


def _added(arrays: Sequence[Array]) -> Array:
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


@dataclass(frozen=True, slots=True)
class _Peer:
    """A connection to another host."""

    host: str
    stream: Stream

    def send(self, arrays: Sequence[Array]) -> None:
        try:
            self.stream.write(_COUNT.pack(len(arrays)))
            for array in arrays:
                np.lib.format.write_array(self.stream, np.asarray(array), allow_pickle=False)
            self.stream.flush()
        except OSError as error:
            raise self._gone(error) from error

    def receive(self) -> list[Array]:
        try:
            count = self.stream.read(_COUNT.size)
            if len(count) < _COUNT.size:
                raise EOFError("it closed the connection")
            return [self._array() for _ in range(_COUNT.unpack(count)[0])]
        except (OSError, EOFError, ValueError) as error:
            raise self._gone(error) from error

    def _array(self) -> Array:
        array: Array = np.lib.format.read_array(self.stream, allow_pickle=False)
        return array

    def _gone(self, error: Exception) -> PlatformError:
        return PlatformError(
            f"The host {self.host!r} of this job has gone while training ({error}): its own log "
            "says why"
        )


@contextmanager
def joined(
    resources: Resources, port: int = PORT, timeout_seconds: float = names.WAIT_SECONDS
) -> Iterator[Group]:
    """All hosts, connected for as long as the context lasts. Raises PlatformError."""
    if len(resources.hosts) == 1:
        yield Group(resources)
        return
    deadline = time.monotonic() + timeout_seconds
    names.wait_until_resolvable(resources.hosts, timeout_seconds)
    with ExitStack() as opened:
        if resources.is_first_host:
            peers = _accepted(resources, port, deadline, opened)
        else:
            peers = (_connected(resources, port, deadline, opened),)
        logger.info("%d hosts train together", len(resources.hosts))
        yield Group(resources, peers)


def _accepted(
    resources: Resources, port: int, deadline: float, opened: ExitStack
) -> tuple[_Peer, ...]:
    """A connection from every other host."""
    address = (socket.gethostbyname(resources.current_host), port)
    listener = opened.enter_context(socket.create_server(address))
    peers: dict[str, _Peer] = {}
    awaited = set(resources.hosts) - {resources.current_host}
    while awaited:
        listener.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            connection, _ = listener.accept()
        except TimeoutError as error:
            raise PlatformError(
                f"The hosts {', '.join(sorted(awaited))} of this job have not joined "
                f"{resources.current_host}: check that their containers have started"
            ) from error
        stream = _stream(connection, opened)
        host = stream.readline(256).decode(errors="replace").strip()
        if host in awaited:
            awaited.remove(host)
            peers[host] = _Peer(host, stream)
    return tuple(peers[host] for host in resources.hosts if host in peers)


def _connected(resources: Resources, port: int, deadline: float, opened: ExitStack) -> _Peer:
    first = resources.hosts[0]
    while True:
        try:
            connection = socket.create_connection((first, port), timeout=10)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"The host {first!r} of this job does not answer on port {port} ({error}): "
                    "its own log says why"
                ) from error
        time.sleep(_CONNECT_PAUSE_SECONDS)
    stream = _stream(connection, opened)
    stream.write(f"{resources.current_host}\n".encode())
    stream.flush()
    return _Peer(first, stream)


def _stream(connection: socket.socket, opened: ExitStack) -> Stream:
    """A connection as a file; what the other side computes may take any time."""
    opened.enter_context(connection)
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = BufferedRWPair(connection.makefile("rb", 0), connection.makefile("wb", 0), 1 << 20)
    opened.callback(_close, stream)
    return stream


def _close(stream: Stream) -> None:
    """Nothing is left to be said where the other side is gone."""
    with suppress(OSError):
        stream.close()
