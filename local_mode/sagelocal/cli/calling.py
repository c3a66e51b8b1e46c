"""One HTTP request to a model, and where it goes: a container's port, or an endpoint of a plane."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from sagelocal.cli import plane_process, serving_state

INVOCATIONS = "/invocations"
# The plane looks at whom a request is for, not at its signature.
_CREDENTIAL = "Credential=sagelocal/20260101/{region}/sagemaker/aws4_request"
_AUTHORIZATION = f"AWS4-HMAC-SHA256 {_CREDENTIAL}, SignedHeaders=host, Signature=0"


class CallError(Exception):
    """There is nobody to call, or no answer came; the text is for the user, with the next step."""


@dataclass(frozen=True)
class Target:
    """Where to POST to: `netloc` is host:port."""

    netloc: str
    path: str = INVOCATIONS
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took in seconds."""

    status: int
    reason: str
    body: bytes
    seconds: float

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def problem(self) -> str:
        """What the container says of a request that it did not take: status, kind and words."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            text = self.body.decode(errors="replace").strip()
            return (
                f"{self.status} {self.reason}: {text}" if text else f"{self.status} {self.reason}"
            )
        if "OriginalStatusCode" in found:
            return _of_model(found)
        kind = found.get("type") or str(found.get("__type", self.reason)).rpartition("#")[2]
        words = found.get("message") or found.get("Message") or self.body.decode(errors="replace")
        return f"{self.status} {kind}: {words}"


def _of_model(error: Mapping[str, object]) -> str:
    """A ModelError of InvokeEndpoint: what the container said to the plane."""
    said = str(error.get("OriginalMessage", "")).encode()
    inner = Answer(int(str(error["OriginalStatusCode"])), "ModelError", said, 0.0)
    return inner.problem


def find_target(where: str | None, data_dir: Path, region: str) -> Target:
    """What `--to` means: a URL, a port, the name of an endpoint; None is the running serve.

    Raises CallError.
    """
    if where is None:
        return _url(_the_served().url)
    if where.isdigit():
        return Target(f"127.0.0.1:{where}")
    if "://" in where:
        return _url(where)
    return _endpoint(where, data_dir, region)


def _the_served() -> serving_state.Served:
    served = serving_state.running()
    if len(served) == 1:
        return served[0]
    if not served:
        raise CallError(
            "no `sagelocal serve` is running; start one, or say with --to what to call "
            "(a URL, a port, or the name of an endpoint)"
        )
    some = ", ".join(sorted(f"{each.url} ({each.model})" for each in served))
    raise CallError(f"several models are served: {some}; choose one with --to")


def _url(text: str) -> Target:
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.netloc:
        raise CallError(f"--to {text} is no address such as http://127.0.0.1:8080")
    query = f"?{parts.query}" if parts.query else ""
    path = parts.path if parts.path not in ("", "/") else INVOCATIONS
    return Target(parts.netloc, path + query)


def _endpoint(name: str, data_dir: Path, region: str) -> Target:
    try:
        plane = plane_process.require(data_dir)
    except plane_process.PlaneError as error:
        raise CallError(f"{name} would be an endpoint, and {error}") from error
    headers = {"Authorization": _AUTHORIZATION.format(region=region)}
    path = f"/endpoints/{quote(name, safe='')}{INVOCATIONS}"
    return Target(urlsplit(plane.url).netloc, path, headers)


@dataclass(frozen=True)
class Caller:
    """Sends the same request; `headers` are those of the request besides the target's."""

    target: Target
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    timeout_seconds: float

    def connect(self) -> http.client.HTTPConnection:
        """A connection for one thread, to be closed by it."""
        return http.client.HTTPConnection(self.target.netloc, timeout=self.timeout_seconds)

    def call(self, connection: http.client.HTTPConnection) -> Answer:
        """One request and its whole answer. Raises CallError."""
        began = time.perf_counter()
        try:
            headers = {**self.target.headers, **self.headers}
            connection.request("POST", self.target.path, self.body, headers)
            response = connection.getresponse()
            body = response.read()
        except TimeoutError as error:
            raise CallError(f"no answer within {self.timeout_seconds:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            raise CallError(
                f"nobody answers at {self.target.netloc}: {error or type(error).__name__}"
            ) from error
        seconds = time.perf_counter() - began
        return Answer(response.status, response.reason, body, seconds)
