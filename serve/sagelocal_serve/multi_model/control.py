"""Asking the keeper, from any process and thread, and how it hears that.

A connection for each question: one line of JSON in, one line out, with an HTTP status in it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from sagelocal_serve.errors import ServeError, Unavailable
from sagelocal_serve.multi_model.addresses import control_address
from sagelocal_serve.multi_model.faults import fault_of
from sagelocal_serve.multi_model.registry import Model

QUICKLY_SECONDS = 1.5

Document = dict[str, Any]


class Control:
    """What the keeper can be asked. Its refusals are ServeErrors."""

    def __init__(self, folder: Path) -> None:
        self._address = str(control_address(folder))

    def load(self, model: Model) -> None:
        """Returns when it is loaded. Raises AlreadyLoaded, ModelNotFound, OutOfMemory."""
        self._ask("load", name=model.name, url=model.url, target=model.target)

    def unload(self, name: str) -> None:
        """Returns when its memory is free. Raises ModelNotFound."""
        self._ask("unload", name=name)

    def urls(self) -> dict[str, str]:
        """The folder of every loaded model, by name."""
        found: dict[str, str] = self._ask("list")["models"]
        return found

    def describe(self, name: str) -> Document:
        """`name`, `url`, `workers` and `memory_bytes`. Raises ModelNotFound."""
        return self._ask("describe", name=name)

    def health(self) -> tuple[int, int]:
        """How many models there are, and how many of them have all their processes.

        Raises Unavailable while the keeper does not answer.
        """
        try:
            found = self._ask("health", timeout_seconds=QUICKLY_SECONDS)
        except TimeoutError as slow:
            raise Unavailable("The server is starting.") from slow
        return found["models"], found["whole"]

    def how_it_died(self, process_id: int) -> str:
        """`killed`, `unloaded`, `ended with status N`, or `unknown`."""
        with contextlib.suppress(TimeoutError):
            return str(
                self._ask("died", process_id=process_id, timeout_seconds=QUICKLY_SECONDS)["how"]
            )
        return "unknown"

    def _ask(
        self, operation: str, *, timeout_seconds: float | None = None, **details: Any
    ) -> Document:
        question = json.dumps({"operation": operation, **details}).encode() + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_seconds)
            try:
                connection.connect(self._address)
                connection.sendall(question)
                with connection.makefile("rb") as answers:
                    line = answers.readline()
            except TimeoutError:
                raise
            except OSError as error:
                raise Unavailable("The keeper of models does not answer.") from error
        if not line:
            raise Unavailable("The server is stopping.")
        reply: Document = json.loads(line)
        if reply["status"] != 200:
            raise fault_of(reply["status"], reply["message"])
        return reply


class Caller:
    """Who has connected to the keeper, as the keeper sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._read = b""

    def question(self) -> Document | None:
        """What is asked, once it is there; raises ConnectionError when the caller has gone."""
        received = self.connection.recv(1 << 20)
        if not received:
            raise ConnectionAbortedError
        self._read += received
        line, complete, _ = self._read.partition(b"\n")
        return json.loads(line) if complete else None

    def answer(self, reply: Document) -> None:
        with self.connection, contextlib.suppress(OSError):
            self.connection.setblocking(True)
            self.connection.sendall(json.dumps(reply).encode() + b"\n")

    def refuse(self, fault: ServeError) -> None:
        self.answer({"status": fault.status, "message": fault.message})
