"""Is a container healthy? GET /ping, as hosting asks it.

Source: developer guide, "Use Your Own Inference Code with Hosting Services": 200 within two seconds
means ready.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

# Between two tries while a container comes up: often at first, then a share of the time it has
# taken so far, never rarer than the last. Half a second is what readiness may go unnoticed at most.
FIRST_DELAY_SECONDS = 0.01
LAST_DELAY_SECONDS = 0.2
DELAY_SHARE = 0.05


def ping(address: str, timeout_seconds: float) -> str | None:
    """None if `address` (http://host:port) answers 200 in time, else what happened instead."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=timeout_seconds
    )
    try:
        connection.request("GET", "/ping")
        status = connection.getresponse().status
    except TimeoutError:
        return f"it did not answer within {timeout_seconds:g} seconds"
    except (OSError, http.client.HTTPException) as error:
        return f"it did not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"it answered {status}"


def delay_after(elapsed_seconds: float) -> float:
    """How long to wait before the next try, in seconds."""
    return min(LAST_DELAY_SECONDS, max(FIRST_DELAY_SECONDS, elapsed_seconds * DELAY_SHARE))
