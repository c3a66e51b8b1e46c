"""Sends requests to models over connections that stay open."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sagelocal_serve.errors import ModelError
from sagelocal_serve.interface import Request, Response
from sagelocal_serve.multi_model import wire
from sagelocal_serve.multi_model.addresses import model_address
from sagelocal_serve.multi_model.control import Control
from sagelocal_serve.multi_model.faults import ModelNotFound, OutOfMemory


class _Connection:
    """An open connection to a process of a model."""

    def __init__(self, address: Path) -> None:
        """Raises OSError or wire.Ended where nobody listens any more."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(address))
            self.process_id = wire.receive_hello(self.socket)
        except BaseException:
            self.socket.close()
            raise

    def is_usable(self) -> bool:
        """Whether its process has not closed it; there is nothing else it could say."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)


class Relay:
    """Calls models by name. Safe to use from any thread."""

    def __init__(self, folder: Path, control: Control) -> None:
        self._folder = folder
        self._control = control
        self._lock = threading.Lock()
        self._idle: dict[str, deque[_Connection]] = {}

    def call(self, name: str, request: Request) -> Response:
        """The model's answer, errors of the model included.

        Raises ModelNotFound, OutOfMemory or ModelError when its process died of the request.
        """
        connection = self._take(name) or self._open(name)
        try:
            wire.send_request(connection.socket, request)
            response, streamed = wire.receive_response(connection.socket)
        except (OSError, wire.Ended) as error:
            connection.socket.close()
            raise self._post_mortem(name, connection.process_id) from error
        except BaseException:
            connection.socket.close()
            raise
        if streamed:
            return replace(response, body=_Pieces(self, name, connection))
        self.give_back(name, connection)
        return response

    def give_back(self, name: str, connection: _Connection) -> None:
        with self._lock:
            self._idle.setdefault(name, deque()).append(connection)

    def forget(self, name: str) -> None:
        """Close what is open to a model that is gone."""
        with self._lock:
            idle = self._idle.pop(name, deque())
        for connection in idle:
            connection.socket.close()

    def _take(self, name: str) -> _Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(name)
                if not idle:
                    self._idle.pop(name, None)
                    return None
                connection = idle.pop()
            if connection.is_usable():
                return connection
            connection.socket.close()

    def _open(self, name: str) -> _Connection:
        try:
            return _Connection(model_address(self._folder, name))
        except (OSError, wire.Ended) as error:
            raise ModelNotFound.named(name) from error

    def _post_mortem(self, name: str, process_id: int) -> ModelNotFound | OutOfMemory | ModelError:
        how = self._control.how_it_died(process_id)
        if how == "unloaded":
            return ModelNotFound.named(name)
        if how == "killed":
            return OutOfMemory(
                "Worker died. The model's process was killed on this request, most likely because "
                "memory ended; another one has taken its place."
            )
        # Multi Model Server's words, which clients look for.
        return ModelError("Worker died.")


class _Pieces:
    """The body of a streamed answer; its connection is free again when it was read to the end."""

    def __init__(self, relay: Relay, name: str, connection: _Connection) -> None:
        self._relay = relay
        self._name = name
        self._connection = connection
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        yield from wire.receive_pieces(self._connection.socket)
        self._is_over = True
        self._relay.give_back(self._name, self._connection)

    def close(self) -> None:
        if not self._is_over:
            self._connection.socket.close()
