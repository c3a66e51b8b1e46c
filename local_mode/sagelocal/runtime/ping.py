"""Whether a Docker engine answers, without importing its client.

DOCKER_HOST says where it listens (unix:// or tcp://), as for the docker command; unset, it is
/var/run/docker.sock. Anything else (ssh://, npipe://, TLS) counts as an engine that answers later:
the client finds out.
"""

from __future__ import annotations

import contextlib
import os
import socket
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
_REQUEST = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"


def engine_host() -> str:
    """Where the engine is, as a URL."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def engine_answers(timeout_seconds: float = 0.3) -> bool:
    """Whether `GET /_ping` is answered with 200 in time."""
    url = urlsplit(engine_host())
    if url.scheme not in ("unix", "tcp") or os.environ.get("DOCKER_TLS_VERIFY"):
        return True
    with contextlib.suppress(OSError, ValueError):
        return _ping(url.scheme, url.path, url.hostname, url.port or 2375, timeout_seconds)
    return False


def _ping(scheme: str, path: str, host: str | None, port: int, timeout_seconds: float) -> bool:
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(timeout_seconds)
            channel.connect(path)
            return _is_ok(channel)
    with socket.create_connection((host or "127.0.0.1", port), timeout_seconds) as channel:
        return _is_ok(channel)


def _is_ok(channel: socket.socket) -> bool:
    channel.sendall(_REQUEST)
    status_line = channel.recv(64).split(b"\r\n", 1)[0].split()
    return len(status_line) > 1 and status_line[1] == b"200"
