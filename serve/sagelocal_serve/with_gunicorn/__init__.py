"""The same application under gunicorn, for those who know and trust it (MODEL_SERVER_ENGINE).

gunicorn's arbiter is process 1 of a container: it reaps children, replaces workers that die, and
on SIGTERM stops accepting, lets running requests finish and ends. A caller whose worker dies is
cut off, because only that worker knows the connection.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from sagelocal_serve.log_format import LOG_FORMAT
from sagelocal_serve.site import Site
from sagelocal_serve.with_gunicorn.worker import Worker

log = logging.getLogger("sagelocal_serve")

KEEPALIVE_SECONDS = 75
SHARED_MEMORY = "/dev/shm"


def run(site: Site, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; ends in SystemExit."""
    _Gunicorn(site, listener).run()


class _Gunicorn(BaseApplication):
    """One application, configured from code: no configuration file and no command line."""

    def __init__(self, site: Site, listener: socket.socket) -> None:
        self._site = site
        self._options = self._configuration(listener)
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:  # older gunicorns know fewer
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._site.application

    def _configuration(self, listener: socket.socket) -> dict[str, Any]:
        settings = self._site.settings
        return {
            "bind": [f"fd://{listener.detach()}"],
            "workers": settings.worker_count,
            "threads": self._site.threads,
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
            "pre_fork": _give_number,
            "post_worker_init": lambda worker: self._site.start_worker(worker.number),
        }


class _Logger(Logger):
    """gunicorn's lines on stdout, in the format of ours; requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        self.error_log.handlers[:] = [handler]


def _give_number(arbiter: Any, worker: Any) -> None:
    """The least number that no living worker has: whoever replaces a worker gets its number."""
    taken = {other.number for other in arbiter.WORKERS.values()}
    worker.number = next(n for n in range(len(taken) + 1) if n not in taken)


def _heartbeat_folder() -> str:
    """Where workers touch their heartbeat files: in memory, and writable on a read-only root."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else tempfile.gettempdir()
