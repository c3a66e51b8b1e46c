"""gunicorn around a plane: lock, socket, worker, shutdown.

Two processes, really: gunicorn's arbiter, whose pid is the plane's, and its one worker with all
the threads. The worker dies with the arbiter, at once and however it ends, so that after
`kill -9 PID` nothing holds the port or the data directory.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import logging
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn, ThreadWorker

from sagelocal.gateway.app import UNDERSCORE, create_app
from sagelocal.gateway.process_lock import AlreadyRunning, ProcessLock
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.services.calls import OperationTable
from sagelocal.settings import Settings

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

THREADS = 64
KEEPALIVE_SECONDS = 75
# How long calls in flight have to end after SIGTERM, and when the worker is killed.
WORKER_GRACE_SECONDS = 2
ARBITER_GRACE_SECONDS = 4

_BACKLOG = 512
# A killed plane lets go of its lock and its port within moments of each other.
_PORT_SECONDS = 0.5
_POLL_SECONDS = 0.01
_PR_SET_PDEATHSIG = 1  # prctl(2)


Opener = Callable[[Settings], AbstractContextManager["Plane"]]


def run(
    settings: Settings,
    open_plane: Opener,
    operations: OperationTable,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve the plane that `open_plane` opens, inside the worker, until SIGTERM or SIGINT.

    Ends the process with status 1 and one line on stderr if it cannot start.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        lock = ProcessLock(settings.data_dir)
        listener = listen(settings.host, settings.port)
    except AlreadyRunning as error:
        sys.exit(f"cannot start: {error}")
    except OSError as error:
        sys.exit(f"cannot start: {_why(error, settings)}")
    port = listener.getsockname()[1]
    settings = dataclasses.replace(settings, port=port)
    if on_listening:
        on_listening(f"http://{_in_url(settings.host)}:{port}")
    arbiter_pid = os.getpid()
    try:
        Arbiter(_Application(settings, listener, open_plane, operations)).run()
    except SystemExit as ended:
        # The worker is a fork and comes by here too; its status is gunicorn's own affair.
        if os.getpid() != arbiter_pid:
            raise
        lock.release()
        if ended.code:
            sys.exit(1)


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


def _why(error: OSError, settings: Settings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is already in use; choose another port with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{settings.host!r} is not an address of this machine; choose another with --host"
    if error.errno == errno.EACCES and error.filename is None:
        return f"not allowed to listen on {where}; choose a port above 1023 with --port"
    return (
        f"cannot write to the data directory {settings.data_dir}: {error.strerror}; "
        "choose another one with --data"
    )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Application(BaseApplication):
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
        self._plane = ExitStack()
        self._arbiter_pid = os.getpid()
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            # gunicorn closes the number it is given.
            "bind": f"fd://{os.dup(self._listener.fileno())}",
            "worker_class": _Worker,
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
        except (RuntimeFault, OSError, sqlite3.Error) as error:
            raise AppImportError(f"cannot start: {error}") from error
        return create_app(plane, self._operations, pid=self._arbiter_pid)

    def _die_with_arbiter(self, _arbiter: Any, worker: ThreadWorker) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._arbiter_pid:
            os._exit(0)  # it ended before the request to be told of it
        worker.cfg.set("graceful_timeout", WORKER_GRACE_SECONDS)

    def _close(self, _arbiter: Any, _worker: ThreadWorker) -> None:
        self._plane.close()


def _keep_underscores(_worker: ThreadWorker, request: Any) -> None:
    request.headers = [(name.replace("_", UNDERSCORE), value) for name, value in request.headers]


class _Worker(ThreadWorker):
    """Does not wait for idle connections when it is told to end."""

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled)
        self._close_idle_if_ending()

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        super().finish_request(conn, fs)
        self._close_idle_if_ending()

    def _close_idle_if_ending(self) -> None:
        if self.alive:
            return
        for connection in self.keepalived_conns:
            connection.timeout = 0.0
        self.murder_keepalived()


class _QuietLogger(Logger):
    """Without gunicorn's remarks about its own household; the worker says itself why it ended."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.addFilter(_is_news)


_HOUSEHOLD = ("Worker (pid:%s) exited with code", "Shutting down", "Reason:")


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_HOUSEHOLD)
