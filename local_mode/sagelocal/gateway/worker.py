"""gunicorn, told what we need: one worker with threads, which dies with its arbiter."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import logging
import os
import select
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from sagelocal.gateway.app import UNDERSCORE, create_app
from sagelocal.gateway.listening import listen
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.services.calls import OperationTable
from sagelocal.settings import Settings
from sagelocal.store.registry import RegistryError

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

Opener = Callable[[Settings], AbstractContextManager["Plane"]]

THREADS = 64
KEEPALIVE_SECONDS = 75
# How long a thread waits for the next request on a connection, and how many may at once: the others
# are for whoever comes next.
LINGER_MILLISECONDS = 10
MOST_LINGERING = THREADS // 2
# How long calls in flight have to end after SIGTERM, and when the worker is killed.
WORKER_GRACE_SECONDS = 2
ARBITER_GRACE_SECONDS = 4

_log = logging.getLogger(__name__)
_PR_SET_PDEATHSIG = 1  # prctl(2)


class PlaneApplication(BaseApplication):
    """gunicorn's view of us: its settings, and the WSGI application made inside the worker."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        open_plane: Opener,
        operations: OperationTable,
    ) -> None:
        self._settings = settings
        self._open_plane = open_plane
        self._operations = operations
        self._listener = listener
        self._address = str(listener.getsockname()[0])
        self._plane = ExitStack()
        self._arbiter_pid = os.getpid()
        self._worker: PlaneWorker | None = None
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            # gunicorn closes the number it is given.
            "bind": f"fd://{os.dup(self._listener.fileno())}",
            "worker_class": PlaneWorker,
            "logger_class": _QuietLogger,
            "workers": 1,
            "threads": THREADS,
            "worker_connections": 1000,
            "keepalive": KEEPALIVE_SECONDS,
            # Not to be killed for being busy: an invocation may take a minute.
            "timeout": 0,
            "graceful_timeout": ARBITER_GRACE_SECONDS,
            # Presigned URLs carry session tokens and keys of 1,024 encoded characters.
            "limit_request_line": 0,
            "limit_request_field_size": 64 * 1024,
            "header_map": "dangerous",
            # There is no proxy whose word on addresses and schemes would count.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "sagelocal",
            "post_fork": self._die_with_arbiter,
            "pre_request": _keep_underscores,
            "worker_exit": self._close,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Open the plane, in the worker. What stops it is one line for the user."""
        self._listener.close()
        try:
            plane = self._plane.enter_context(self._open_plane(self._settings))
        except (RuntimeFault, RegistryError, OSError, sqlite3.Error) as error:
            raise AppImportError(f"cannot start: {error}") from error
        self._listen_to_containers(plane.runtime.host_address())
        return create_app(plane, self._operations, pid=self._arbiter_pid)

    def _listen_to_containers(self, host: str) -> None:
        """Where containers find this machine, if that is an address of it and not yet ours."""
        try:
            wanted = ipaddress.ip_address(host)
            taken = ipaddress.ip_address(self._address)
        except ValueError:
            return
        if self._worker is None or wanted == taken or taken.is_unspecified:
            return
        try:
            self._worker.sockets.append(listen(host, self._settings.port))
        except OSError as error:
            _log.warning(
                "containers cannot reach S3 and the other services here: %s:%d: %s",
                *(host, self._settings.port, error.strerror),
            )

    def _die_with_arbiter(self, _arbiter: Any, worker: PlaneWorker) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._arbiter_pid:
            os._exit(0)  # it ended before the request to be told of it
        worker.cfg.set("graceful_timeout", WORKER_GRACE_SECONDS)
        self._worker = worker

    def _close(self, _arbiter: Any, _worker: ThreadWorker) -> None:
        self._plane.close()


def _keep_underscores(_worker: ThreadWorker, request: Any) -> None:
    request.headers = [(name.replace("_", UNDERSCORE), value) for name, value in request.headers]


class OneWorkerArbiter(Arbiter):
    """Knows one worker, for good: two would be two planes on one data directory.

    gunicorn's signals for more or fewer workers, and for a new arbiter beside this one, do
    nothing; SIGHUP, a terminal that was closed, ends it.
    """

    def handle_hup(self) -> None:
        self.handle_term()

    def handle_ttin(self) -> None: ...

    def handle_ttou(self) -> None: ...

    def handle_usr2(self) -> None: ...

    def handle_winch(self) -> None: ...


class PlaneWorker(ThreadWorker):
    """Does not wait for idle connections when it is told to end, and never answers in HTML.

    A client that asks again at once is answered by the same thread: the way of a connection through
    the poller and back costs more than a whole call.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lingering = threading.BoundedSemaphore(MOST_LINGERING)

    def handle(self, conn: TConn) -> Any:
        """As gunicorn, whose answer says what becomes of the connection; True keeps it."""
        outcome = super().handle(conn)
        while outcome is True and self.alive and self._asks_again(conn):
            outcome = super().handle(conn)
        return outcome

    def _asks_again(self, conn: TConn) -> bool:
        if not self._lingering.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MILLISECONDS))
        finally:
            self._lingering.release()

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled)
        self._close_idle_if_ending()

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        super().finish_request(conn, fs)
        self._close_idle_if_ending()

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Its next request; or nothing, if an earlier event of this very round has closed it."""
        if client.fileno() != -1:
            super().on_client_socket_readable(conn, client)

    def handle_error(
        self, req: Request | None, client: socket.socket, addr: Any, exc: BaseException
    ) -> None:
        """What is no HTTP, or failed before it became an exchange."""
        clients_fault = isinstance(exc, ParseException)
        if clients_fault:
            self.log.warning("refused a request that is no HTTP: %s", exc)
        else:
            self.log.error("failed outside any call", exc_info=exc)
        with contextlib.suppress(OSError):
            client.sendall(_refusal(str(exc)) if clients_fault else _failure())

    def _close_idle_if_ending(self) -> None:
        if self.alive:
            return
        for connection in self.keepalived_conns:
            connection.timeout = 0.0
        self.murder_keepalived()


def _refusal(text: str) -> bytes:
    return _answer("400 Bad Request", "MalformedHttpRequestException", text)


def _failure() -> bytes:
    return _answer("500 Internal Server Error", "InternalFailure", "sagelocal failed; see its log")


def _answer(status: str, code: str, message: str) -> bytes:
    """A whole response, outside WSGI, in the form of an AWS error."""
    body = json.dumps({"__type": code, "message": message})
    return (
        f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"x-amzn-ErrorType: {code}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class _QuietLogger(Logger):
    """Without gunicorn's remarks about its own household; the worker says itself why it ended."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.addFilter(_is_news)


_HOUSEHOLD = ("Worker (pid:%s) exited with code", "Shutting down", "Reason:")


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_HOUSEHOLD)
