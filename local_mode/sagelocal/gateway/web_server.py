"""gunicorn around a plane: lock, socket, worker, shutdown.

Two processes, really: gunicorn's arbiter, whose pid is the plane's, and its one worker with all
the threads. The worker dies with the arbiter, at once and however it ends, so that after
`kill -9 PID` nothing holds the port or the data directory.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Callable

from sagelocal.gateway.process_lock import AlreadyRunning, ProcessLock
from sagelocal.gateway.worker import OneWorkerArbiter, Opener, PlaneApplication
from sagelocal.services.calls import OperationTable
from sagelocal.settings import Settings

_BACKLOG = 512
_POLL_SECONDS = 0.01
# A killed plane lets go of its lock and its port within moments of each other.
_PORT_SECONDS = 0.5


def run(
    settings: Settings,
    open_plane: Opener,
    operations: OperationTable,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve the plane that `open_plane` opens, inside the worker, until SIGTERM or SIGINT.

    Ends the process with status 1 and one line on stderr if it cannot start.
    """
    _log_to_stderr()
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
        OneWorkerArbiter(PlaneApplication(settings, listener, open_plane, operations)).run()
    except SystemExit as ended:
        # The worker is a fork and comes by here too; its status is gunicorn's own affair.
        if os.getpid() != arbiter_pid:
            raise
        lock.release()
        if ended.code:
            sys.exit(1)


class _OneLine(logging.Formatter):
    """One line per record, whatever a container or a client said; tracebacks stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " | ".join(super().formatMessage(record).splitlines()).rstrip()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


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
