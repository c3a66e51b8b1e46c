"""How many connections a process may have open."""

from __future__ import annotations

import contextlib
import resource

MOST = 16384
# For everything that is no connection.
SPARE = 64


def room_for_connections() -> int:
    """As many as the limit on descriptors leaves, after raising it as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE
    if soft < wanted:
        possible = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
            soft = possible
    return max(16, min(MOST, soft - SPARE))
