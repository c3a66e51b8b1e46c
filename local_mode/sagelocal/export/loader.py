"""What chooses among the models of one container, as SageMaker does: a program.

    python3 loader.py 8090 8080 /opt/ml/models

It listens on the first port. A request names its model (X-Amzn-SageMaker-Target-Model), whose
archive lies unpacked in the folder, in NAME/model: NAME are the first 32 digits of the SHA-256 of
what it is called. The first request has the container load it; one that has no room gives up the
model that was asked for longest ago. With a fourth word, `forget`, none is kept when it has
answered. (Developer guide, "Custom Containers Contract for Multi-Model Endpoints".)

Targets run this file's text by `python3 -c`: it needs Python 3.10 and nothing else.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS, PING_SECONDS, LOAD_SECONDS = 60, 2, 360
TARGET = "X-Amzn-SageMaker-Target-Model"
_HANDED_ON = ("accept", "content-type", "x-amzn-sagemaker-")
Answer = tuple[int, bytes, dict[str, str]]


class Container:
    """The container, and which models it has loaded. `address` is PORT or HOST:PORT."""

    def __init__(self, address: str, folder: str, keeps: bool = True) -> None:
        host, _, port = address.rpartition(":")
        self.host, self.port = host or "127.0.0.1", int(port)
        self.folder, self.keeps = folder, keeps
        self.changed = threading.Condition()
        self.loading: dict[str, threading.Lock] = {}
        self.calls: dict[str, int] = {}  # of each model that is loaded, least lately asked first

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], seconds: float
    ) -> Answer:
        """Its answer; 502 or 504 where there is none."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            connection.request(method, path, body, headers)
            found = connection.getresponse()
            kept = {n: v for n, v in found.getheaders() if n.lower().startswith(_HANDED_ON)}
            return found.status, found.read(), kept
        except (OSError, http.client.HTTPException) as error:
            status = 504 if isinstance(error, TimeoutError) else 502
            return status, f"The container on port {self.port}: {error!r}".encode(), {}
        finally:
            connection.close()

    def invoke(self, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        """A model's answer to a request; it is loaded first, and anew if the container lost it."""
        name = hashlib.sha256(target.encode()).hexdigest()[:32]
        if not os.path.isdir(os.path.join(self.folder, name, "model")):
            return 404, f"There is no model {target!r}".encode(), {}
        answer: Answer = (503, b"", {})
        for _ in range(2):
            refusal = self.take(name, target)
            if refusal is not None:
                return refusal
            try:
                path = f"/models/{name}/invoke"
                answer = self.ask("POST", path, body, headers, ANSWER_SECONDS)
            finally:
                self.give_back(name)
            if answer[0] == 507 and self.make_room(name):
                continue
            if answer[0] == 404 and self.ask("GET", f"/models/{name}", b"", {}, 10)[0] == 404:
                with self.changed:
                    self.calls.pop(name, None)
                continue
            break
        return answer

    def take(self, name: str, target: str) -> Answer | None:
        """Have the model loaded until `give_back`; why not, if it cannot be."""
        with self.changed:
            lock = self.loading.setdefault(name, threading.Lock())
        with lock:
            with self.changed:
                if name in self.calls:
                    self.calls[name] = self.calls.pop(name) + 1
                    return None
            told = {"model_name": name, "url": f"/opt/ml/models/{name}/model"}
            headers = {"Content-Type": "application/json", TARGET: target}
            while True:
                answer = self.ask(
                    "POST", "/models", json.dumps(told).encode(), headers, LOAD_SECONDS
                )
                if answer[0] != 507 or not self.make_room(name):
                    break
            if answer[0] not in (200, 409):
                return answer
            with self.changed:
                self.calls[name] = 1
            return None

    def give_back(self, name: str) -> None:
        with self.changed:
            self.calls[name] -= 1
            idle = not self.keeps and not self.calls[name]
            if idle:
                del self.calls[name]
            self.changed.notify_all()
        if idle:
            self.unload(name)

    def make_room(self, wanted: str) -> bool:
        """Unload the other model that was asked for longest ago, once it is idle; False if there is
        none.
        """
        with self.changed:
            until = time.monotonic() + ANSWER_SECONDS
            while True:
                others = [name for name in self.calls if name != wanted]
                idle = [name for name in others if not self.calls[name]]
                left = until - time.monotonic()
                if not others or (not idle and left <= 0):
                    return False
                if idle:
                    break
                self.changed.wait(left)
            del self.calls[idle[0]]
        self.unload(idle[0])
        return True

    def unload(self, name: str) -> None:
        self.ask("DELETE", f"/models/{name}", b"", {}, ANSWER_SECONDS)


class Loader(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    container: Container
    under_way: set[BaseHTTPRequestHandler] = set()  # noqa: RUF012  # those of all connections

    def do_GET(self) -> None:
        if self.path != "/ping":
            self.answer(404, b"GET /ping or POST /invocations", {})
            return
        self.answer(*self.container.ask("GET", "/ping", b"", {}, PING_SECONDS))

    def do_POST(self) -> None:
        length, target = self.headers.get("Content-Length"), self.headers.get(TARGET)
        if self.path != "/invocations" or length is None:
            self.close_connection = True
            status, words = (404, b"POST /invocations") if length else (411, b"no Content-Length")
            self.answer(status, words, {})
            return
        body = self.rfile.read(int(length))
        if target is None:
            self.answer(400, f"Name the model by the header {TARGET}".encode(), {})
            return
        self.under_way.add(self)
        try:
            headers = {n: v for n, v in self.headers.items() if n.lower().startswith(_HANDED_ON)}
            self.answer(*self.container.invoke(target, body, headers))
        finally:
            self.under_way.discard(self)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The container has a log of its own."""


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 1024  # those of a burst wait here; of more than five each waits a second


def main() -> None:
    """Serve until SIGTERM, and answer what is under way by then."""
    port, address, folder, *forget = sys.argv[1:]
    Loader.container = Container(address, folder, keeps=not forget)
    with Server(("", int(port)), Loader) as server:
        # Of a thread of its own, for it waits until the loop below has ended.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print("choosing among the models of", address, flush=True)
        server.serve_forever(poll_interval=0.1)
    while Loader.under_way:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
