"""Wait until the hosts of a job know each other by name, and until one listens or is gone.

A container may start before the network has the names of all others (developer guide, "How Amazon
SageMaker Provides Training Information": only the names are given, and they may not resolve yet).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from sagelocal_train.errors import PlatformError

WAIT_SECONDS = 15 * 60.0
_LONGEST_PAUSE_SECONDS = 30.0
_LISTENING_PAUSE_SECONDS = 0.2
_CONNECT_SECONDS = 10.0


def wait_until_resolvable(
    hosts: Sequence[str],
    timeout_seconds: float = WAIT_SECONDS,
    resolve: Callable[[str], object] = socket.gethostbyname,
) -> None:
    """Return when every name resolves; PlatformError names the first one that never does."""
    deadline = time.monotonic() + timeout_seconds
    for host in hosts:
        _wait_for(host, deadline, timeout_seconds, resolve)


def wait_until_it_listens(
    host: str,
    port: int,
    worth_it: Callable[[], bool] = lambda: True,
    timeout_seconds: float = WAIT_SECONDS,
) -> None:
    """Return when something listens at the port. PlatformError if `worth_it` ends, or the time."""
    deadline = time.monotonic() + timeout_seconds
    while not _listens(host, port):
        if not worth_it() or time.monotonic() > deadline:
            raise PlatformError(f"Nothing listens at {host}:{port}, which this host needs")
        time.sleep(_LISTENING_PAUSE_SECONDS)


def wait_until_it_is_gone(host: str, port: int) -> None:
    """Return when nothing listens at the port any more."""
    while _listens(host, port):
        time.sleep(_LISTENING_PAUSE_SECONDS)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _wait_for(
    host: str, deadline: float, timeout_seconds: float, resolve: Callable[[str], object]
) -> None:
    pause_seconds = 0.1
    while True:
        try:
            resolve(host)
            return
        except OSError as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PlatformError(
                    f"The host {host!r} of this job has no address after {timeout_seconds:.0f} s "
                    f"({error}); check that its container has started"
                ) from error
        time.sleep(min(pause_seconds, left))
        pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
