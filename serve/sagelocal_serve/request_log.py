"""One JSON line on stdout for every request but health checks, for those who ask for it."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TextIO

import flask

START = "sagelocal_serve.started"


class RequestLog:
    """Writes method, path, status, sizes in bytes and the time to the first byte of the answer."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def watch(self, app: flask.Flask) -> None:
        """Log every request that the application answers."""
        app.before_request(self._begin)
        app.after_request(self._end)

    def _begin(self) -> None:
        flask.request.environ[START] = time.perf_counter()

    def _end(self, response: flask.Response) -> flask.Response:
        request = flask.request
        if request.path != "/ping":
            elapsed = time.perf_counter() - request.environ[START]
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "pid": os.getpid(),
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "request_bytes": request.content_length,
                "response_bytes": response.content_length,
                "content_type": request.headers.get("Content-Type"),
                "milliseconds": round(elapsed * 1000, 3),
            }
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        return response
