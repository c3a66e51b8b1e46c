"""TensorFlow Serving's REST API on a port of this container's own, for `context.rest_uri`.

    POST /v1/models/NAME[/versions/V]:predict    also :classify, :regress
    GET  /v1/models/NAME[/versions/V]            which versions are loaded
    GET  /v1/models/NAME[/versions/V]/metadata   their signatures

A handler of a script posts there, to one model or to several after one another. Nobody outside
reaches it, and it lives in the process that holds the models.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from sagelocal_tensorflow import bodies
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.models import Models

HOST = "127.0.0.1"
USUAL_PORT = 8501

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+))?"
    r"(?:(?P<metadata>/metadata)|:(?P<method>\w+))?"
)


class RestServer:
    """A running server; `address` is what stands before the path."""

    def __init__(self, models: Models, ports: tuple[int, int] | None = None) -> None:
        """`ports` are those that the platform leaves to servers inside; else the usual one."""
        self._server = _listening(_candidates(ports), models)
        self.port = int(self._server.server_address[1])
        self.address = f"http://localhost:{self.port}"
        _spare_proxies("localhost", HOST)
        threading.Thread(target=self._server.serve_forever, name="rest", daemon=True).start()

    def uri(self, name: str, version: str | None, method: str) -> str:
        """Where a method of a model is."""
        place = f"/versions/{version}" if version else ""
        return f"{self.address}/v1/models/{name}{place}:{method}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def answer(models: Models, path: str, body: bytes | None) -> bytes:
    """The JSON for one request; a `body` of None is a GET. Raises Refused."""
    found = _PATH.fullmatch(path)
    if found is None or (body is None) == bool(found["method"]):
        raise Refused(f"Malformed request: {'GET' if body is None else 'POST'} {path}")
    if body is None and not found["metadata"]:
        return _status(models, found["name"], found["version"])
    servable = models.find(found["name"], found["version"])
    if body is None:
        return _metadata(servable.bundle.name, servable.bundle.version, servable.described)
    return models.call(found["method"], servable, _document(body))


def _document(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        raise Refused(bodies.EMPTY)
    try:
        document = bodies.parse(body)
    except ValueError as error:
        raise Refused(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise Refused("JSON Value: the document Is not object")
    return document


def _status(models: Models, name: str, version: str | None) -> bytes:
    versions = [models.find(name, version).bundle.version] if version else models.versions(name)
    healthy = {"error_code": "OK", "error_message": ""}
    states = [{"version": str(v), "state": "AVAILABLE", "status": healthy} for v in versions]
    return json.dumps({"model_version_status": states}).encode()


def _metadata(name: str, version: int, described: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {
            "model_spec": {"name": name, "signature_name": "", "version": str(version)},
            "metadata": {"signature_def": {"signature_def": dict(described)}},
        }
    ).encode()


class _Server(http.server.ThreadingHTTPServer):
    models: Models


class _Requests(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes; the second must not wait for an acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._reply(None)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self._reply(self.rfile.read(int(length)) if length.isdigit() else self._chunks())

    def _chunks(self) -> bytes:
        """A body that comes in pieces, as `requests` sends what a generator yields."""
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _reply(self, body: bytes | None) -> None:
        status = 200
        try:
            content = answer(self.server.models, self.path, body)
        except Refused as refused:
            status, content = refused.status, refused.body()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The endpoint's own log has the request."""


def _candidates(ports: tuple[int, int] | None) -> Iterator[int]:
    # As the original, the second of a pair is REST's; behind them, whatever is free.
    first = ports[0] + 1 if ports else USUAL_PORT
    yield from range(first, min(first + 20, ports[1] + 1) if ports else first + 1)
    yield 0


def _listening(candidates: Iterator[int], models: Models) -> _Server:
    for port in candidates:
        with contextlib.suppress(OSError):
            server = _Server((HOST, port), _Requests)
            server.models = models
            return server
    raise OSError("no port of this machine is free for the REST API")


def _spare_proxies(*hosts: str) -> None:
    """A proxy of the container's environment cannot know the container's own addresses."""
    for name in ("NO_PROXY", "no_proxy"):
        listed = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*listed, *hosts]))
