"""What chooses among the models of one container, as SageMaker does: a program.

    python3 loader.py 8090 8080 /opt/ml/models

It listens on the first port. A request names its model (X-Amzn-SageMaker-Target-Model), whose
archive lies unpacked in the folder, in NAME/model: NAME are the first 32 digits of the SHA-256 of
what it is called. The first request has the container load it; one that has no room gives up the
model that was asked for longest ago. With a fourth word, `forget`, none is kept when it has
answered. (Developer guide, "Custom Containers Contract for Multi-Model Endpoints".)
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Mapping

from sagelocal.export.gate import (
    ANSWER_SECONDS,
    PING_SECONDS,
    Answer,
    Gate,
    ask,
    handed_on,
    serve,
)

LOAD_SECONDS = 360
TARGET = "X-Amzn-SageMaker-Target-Model"


class Container:
    """The container, and which models it has loaded. `address` is PORT or HOST:PORT."""

    def __init__(self, address: str, folder: str, keeps: bool = True) -> None:
        self.address, self.folder, self.keeps = address, folder, keeps
        self.changed = threading.Condition()
        self.loading: dict[str, threading.Lock] = {}
        self.calls: dict[str, int] = {}  # of each model that is loaded, least lately asked first

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        return ask(self.address, method, path, body, headers, seconds)

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
                answer = self.ask("POST", path, body, headers)
            finally:
                self.give_back(name)
            if answer[0] == 507 and self.make_room(name):
                continue
            if answer[0] == 404 and self.ask("GET", f"/models/{name}", seconds=10)[0] == 404:
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
        self.ask("DELETE", f"/models/{name}")


class Loader(Gate):
    """One connection of a client."""

    container: Container

    def ping(self) -> Answer:
        return self.container.ask("GET", "/ping", seconds=PING_SECONDS)

    def invoke(self, body: bytes) -> Answer:
        target = self.headers.get(TARGET)
        if target is None:
            return 400, f"Name the model by the header {TARGET}".encode(), {}
        return self.container.invoke(target, body, handed_on(self.headers.items(), "accept"))


if __name__ == "__main__":
    port, address, folder, *forget = sys.argv[1:]
    Loader.container = Container(address, folder, keeps=not forget)
    serve(int(port), Loader, f"choosing among the models of {address}")
