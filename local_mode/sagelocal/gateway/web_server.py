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
from collections.abc import Callable

from sagelocal.gateway.listening import listen
from sagelocal.gateway.process_lock import AlreadyRunning, ProcessLock
from sagelocal.gateway.worker import OneWorkerArbiter, Opener, PlaneApplication
from sagelocal.services.calls import OperationTable
from sagelocal.settings import Settings


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
