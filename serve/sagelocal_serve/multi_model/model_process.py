"""What runs in a process of one model: load, say so, then answer whoever connects.

One thread for each connection, and a gate before the model, as in a server of one model. The main
thread accepts, watches the clock for requests that never end, and on SIGTERM lets running ones
finish.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sagelocal_serve.errors import ModelError, ServeError, describe, error_body
from sagelocal_serve.gate import Gate
from sagelocal_serve.interface import Handler, Request, Response
from sagelocal_serve.media_type import JSON, MediaType
from sagelocal_serve.multi_model import wire
from sagelocal_serve.multi_model.faults import OutOfMemory
from sagelocal_serve.multi_model.registry import Model, Use
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

CLOCK_SECONDS = 1.0
# A process that ends because a request did not.
TIMED_OUT_STATUS = 75


class UsageNote:
    """When its process was last called, and how many calls it is on; in memory that both see."""

    _LAYOUT = struct.Struct("<dQ")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def write(self, last_used: float, in_flight: int) -> None:
        self._LAYOUT.pack_into(self._memory, 0, last_used, in_flight)

    def read(self, name: str) -> Use:
        last_used, in_flight = self._LAYOUT.unpack_from(self._memory, 0)
        return Use(name, last_used, in_flight)

    def close(self) -> None:
        self._memory.close()


def load(handler: Handler, model: Model) -> ServeError | None:
    """Prepare and load the model; the error that tells the caller why it could not be."""
    folder = Path(model.url)
    started = time.monotonic()
    try:
        handler.prepare(folder)
        handler.load(folder)
    except MemoryError as error:
        return OutOfMemory(f"There is too little memory to load model {model.name}. {_said(error)}")
    except Exception as error:
        log.exception("Model %s (%s) could not be loaded", model.name, model.target)
        return ModelError(f"The model could not be loaded. {describe(error)}")
    elapsed = time.monotonic() - started
    log.info("Model %s (%s) loaded in %.3f s", model.name, model.target, elapsed)
    return None


def tell(status: socket.socket, fault: ServeError | None) -> None:
    """Let the keeper know how loading went, on one line."""
    found = {"status": fault.status, "message": fault.message} if fault else {"status": 200}
    status.sendall(json.dumps(found).encode() + b"\n")


class ModelServer:
    """Answers on a listening socket."""

    def __init__(
        self,
        handler: Handler,
        listener: socket.socket,
        keeper: socket.socket,
        usage: UsageNote,
        settings: Settings,
    ) -> None:
        """`keeper` is a connection that ends with the keeper."""
        self._handler = handler
        self._listener = listener
        self._keeper = keeper
        self._usage = usage
        self._timeout_seconds = settings.timeout_seconds
        self._gate = Gate(settings.threads, settings.queue_size)
        self._lock = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._busy: set[socket.socket] = set()
        self._running: dict[socket.socket, float] = {}
        self._leaving = False

    def run(self) -> None:
        """Returns when the last request is answered after SIGTERM, or after the keeper's end."""
        alarm, bell = socket.socketpair()
        bell.setblocking(False)
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._listener.setblocking(False)
        while True:
            sources = [self._listener, alarm, self._keeper]
            ready, _, _ = select.select(sources, [], [], CLOCK_SECONDS)
            if alarm in ready or self._keeper in ready:
                break
            if self._listener in ready:
                self._accept()
            self._watch_clock()
        self._finish()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):  # another process of this model took it
            connection, _ = self._listener.accept()
            connection.setblocking(True)
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(wire.Ended, OSError):
            try:
                wire.send_hello(connection, os.getpid())
                while self._answer_one(connection):
                    pass
            finally:
                with self._lock:
                    self._connections.discard(connection)

    def _answer_one(self, connection: socket.socket) -> bool:
        """Whether there may be another request."""
        request = wire.receive_request(connection)
        with self._lock:
            self._busy.add(connection)
            self._note()
        try:
            wire.send_response(connection, self._respond(connection, request))
        finally:
            with self._lock:
                self._running.pop(connection, None)
                self._busy.discard(connection)
                self._note()
                self._lock.notify_all()
        return not self._leaving

    def _respond(self, connection: socket.socket, request: Request) -> Response:
        try:
            self._gate.enter()
        except ServeError as refused:
            return _error(refused)
        self._running[connection] = time.monotonic()
        try:
            response = self._handler.handle(request)
            if not isinstance(response.body, bytes):
                return self._streamed(response, response.body)
        except ServeError as error:
            response = _error(error)
        except MemoryError as error:
            log.exception("The model ran out of memory on a request")
            response = _error(OutOfMemory(f"The model ran out of memory. {_said(error)}"))
        except Exception as error:
            log.exception("The model failed on a request")
            response = _error(ModelError(f"The model failed on this request. {describe(error)}"))
        except BaseException:
            self._gate.leave()
            raise
        self._gate.leave()
        return response

    def _streamed(self, response: Response, chunks: Iterable[bytes]) -> Response:
        """The first chunk is made at once: a model that fails on its input still gives a 500."""
        iterator = iter(chunks)
        first = next(iterator, b"")
        body = self._pieces(chunks, first, iterator)
        return Response(body, response.content_type, response.custom_attributes, response.status)

    def _pieces(
        self, source: Iterable[bytes], first: bytes, rest: Iterator[bytes]
    ) -> Iterator[bytes]:
        try:
            yield first
            yield from rest
        except Exception:
            log.exception("The model failed in the middle of a streamed answer")
            raise OSError("a streamed answer broke off") from None
        finally:
            self._gate.leave()
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def _note(self) -> None:
        self._usage.write(time.monotonic(), len(self._busy))

    def _watch_clock(self) -> None:
        """End the process, for the keeper to start anew, when a request has no end."""
        now = time.monotonic()
        if any(now - since > self._timeout_seconds for since in list(self._running.values())):
            log.error("A request has run for more than %d s; starting anew", self._timeout_seconds)
            logging.shutdown()
            os._exit(TIMED_OUT_STATUS)

    def _finish(self) -> None:
        self._leaving = True
        self._listener.close()
        with self._lock:
            for connection in self._connections - self._busy:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            while self._busy:
                self._lock.wait()


def _error(error: ServeError) -> Response:
    body = error_body(error.status, error.kind, error.message)
    return Response(body, MediaType.parse(JSON), status=error.status)


def _said(error: MemoryError) -> str:
    return describe(error)
