"""The control plane as a server: every operation there is, on a real plane."""

from __future__ import annotations

from collections.abc import Callable

from sagelocal.gateway import web_server
from sagelocal.services.plane import open_plane
from sagelocal.services.table import OPERATIONS
from sagelocal.settings import Settings


def serve(settings: Settings, on_listening: Callable[[str], None] | None = None) -> None:
    """Answer until SIGTERM or SIGINT. Ends the process with status 1 if it cannot start.

    `on_listening` is called once with the address, when the data directory and the port are ours.
    Port 0 lets the system choose one.
    """
    web_server.run(settings, open_plane, OPERATIONS, on_listening)
