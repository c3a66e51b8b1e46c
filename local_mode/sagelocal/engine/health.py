"""Is a container healthy? GET /ping, as hosting asks it.

Source: developer guide, "Use Your Own Inference Code with Hosting Services": 200 within two seconds
means ready. Nothing there says that a container has given up; images on sagelocal's serving toolkit
do, by a 500 whose JSON body has the reason as its `message`.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

# Between two tries while a container comes up: often at first, then a share of the time it has
# taken so far, never rarer than the last. Half a second is what readiness may go unnoticed at most.
FIRST_DELAY_SECONDS = 0.01
LAST_DELAY_SECONDS = 0.2
DELAY_SHARE = 0.05


# A container that says for so long that it has failed is believed.
GIVEN_UP_SECONDS = 2.0
_LONGEST_BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Problem:
    """Why a container is not healthy. `reason` is its own, if it says that it has failed."""

    text: str
    reason: str | None = None


def ping(address: str, timeout_seconds: float) -> Problem | None:
    """None if `address` (http://host:port) answers 200 in time, else what happened instead."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=timeout_seconds
    )
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        if response.status == http.client.OK:
            return None
        reason = None
        if response.status == http.client.INTERNAL_SERVER_ERROR:
            reason = _reason(response.read(_LONGEST_BODY_BYTES))
        return Problem(f"it answered {response.status}", reason)
    except TimeoutError:
        return Problem(f"it did not answer within {timeout_seconds:g} seconds")
    except (OSError, http.client.HTTPException) as error:
        return Problem(f"it did not answer: {error or type(error).__name__}")
    finally:
        connection.close()


def _reason(body: bytes) -> str | None:
    try:
        message = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError):
        return None
    return message if isinstance(message, str) and message else None


class Patience:
    """Whether to go on waiting for a container, told of every answer of its /ping in turn."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._since = 0.0

    def is_over(self, problem: Problem) -> bool:
        """Whether it has said for GIVEN_UP_SECONDS that it failed, and why."""
        now = time.monotonic()
        if problem.reason is None or problem.reason != self._reason:
            self._reason, self._since = problem.reason, now
        return problem.reason is not None and now - self._since >= GIVEN_UP_SECONDS


def delay_after(elapsed_seconds: float) -> float:
    """How long to wait before the next try, in seconds."""
    return min(LAST_DELAY_SECONDS, max(FIRST_DELAY_SECONDS, elapsed_seconds * DELAY_SHARE))
