"""What hands a request through the containers of a pipeline, as SageMaker does: a program.

    python3 front.py 8080 8081,8082
    python3 front.py 8080 first:8081,second:8082

It listens on the first port; the containers are on the others, of this host or of theirs. Each
container's answer is the next one's request, with its
Content-Type, and the client's Accept is for the last. An answer that is no success ends the chain
and goes to the client. /ping is 200 when that of every container is.

Targets run this file's text by `python3 -c`: it needs Python 3.10 and nothing else.
"""

from __future__ import annotations

import http.client
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS, PING_SECONDS = 60, 2
_HANDED_ON = ("content-type", "x-amzn-sagemaker-")


class Front(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    containers: tuple[str, ...] = ()  # PORT or HOST:PORT of each
    under_way: set[BaseHTTPRequestHandler] = set()  # noqa: RUF012  # those of all connections

    def do_GET(self) -> None:
        if self.path != "/ping":
            self.answer(404, b"GET /ping or POST /invocations", {})
            return
        for container in self.containers:
            status, body, headers = self.ask(container, "GET", "/ping", b"", {}, PING_SECONDS)
            if status != 200:
                self.answer(status, body, headers)
                return
        self.answer(200, b"", {})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        if self.path != "/invocations" or length is None:
            self.close_connection = True
            status, words = (404, b"POST /invocations") if length else (411, b"no Content-Length")
            self.answer(status, words, {})
            return
        self.under_way.add(self)
        try:
            self.answer(*self.passed_through(self.rfile.read(int(length))))
        finally:
            self.under_way.discard(self)

    def passed_through(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the last container's answer, or of the first that fails."""
        headers = {n: v for n, v in self.headers.items() if n.lower().startswith(_HANDED_ON)}
        *before, last = self.containers
        for container in before:
            status, body, answered = self.post(container, body, headers)
            if not 200 <= status < 300:
                return status, body, answered
            kind = {n: v for n, v in answered.items() if n.lower() == "content-type"}
            headers = {n: v for n, v in headers.items() if n.lower() != "content-type"} | kind
        accept = self.headers.get("Accept")
        return self.post(last, body, {**headers, "Accept": accept} if accept else headers)

    def post(
        self, container: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        return self.ask(container, "POST", "/invocations", body, headers, ANSWER_SECONDS)

    def ask(
        self,
        container: str,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        timeout_seconds: float,
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of a container's answer; 502 or 504 where there is none."""
        host, _, port = container.rpartition(":")
        connection = http.client.HTTPConnection(
            host or "127.0.0.1", int(port), timeout=timeout_seconds
        )
        try:
            connection.request(method, path, body, headers)
            found = connection.getresponse()
            kept = {n: v for n, v in found.getheaders() if n.lower().startswith(_HANDED_ON)}
            return found.status, found.read(), kept
        except (OSError, http.client.HTTPException) as error:
            status = 504 if isinstance(error, TimeoutError) else 502
            return status, f"The container on {container}: {error!r}".encode(), {}
        finally:
            connection.close()

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
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


def main() -> None:
    """Serve until SIGTERM, and answer what is under way by then."""
    Front.containers = tuple(sys.argv[2].split(","))
    with Server(("", int(sys.argv[1])), Front) as server:
        # Of a thread of its own, for it waits until the loop below has ended.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print("handing requests through", *Front.containers, flush=True)
        server.serve_forever(poll_interval=0.1)
    while Front.under_way:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
