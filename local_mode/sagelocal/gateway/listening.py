"""Listening sockets of the control plane."""

from __future__ import annotations

import errno
import socket
import time

_BACKLOG = 512
_POLL_SECONDS = 0.01
# A killed plane lets go of its lock and its port within moments of each other.
_PORT_SECONDS = 0.5


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; waits a moment for one that a killed plane has yet to let go.

    Accepted connections inherit TCP_NODELAY: without it a small answer after a small header waits
    for the client's delayed acknowledgement, 40 ms.
    """
    deadline = time.monotonic() + _PORT_SECONDS
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    while True:
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return listener
