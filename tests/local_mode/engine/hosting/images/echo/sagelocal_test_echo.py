"""A container for tests: it answers with what it got, or does what it is told.

The environment says how it starts (START = exit | failed:WHY | hungry:MEBIBYTES | mute | sick |
slow:SECONDS), what it is called (MODEL_TAG) and its execution parameters (PARAMETERS); the body of
a request may be `sleep SECONDS`, `die`, `status CODE WORDS`, `file NAME`, `environment NAME`,
`headers`, `garbage`, `stream WORD ...`, which answers one word at a time, each when another request
has said `go on`, `drip WORD`, which gives one word and then dots for ever, `dripping`, how many get
dots, or `zeros BYTES`. Anything else comes back as it is.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BASE = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
START, _, START_VALUE = os.environ.get("START", "").partition(":")
STARTED_AT = time.monotonic()
GO_ON = threading.Semaphore(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "Server"

    def do_GET(self) -> None:
        if self.path == "/execution-parameters":
            told = os.environ.get("PARAMETERS")
            self.answer((told or "").encode(), 200 if told else 404, tagged=False)
            return
        if START == "mute":
            time.sleep(3600)
        if START == "failed":
            self.answer(json.dumps({"code": 500, "message": START_VALUE}).encode(), 500)
            return
        sick = START == "sick" or (
            START == "slow" and time.monotonic() - STARTED_AT < float(START_VALUE)
        )
        if not sick:
            self.server.log_health()
        self.answer(b"", 503 if sick else 200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        word, _, rest = body[:200].decode("latin-1").partition(" ")
        action = getattr(self, f"on_{word}", None)
        if action is None:
            self.answer(body)
        else:
            action(rest)

    def on_sleep(self, seconds: str) -> None:
        time.sleep(float(seconds))
        self.answer(b"awake")

    def on_die(self, _: str) -> None:
        print("about to die", flush=True)
        os._exit(3)

    def on_status(self, rest: str) -> None:
        code, _, words = rest.partition(" ")
        self.answer(words.encode(), int(code))

    def on_file(self, name: str) -> None:
        with open(f"{BASE}/model/{name}", "rb") as file:
            self.answer(file.read())

    def on_files(self, _: str) -> None:
        found = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(f"{BASE}/model")
            for name in names
        ]
        self.answer(
            json.dumps(sorted(os.path.relpath(path, f"{BASE}/model") for path in found)).encode()
        )

    def on_environment(self, name: str) -> None:
        self.answer(os.environ.get(name, "").encode())

    def on_headers(self, _: str) -> None:
        self.answer(json.dumps(dict(self.headers.items())).encode())

    def on_garbage(self, _: str) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")
        self.close_connection = True

    def on_go(self, _: str) -> None:
        GO_ON.release()
        self.answer(b"")

    def on_stream(self, words: str) -> None:
        first, *others = words.split(" ")
        self.begin()
        self.chunk(first)
        for word in others:
            GO_ON.acquire()
            self.chunk(word)
        self.chunk("")

    def on_drip(self, word: str) -> None:
        self.server.dripping += 1
        try:
            self.begin()
            self.chunk(word)
            while True:
                time.sleep(0.05)
                self.chunk(".")
        except OSError:
            self.server.dripping -= 1

    def on_dripping(self, _: str) -> None:
        self.answer(str(self.server.dripping).encode())

    def on_zeros(self, size: str) -> None:
        self.answer(bytes(int(size)))

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", os.environ.get("ANSWER_TYPE", "text/plain"))
        self.send_header("Transfer-Encoding", "chunked")
        self.custom_attributes()
        self.end_headers()

    def chunk(self, text: str) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text.encode()))
        self.wfile.flush()

    def custom_attributes(self) -> None:
        if attributes := self.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", attributes[::-1])

    def answer(self, body: bytes, status: int = 200, *, tagged: bool = True) -> None:
        if tagged and (tag := os.environ.get("MODEL_TAG")):
            body = tag.encode() + b":" + body
        self.send_response(status)
        asked = str(self.headers.get("Content-Type", ""))
        self.send_header("Content-Type", os.environ.get("ANSWER_TYPE") or asked)
        self.send_header("Content-Length", str(len(body)))
        self.custom_attributes()
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    healthy = False
    dripping = 0

    def log_health(self) -> None:
        if not self.healthy:
            self.healthy = True
            print(f"healthy at {time.time()}", flush=True)


def main() -> None:
    print("starting with", *sys.argv[1:], flush=True)
    if START == "exit":
        print("the model is broken", flush=True)
        sys.exit(7)
    if START == "hungry":
        print("loading", len(bytearray(int(START_VALUE) * 1024**2)), "bytes", flush=True)
        time.sleep(20)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Server(
        ("0.0.0.0", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler
    ).serve_forever()
