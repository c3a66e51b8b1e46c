"""Which `sagelocal serve` commands run, so that `sagelocal invoke` finds them.

    DATA/serving/PID.json    {"url": "http://127.0.0.1:8080", "model": "model.tar.gz"}

The file goes with its command; one whose process is gone is swept away by the next who looks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sagelocal.cli.plane_process import default_data_dir

FOLDER = "serving"


@dataclass(frozen=True)
class Served:
    """A model that is being served."""

    url: str
    model: str


@contextmanager
def remembered(served: Served) -> Iterator[None]:
    """Let others find what this process serves, inside."""
    folder = default_data_dir() / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"url": served.url, "model": served.model}))
    temporary.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running() -> list[Served]:
    """What is served now, in no order."""
    found = []
    for path in (default_data_dir() / FOLDER).glob("*.json"):
        if not _is_alive(int(path.stem)):
            path.unlink(missing_ok=True)
            continue
        try:
            document = json.loads(path.read_text())
            found.append(Served(document["url"], document["model"]))
        except (OSError, ValueError, KeyError):
            continue
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
