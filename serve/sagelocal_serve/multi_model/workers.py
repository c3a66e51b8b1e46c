"""The processes of one model, as the keeper sees them: forked, ready, ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import NoReturn

from sagelocal_serve.entry import resolve
from sagelocal_serve.errors import ServeError
from sagelocal_serve.interface import Handler
from sagelocal_serve.multi_model.addresses import model_address, packages_folder
from sagelocal_serve.multi_model.faults import fault_of
from sagelocal_serve.multi_model.memory import (
    LOADED_SCORE,
    LOADING_SCORE,
    most_bytes,
    offer_to_killer,
    private_bytes,
)
from sagelocal_serve.multi_model.model_process import ModelServer, UsageNote, load, tell
from sagelocal_serve.multi_model.registry import Model, Use
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

BACKLOG = 512


class Phase(Enum):
    """How far a model is; LEAVING ends by being gone."""

    LOADING = "LOADING"
    READY = "READY"
    LEAVING = "UNLOADING"


@dataclass
class Worker:
    """One process; `status` is where it tells how loading went."""

    process_id: int
    status: socket.socket
    usage: UsageNote
    ready: bool = False
    told: bytes = b""

    def read_status(self) -> tuple[bool, ServeError | None] | None:
        """Whether it loaded, once it has said so."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.told += self.status.recv(65536)
        line, ended, _ = self.told.partition(b"\n")
        if not ended:
            return None
        said = json.loads(line)
        if said["status"] == 200:
            self.ready = True
            return True, None
        return False, fault_of(said["status"], said["message"])

    def close(self) -> None:
        self.status.close()
        self.usage.close()


@dataclass
class Workers:
    """One model's processes and the socket they all listen on."""

    model: Model
    folder: Path
    settings: Settings
    phase: Phase = Phase.LOADING
    by_process: dict[int, Worker] = field(default_factory=dict)
    #: Why loading was given up, for whoever asked for it.
    fault: ServeError | None = None
    #: When the processes are killed, whatever they are at.
    deadline: float | None = None

    def __post_init__(self) -> None:
        self.address = model_address(self.folder, self.model.name)
        self.packages = packages_folder(self.folder, self.model.name)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.address))
        self.listener.listen(BACKLOG)

    def fork(self, release: Callable[[], None]) -> Worker:
        """One more process; it calls `release` first, to let go of what is the keeper's."""
        usage = UsageNote()
        usage.write(time.monotonic(), 0)
        status, told = socket.socketpair()
        process_id = os.fork()
        if not process_id:
            listener = self.listener.dup()
            status.close()
            release()
            _run(self, listener, told, usage)
        told.close()
        status.setblocking(False)
        worker = self.by_process[process_id] = Worker(process_id, status, usage)
        return worker

    @property
    def is_loading(self) -> bool:
        return self.phase is Phase.LOADING

    @property
    def is_ready(self) -> bool:
        """Whether every process has loaded the model."""
        workers = self.by_process.values()
        return bool(workers) and all(each.ready for each in workers)

    def use(self) -> Use:
        """Of all processes together."""
        uses = [each.usage.read(self.model.name) for each in self.by_process.values()]
        return Use(
            self.model.name,
            max((use.last_used for use in uses), default=0.0),
            sum(use.in_flight for use in uses),
        )

    def private_bytes(self) -> int:
        return sum(private_bytes(process_id) for process_id in self.by_process)

    def most_bytes(self) -> int:
        return sum(most_bytes(process_id) for process_id in self.by_process)

    def turn_away(self) -> None:
        """Let nobody connect any more; harmless if done before."""
        self.address.unlink(missing_ok=True)
        self.listener.close()

    def release(self) -> None:
        """In a forked process: close what is the keeper's."""
        self.listener.close()
        for worker in self.by_process.values():
            worker.close()

    def signal(self, number: signal.Signals) -> None:
        for process_id in self.by_process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)

    def forget(self, process_id: int) -> Worker:
        """A process that has ended."""
        worker = self.by_process.pop(process_id)
        worker.close()
        return worker

    def discard(self) -> None:
        """Once the last process has ended."""
        self.turn_away()
        shutil.rmtree(self.packages, ignore_errors=True)


def _run(
    workers: Workers, listener: socket.socket, status: socket.socket, usage: UsageNote
) -> NoReturn:
    """The life of a forked process; never returns into the keeper's code."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's goes to the keeper, too
        offer_to_killer(LOADING_SCORE)
        own = replace(
            workers.settings,
            model_folder=Path(workers.model.url),
            packages_folder=workers.packages,
        )
        handler = resolve(own)
        assert isinstance(handler, Handler)
        fault = load(handler, workers.model)
        if fault is None:
            offer_to_killer(LOADED_SCORE)
            server = ModelServer(handler, listener, status, usage, own)
            tell(status, None)
            server.run()
            code = 0
        else:
            tell(status, fault)
    except BaseException:
        log.exception("The process of model %s ends", workers.model.name)
    finally:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
