"""What a container's log begins with: one line for what is not as the request asks for.

Another version of the framework than its image's name says, fewer GPUs than its instance type has.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sagelocal.runtime.interface import Runtime
from sagelocal.runtime.supervisor.loglines import format_lines

log = logging.getLogger(__name__)


def say_version(
    runtime: Runtime, image: str, log_path: Path, who: str, more: str | None = None
) -> None:
    """Begin a container's log with the line, if there is one to say, and tell the plane's too.

    `more` is another line. A log that has begun already says both. `who` runs the container, for
    the plane's log. Raises RuntimeFault.
    """
    if log_path.exists() and log_path.stat().st_size:
        return
    notes = [note for note in (runtime.version_note(image), more) if note is not None]
    if not notes:
        return
    for note in notes:
        log.warning("%s: %s", who, note)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as file:
        file.write(format_lines([note.encode() for note in notes], int(time.time() * 1000)))
