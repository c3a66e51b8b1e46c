"""Where the Docker engine is, and whether it answers, without importing its client.

As for the docker command: DOCKER_HOST, else the context of DOCKER_CONTEXT or of the configuration
(`docker context use`), else /var/run/docker.sock. An engine behind ssh:// or TLS is taken to
answer: the client finds out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
_REQUEST = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"


def engine_host() -> str:
    """Where the engine is, as a URL."""
    return os.environ.get("DOCKER_HOST") or _context_host() or DEFAULT_HOST


def _context_host() -> str | None:
    """The address in the current context's file; None for the default context."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = os.environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if not name or name == "default":
        return None
    digest = hashlib.sha256(name.encode()).hexdigest()
    context = _read(folder / "contexts" / "meta" / digest / "meta.json")
    host = context.get("Endpoints", {}).get("docker", {}).get("Host")
    return str(host) if host else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
