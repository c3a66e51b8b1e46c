"""The server that runs by default: worker processes forked from one that has loaded the model.

supervisor   owns the port, deals out connections, replaces workers that die
worker       one process: its connections, in and out
crew         the threads of a worker, of which one waits for the sockets
connection   one socket: inbox, application, answer
inbox        bytes -> requests                  (no socket)
head         a request's head -> WSGI environ   (gunicorn's parser)
answer       what the application returns -> bytes
board        memory that all processes share
"""

from __future__ import annotations

import gc
import socket

from sagelocal_serve.prefork.board import Board
from sagelocal_serve.prefork.supervisor import Supervisor
from sagelocal_serve.prefork.worker import Worker
from sagelocal_serve.site import Site

__all__ = ["run"]


def run(site: Site, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT and until the last request is answered."""
    settings = site.settings
    address = listener.getsockname()

    def run_worker(number: int, channel: socket.socket, board: Board) -> None:
        site.start_worker(number)
        Worker(number, site, channel, board, address).run()

    gc.collect()
    supervisor = Supervisor(listener, run_worker, settings.worker_count, settings.timeout_seconds)
    supervisor.run(settings.graceful_timeout_seconds)
