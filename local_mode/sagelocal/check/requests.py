"""Requests as the hosting service sends them."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

from sagelocal.check.subject import SampleRequest


@dataclass(frozen=True)
class Answer:
    """An answer, or why there was none: then `status` is 0 and the body the reason."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return 400 <= self.status < 500

    def told(self) -> str:
        """Status and beginning of the body in one line."""
        text = " ".join(self.body[:200].decode(errors="replace").split())
        return f"{self.status or 'no answer'} {text}".strip()


class Line:
    """One connection to a container, which stays open as long as the container lets it."""

    def __init__(self, address: str, timeout_seconds: float) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=timeout_seconds)

    @property
    def is_open(self) -> bool:
        """Whether the last answer left the connection open."""
        return self._connection.sock is not None

    def close(self) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read the whole answer."""
        try:
            self._connection.request(method, path, body or None, dict(headers or {}))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            told = f"{type(error).__name__}: {error}".encode()
            return Answer(0, told, {}, timed_out=isinstance(error, TimeoutError))
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, content, found)


def send(
    address: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 10,
) -> Answer:
    """One request on a connection of its own."""
    line = Line(address, timeout_seconds)
    try:
        return line.send(method, path, body, headers)
    finally:
        line.close()


def invoke(
    address: str, sample: SampleRequest, timeout_seconds: float, path: str = "/invocations"
) -> Answer:
    """The sample request on a connection of its own."""
    return send(address, "POST", path, sample.body, sample.headers(), timeout_seconds)
