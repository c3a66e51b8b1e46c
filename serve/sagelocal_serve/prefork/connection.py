"""One connection in a worker: read what is there, let the application answer, say how far it is."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
import time
from typing import Any

from sagelocal_serve.entry import WsgiApp
from sagelocal_serve.errors import BadRequest, ModelError, error_body
from sagelocal_serve.prefork.answer import Answer, CallerGone, Outlet, plain_answer
from sagelocal_serve.prefork.board import Board, Exchange
from sagelocal_serve.prefork.head import NotHttp
from sagelocal_serve.prefork.inbox import Inbound, Inbox

log = logging.getLogger("sagelocal_serve")

READ_BYTES = 64 * 1024
READ_BODY_BYTES = 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
}


class Connection:
    """A socket, what came in on it, and its byte on the board."""

    __slots__ = (
        "_board",
        "_continued",
        "_environ",
        "_inbox",
        "_outlet",
        "_ready",
        "deadline",
        "is_answering",
        "is_leaving",
        "is_parked",
        "number",
        "socket",
    )

    def __init__(
        self,
        connection: socket.socket,
        number: int,
        board: Board,
        environ: dict[str, Any],
        limit_bytes: int | None,
        deadline: float,
    ) -> None:
        self.socket = connection
        self.number = number
        self.deadline = deadline
        self.is_answering = False  # a thread is on its request
        self.is_parked = False  # and the leader has stopped watching it meanwhile
        self.is_leaving = False  # the last answer is out; what still comes is thrown away
        self._board = board
        self._environ = environ
        self._inbox = Inbox(limit_bytes)
        self._outlet = Outlet(connection, self._mark_answering)
        self._ready: Inbound | None = None
        self._continued = False

    @property
    def is_idle(self) -> bool:
        """Whether it is between two requests."""
        return self.has_nothing_pending and not self.is_answering and not self.is_leaving

    @property
    def has_nothing_pending(self) -> bool:
        """Whether all that has come in was answered."""
        return self._inbox.is_empty

    def read(self) -> bool:
        """Read what is there; whether a request is complete now. Raises CallerGone, NotHttp."""
        wanted = READ_BYTES if self._inbox.is_empty else READ_BODY_BYTES
        try:
            data = self.socket.recv(wanted)
        except BlockingIOError:
            return False
        except OSError as error:
            raise CallerGone from error
        if not data:
            raise CallerGone
        if self.is_leaving:
            return False
        self._board.exchanges[self.number] = Exchange.BEGUN
        return self._take(data)

    def has_next(self) -> bool:
        """Whether another request came with the last one. Raises NotHttp."""
        return not self._inbox.is_empty and self._take(b"")

    def answer(self, application: WsgiApp, may_stay: bool) -> bool:
        """Let the application answer; whether the connection goes on. Raises CallerGone."""
        request = self._ready
        assert request is not None
        self._ready = None
        outlet = self._outlet
        answer = Answer(outlet, request.head, may_stay and request.head.keeps_alive)
        environ = {**request.head.environ, **self._environ, "wsgi.input": io.BytesIO(request.body)}
        try:
            answer.finish(application(environ, answer.start_response))
        except CallerGone:
            raise
        except (Exception, SystemExit) as error:  # sys.exit() in a model ends no server
            log.exception("The application failed on a request")
            if outlet.begun:
                raise CallerGone from error
            body = error_body(500, ModelError.kind, "The server failed on this request.")
            outlet.send(plain_answer("500 Internal Server Error", body))
            return False
        outlet.begun = False
        if self._inbox.is_empty:
            self._board.exchanges[self.number] = Exchange.NONE
        else:
            self._board.exchanges[self.number] = Exchange.BEGUN
        return answer.keeps_alive

    def refuse(self, error: NotHttp) -> None:
        """Tell a caller whose request never reached the application."""
        message = f"This is not HTTP as expected: {error.reason}."
        body = error_body(error.status, BadRequest.kind, message)
        self._farewell(f"{error.status} {_PHRASES[error.status]}", body)

    def leave(self, seconds: float) -> None:
        """End the answers; what still comes in is read for a while, lest a reset overtakes them."""
        self.is_leaving = True
        self.deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it for the supervisor too, which holds a copy of the descriptor."""
        self._board.exchanges[self.number] = Exchange.NONE
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _farewell(self, status: str, body: bytes) -> None:
        with contextlib.suppress(CallerGone):
            self._outlet.send(plain_answer(status, body))

    def _take(self, data: bytes) -> bool:
        self._ready = self._inbox.receive(data)
        if self._ready is not None:
            self._continued = False
            return True
        head = self._inbox.awaited_head
        if head is not None and head.expects_continue and not self._continued:
            self._continued = True
            with contextlib.suppress(OSError):
                self.socket.send(CONTINUE)
        return False

    def _mark_answering(self) -> None:
        self._board.exchanges[self.number] = Exchange.ANSWERING


def common_environ(address: tuple[Any, ...]) -> dict[str, Any]:
    """What every request of a server has in its environment; `address` is the listener's."""
    return {
        "SERVER_NAME": str(address[0]),
        "SERVER_PORT": str(address[1]),
        "SERVER_SOFTWARE": "sagelocal-serve",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
