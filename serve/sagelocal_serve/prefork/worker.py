"""One worker process: connections come from the supervisor, requests go to the application.

The supervisor accepts and gives each connection to the worker that has the fewest, over a socket
of its own (`channel`); when that ends the worker drains: running requests are finished, idle
connections closed.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from typing import Any

from sagelocal_serve.gate import ABOUT_TO_WAIT
from sagelocal_serve.prefork.answer import CallerGone
from sagelocal_serve.prefork.board import Board
from sagelocal_serve.prefork.connection import Connection, common_environ
from sagelocal_serve.prefork.crew import Crew
from sagelocal_serve.prefork.head import NotHttp
from sagelocal_serve.site import Site

log = logging.getLogger("sagelocal_serve")

KEEPALIVE_SECONDS = 75.0
# Nothing of a request that has begun came for so long.
SILENCE_SECONDS = 60.0
FAREWELL_SECONDS = 2.0
# A request that is already under way on a kept-alive connection still gets its answer.
IDLE_LINGER_SECONDS = 0.2
SWEEP_SECONDS = 1.0
EVENTS = 64
MESSAGE_BYTES = 256


class Worker:
    """The connections of one process and the threads that attend to them."""

    def __init__(
        self,
        number: int,
        site: Site,
        channel: socket.socket,
        board: Board,
        address: tuple[Any, ...],
    ) -> None:
        """`address` is where the server listens."""
        self._number = number
        self._application = site.application
        self._channel = channel
        self._board = board
        self._limit = site.settings.body_limit
        self._crew = Crew(self._lead, site.threads, eager=site.concurrency > 1)
        self._environ = {**common_environ(address), ABOUT_TO_WAIT: self._crew.promote}
        self._connections: dict[int, Connection] = {}
        self._epoll = select.epoll()
        self._next_sweep = 0.0
        self._draining = False
        self._drained = False

    def run(self) -> None:
        """Serve until the channel ends and the last request is answered."""
        self._channel.setblocking(False)
        self._epoll.register(self._channel, select.EPOLLIN)
        self._crew.start()
        self._crew.watch(self._tick)

    def _tick(self) -> bool:
        self._board.sign_of_life(self._number)
        return not self._drained

    def _lead(self) -> None:
        """Attend to what happens until another thread has taken the leadership."""
        while True:
            for descriptor, _ in self._epoll.poll(SWEEP_SECONDS, EVENTS):
                connection = self._connections.get(descriptor)
                if connection is None:
                    self._admit(descriptor)
                elif connection.is_answering:
                    self._park(connection)
                elif not self._attend(connection):
                    return
            now = time.monotonic()
            if now > self._next_sweep:
                self._sweep(now)

    def _attend(self, connection: Connection) -> bool:
        """Read, and answer what is complete; whether this thread still leads."""
        leads = True
        try:
            if not connection.read():
                if not connection.is_leaving:
                    connection.deadline = time.monotonic() + SILENCE_SECONDS
                return True
            while True:
                stays, leads = self._answer(connection, leads)
                if not stays:
                    self._close(connection)
                    return leads
                if not connection.has_next():
                    break
        except CallerGone:
            self._close(connection)
            return leads
        except NotHttp as error:
            connection.refuse(error)
            connection.leave(FAREWELL_SECONDS)
        connection.deadline = time.monotonic() + self._patience(connection)
        self._release(connection)
        return leads

    def _answer(self, connection: Connection, leads: bool) -> tuple[bool, bool]:
        """Let the application answer; whether the connection goes on, whether this one leads."""
        connection.is_answering = True
        if leads:
            self._crew.lay_down()
        try:
            stays = connection.answer(self._application, not self._draining)
        except CallerGone:
            stays = False
        return stays, leads and self._crew.take_up()

    def _patience(self, connection: Connection) -> float:
        if connection.is_leaving:
            return FAREWELL_SECONDS
        if not connection.has_nothing_pending:
            return SILENCE_SECONDS
        return IDLE_LINGER_SECONDS if self._draining else KEEPALIVE_SECONDS

    def _park(self, connection: Connection) -> None:
        """Stop watching a connection that sends on while a thread answers its last request."""
        connection.is_parked = True
        with contextlib.suppress(OSError):
            self._epoll.unregister(connection.socket)
        if not connection.is_answering:  # the thread was done before it could see this
            self._unpark(connection)

    def _release(self, connection: Connection) -> None:
        connection.is_answering = False
        if connection.is_parked:
            self._unpark(connection)

    def _unpark(self, connection: Connection) -> None:
        connection.is_parked = False
        with contextlib.suppress(OSError):  # both sides may do it, or have closed it
            self._epoll.register(connection.socket, select.EPOLLIN)

    def _admit(self, descriptor: int) -> None:
        """Take the connections that the supervisor has sent."""
        if descriptor != self._channel.fileno():
            return  # closed by another thread a moment ago
        while True:
            try:
                message, passed, _, _ = socket.recv_fds(self._channel, MESSAGE_BYTES, 1)
            except BlockingIOError:
                return
            except OSError:
                message, passed = b"", []
            if not message:
                self._drain()
                return
            self._welcome(message, passed[0])

    def _welcome(self, message: bytes, descriptor: int) -> None:
        number, family, address, port = message.decode().split(" ")
        accepted = socket.socket(int(family), socket.SOCK_STREAM, 0, fileno=descriptor)
        accepted.setblocking(False)
        environ = {**self._environ, "REMOTE_ADDR": address, "REMOTE_PORT": port}
        deadline = time.monotonic() + KEEPALIVE_SECONDS
        self._connections[descriptor] = Connection(
            accepted, int(number), self._board, environ, self._limit, deadline
        )
        self._epoll.register(descriptor, select.EPOLLIN)

    def _close(self, connection: Connection) -> None:
        descriptor = connection.socket.fileno()
        self._connections.pop(descriptor, None)
        if not connection.is_parked:
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)
        connection.close()

    def _drain(self) -> None:
        self._draining = True
        self._epoll.unregister(self._channel)
        deadline = time.monotonic() + IDLE_LINGER_SECONDS
        for connection in list(self._connections.values()):
            if connection.is_idle:
                connection.deadline = deadline
        self._next_sweep = 0.0

    def _sweep(self, now: float) -> None:
        """Close what has been silent for too long; when draining, see whether all is done."""
        self._next_sweep = now + (IDLE_LINGER_SECONDS / 4 if self._draining else SWEEP_SECONDS)
        for connection in list(self._connections.values()):
            if connection.is_answering or now < connection.deadline:
                continue
            if not connection.is_idle and not connection.is_leaving:
                connection.refuse(NotHttp(408, "request timeout"))
            self._close(connection)
        if self._draining and not self._connections:
            self._drained = True
            self._crew.wake_watch()
