"""Runs an application under gunicorn, from the port's binding to the last drained request.

    bind the port ── waiting room answers 503 ── prepare, load (if memory is shared)
        └── gunicorn forks the workers ── each loads its own model (if it is not) ── 200

gunicorn's arbiter is process 1 of a container: it reaps children, replaces workers that die,
and on SIGTERM stops accepting, lets running requests finish and ends.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from sagelocal_serve.app import create_app
from sagelocal_serve.entry import WsgiApp, resolve
from sagelocal_serve.hosted import HostedModel, State
from sagelocal_serve.interface import Handler
from sagelocal_serve.settings import Settings
from sagelocal_serve.waiting_room import WaitingRoom
from sagelocal_serve.worker import Worker

log = logging.getLogger("sagelocal_serve")

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s"
BACKLOG = 2048
KEEPALIVE_SECONDS = 75
# Threads beyond those that invocations can hold, for health checks and connections just opened.
SPARE_THREADS = 4
SHARED_MEMORY = "/dev/shm"


class PortError(Exception):
    """The port cannot be listened on."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortError, EntryPointError, or ends in SystemExit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    listener = bind(settings)
    log.info("Listening on %s port %d", *listener.getsockname()[:2])
    hosted: HostedModel | None = None
    with WaitingRoom(listener):
        target = resolve(settings)
        if isinstance(target, Handler):
            hosted = _prepared(target, settings)
            application: WsgiApp = create_app(target, settings, hosted)
        else:
            application = target
    _Gunicorn(application, listener, hosted, settings).run()


def bind(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An answer leaves in two writes; without this the second waits for the caller's delayed
    # acknowledgement, 40 ms on Linux. Accepted connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortError(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. Stop what "
            "uses it, or set SAGEMAKER_BIND_TO_PORT to another port."
        ) from error
    return listener


def _leave(number: int, frame: object) -> None:
    """End while the model still loads; gunicorn installs handlers of its own later."""
    log.info("Received %s while loading", signal.Signals(number).name)
    raise SystemExit(0)


def _prepared(handler: Handler, settings: Settings) -> HostedModel:
    hosted = HostedModel(handler, settings.model_dir)
    hosted.prepare()
    share = handler.shares_memory if settings.share_model is None else settings.share_model
    if share:
        hosted.load()
        # Objects that the collector never visits again stay in pages that workers share.
        gc.freeze()
    return hosted


class _Gunicorn(BaseApplication):
    """One application, configured from code: no configuration file and no command line."""

    def __init__(
        self,
        application: WsgiApp,
        listener: socket.socket,
        hosted: HostedModel | None,
        settings: Settings,
    ) -> None:
        self._application = application
        self._hosted = hosted
        self._settings = settings
        self._options = self._configuration(listener)
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:  # older gunicorns know fewer
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._application

    def _configuration(self, listener: socket.socket) -> dict[str, Any]:
        settings = self._settings
        return {
            "bind": [f"fd://{listener.detach()}"],
            "workers": settings.worker_count,
            "threads": self._threads(),
            "worker_class": Worker,
            "preload_app": True,
            "timeout": settings.timeout_seconds,
            "graceful_timeout": settings.graceful_timeout_seconds,
            "keepalive": KEEPALIVE_SECONDS,
            "worker_tmp_dir": _heartbeat_folder(),
            "control_socket_disable": True,
            "logger_class": _Logger,
            "errorlog": None,
            "loglevel": "debug" if settings.log_level <= logging.DEBUG else "warning",
            "when_ready": lambda arbiter: log.info("Workers: %d", settings.worker_count),
            "post_worker_init": self._post_worker_init,
        }

    def _threads(self) -> int:
        """Threads per worker; they are started as needed, so a large bound costs nothing."""
        settings = self._settings
        if self._hosted is None:
            return settings.threads
        return settings.threads + settings.queue_size + SPARE_THREADS

    def _post_worker_init(self, worker: object) -> None:
        hosted = self._hosted
        if hosted is not None and hosted.state is State.WAITING:
            threading.Thread(target=hosted.load, name="model-loading", daemon=True).start()


class _Logger(Logger):
    """gunicorn's lines on stdout, in the format of ours; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        self.error_log.handlers[:] = [handler]


def _heartbeat_folder() -> str:
    """Where workers touch their heartbeat files: in memory, and writable on a read-only root."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else tempfile.gettempdir()
