"""One JSON line on stdout for every request but health checks, for those who ask for it.

A WSGI middleware, so that an application of the user's own is logged as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from sagelocal_serve.entry import WsgiApp


class RequestLog:
    """Writes method, path, status, sizes in bytes and the time to the first byte of the answer."""

    def __init__(self, application: WsgiApp, stream: TextIO | None = None) -> None:
        self._application = application
        self._stream = stream or sys.stdout

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/ping":
            return self._application(environ, start_response)
        begin = time.perf_counter()

        def start_and_log(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._write(environ, status, headers, time.perf_counter() - begin)
            return start_response(status, headers, *more)

        return self._application(environ, start_and_log)

    def _write(
        self, environ: dict[str, Any], status: str, headers: list[tuple[str, str]], seconds: float
    ) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "pid": os.getpid(),
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "status": int(status[:3]),
            "request_bytes": _number(environ.get("CONTENT_LENGTH")),
            "response_bytes": _number(
                next((value for name, value in headers if name.lower() == "content-length"), None)
            ),
            "content_type": environ.get("CONTENT_TYPE") or None,
            "inference_id": environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID"),
            "milliseconds": round(seconds * 1000, 3),
        }
        # One write, so that the lines of several workers do not mix.
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
