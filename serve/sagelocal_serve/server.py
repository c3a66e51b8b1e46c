"""The life of a server, from the port's binding to the last drained request.

    bind the port ── waiting room answers 503 ── prepare, load (if memory is shared)
        └── the engine forks the workers ── each loads its own model (if it is not) ── 200

The engine is `prefork` (ours) or `gunicorn`, by MODEL_SERVER_ENGINE. Either is fit to be process 1
of a container.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from sagelocal_serve import prefork, with_gunicorn
from sagelocal_serve.app import create_app
from sagelocal_serve.entry import WsgiApp, resolve
from sagelocal_serve.hosted import HostedModel
from sagelocal_serve.interface import Handler
from sagelocal_serve.metrics import Metrics
from sagelocal_serve.multi_model import launch
from sagelocal_serve.multi_model.service import create_multi_model_app
from sagelocal_serve.request_log import RequestLog
from sagelocal_serve.settings import Engine, Settings
from sagelocal_serve.site import Site
from sagelocal_serve.waiting_room import WaitingRoom

log = logging.getLogger("sagelocal_serve")

BACKLOG = 2048
# Of the process that hands requests on to many models; each model bounds its own.
FRONT_THREADS = 512
# For what is under way while the model loads, such as an installation, to be ended in order.
LEAVE_SECONDS = 2.0

ENGINES: Mapping[Engine, Callable[[Site, socket.socket], None]] = {
    "prefork": prefork.run,
    "gunicorn": with_gunicorn.run,
}


class PortError(Exception):
    """The port cannot be listened on."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortError, EntryPointError, or ends in SystemExit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    listener = bind(settings)
    log.info("Listening on %s port %d", *listener.getsockname()[:2])
    with WaitingRoom(listener):
        target = resolve(settings)
        many = settings.multi_model and isinstance(target, Handler)
        site = None if many else _site(target, settings)
    if site is None:
        raise SystemExit(launch.run(settings, listener, partial(_serve_many, settings, listener)))
    ENGINES[settings.engine](site, listener)


def _serve_many(settings: Settings, listener: socket.socket, folder: Path) -> None:
    """The front of many models: it has no model, and many requests wait in it for theirs."""
    front = replace(settings, workers=1, threads=FRONT_THREADS)
    site = _site(create_multi_model_app(folder, settings), front)
    ENGINES[settings.engine](site, listener)


def bind(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # An answer may leave in two writes; without this the second waits for the caller's delayed
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
    """End while the model still loads; the engine installs handlers of its own later.

    The exception is lost where Python cannot raise one, such as in a callback of the import system,
    or where a model's own code catches it; then this process ends all the same, a moment later.
    """
    log.info("Received %s while loading", signal.Signals(number).name)
    last_resort = threading.Timer(LEAVE_SECONDS, os._exit, (0,))
    last_resort.daemon = True
    last_resort.start()
    raise SystemExit(0)


def _site(target: Handler | WsgiApp, settings: Settings) -> Site:
    hosted: HostedModel | None = None
    if isinstance(target, Handler):
        hosted = _prepared(target, settings)
        application: WsgiApp = create_app(target, settings, hosted)
    else:
        application = target
    if settings.request_log:
        application = RequestLog(application)
    metrics = None
    if settings.metrics:
        application = metrics = Metrics(application, settings.worker_count)
    return Site(application, settings, hosted, metrics)


def _prepared(handler: Handler, settings: Settings) -> HostedModel:
    hosted = HostedModel(handler, settings.model_dir)
    hosted.prepare()
    share = handler.shares_memory if settings.share_model is None else settings.share_model
    if share:
        hosted.load()
        # Objects that the collector never visits again stay in pages that workers share.
        gc.freeze()
    return hosted
