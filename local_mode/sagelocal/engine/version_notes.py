"""The one line that says that a container runs another version than its image's name asks for."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sagelocal.runtime.interface import Runtime
from sagelocal.runtime.supervisor.loglines import format_lines

log = logging.getLogger(__name__)


def say_version(runtime: Runtime, image: str, log_path: Path, who: str) -> None:
    """Begin a container's log with the line, if there is one to say, and tell the plane's too.

    A log that has begun already says it. `who` runs the container, for the plane's log. Raises
    RuntimeFault.
    """
    if log_path.exists() and log_path.stat().st_size:
        return
    note = runtime.version_note(image)
    if note is None:
        return
    log.warning("%s: %s", who, note)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as file:
        file.write(format_lines([note.encode()], int(time.time() * 1000)))
