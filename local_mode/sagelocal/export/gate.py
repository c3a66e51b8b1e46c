"""What the programs before containers have in common: a client's connection, a container's answer.

`chaining` puts this text into theirs in place of their import of it, so that what is exported is
one program, which needs Python 3.10 and nothing else.
"""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS, PING_SECONDS = 60, 2
Answer = tuple[int, bytes, dict[str, str]]  # status, body, headers


def handed_on(headers: Iterable[tuple[str, str]], *also: str) -> dict[str, str]:
    """The headers that go through: the content type, SageMaker's own, and those named."""
    kept = ("content-type", "x-amzn-sagemaker-", *also)
    return {name: value for name, value in headers if name.lower().startswith(kept)}


def ask(
    container: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Answer:
    """The answer of a container (PORT or HOST:PORT); 502 or 504 where there is none."""
    host, _, port = container.rpartition(":")
    connection = http.client.HTTPConnection(host or "127.0.0.1", int(port), timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers or {}))
        found = connection.getresponse()
        return found.status, found.read(), handed_on(found.getheaders())
    except (OSError, http.client.HTTPException) as error:
        status = 504 if isinstance(error, TimeoutError) else 502
        return status, f"The container on {container}: {error!r}".encode(), {}
    finally:
        connection.close()


class Gate(BaseHTTPRequestHandler):
    """One connection of a client: GET /ping and POST /invocations."""

    protocol_version = "HTTP/1.1"
    under_way: set[BaseHTTPRequestHandler] = set()  # noqa: RUF012  # those of all connections

    def ping(self) -> Answer:
        raise NotImplementedError

    def invoke(self, body: bytes) -> Answer:
        raise NotImplementedError

    def do_GET(self) -> None:
        known = self.path == "/ping"
        self.answer(*self.ping() if known else (404, b"GET /ping or POST /invocations", {}))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        if self.path != "/invocations" or length is None:
            self.close_connection = True
            status, words = (404, b"POST /invocations") if length else (411, b"no Content-Length")
            self.answer(status, words, {})
            return
        self.under_way.add(self)
        try:
            self.answer(*self.invoke(self.rfile.read(int(length))))
        finally:
            self.under_way.discard(self)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The containers have logs of their own."""


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 1024  # those of a burst wait here; of more than five each waits a second


def serve(port: int, gate: type[Gate], says: str) -> None:
    """Serve until SIGTERM, and answer what is under way by then."""
    with Server(("", port), gate) as server:
        # Of a thread of its own, for it waits until the loop below has ended.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(says, flush=True)
        server.serve_forever(poll_interval=0.1)
    while gate.under_way:
        time.sleep(0.05)
