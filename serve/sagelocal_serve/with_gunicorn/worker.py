"""gunicorn's threaded worker, with three manners changed that do not fit a hosted model.

A request that is no HTTP gets a JSON body like every other error instead of an HTML page; a
stopping worker closes its port, and does not wait for idle kept-alive connections.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from sagelocal_serve.errors import BadRequest, ModelError, error_body

log = logging.getLogger("sagelocal_serve")

# A request that is already under way on a kept-alive connection still gets its answer.
IDLE_LINGER_SECONDS = 0.2

_STATUS = {LimitRequestLine: (414, "URI Too Long"), LimitRequestHeaders: (431, "Headers Too Large")}


class Worker(ThreadWorker):
    """One process of the server."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application."""
        if isinstance(exc, ParseException):
            status, reason = _STATUS.get(type(exc), (400, "Bad Request"))
            kind, message = BadRequest.kind, f"This is not HTTP as expected: {reason.lower()}."
        else:
            log.error("A request could not be answered", exc_info=exc)
            status, reason = 500, "Internal Server Error"
            kind, message = ModelError.kind, "The server failed on this request."
        try:
            client.sendall(_response(status, reason, error_body(status, kind, message)))
        except OSError:
            log.debug("The caller had gone before it could be told: %s", message)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Switch accepting on or off; a stopping worker gives the port up at once.

        While any process holds the socket open the kernel goes on to accept connections that
        nobody will answer. Who is in the backlog already is let in, the next one is refused.
        """
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        sooner = min(deadline, time.monotonic() + IDLE_LINGER_SECONDS)
        super()._cap_keepalive(sooner)  # type: ignore[misc]  # not in gunicorn's stubs


def _response(status: int, reason: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
