"""A real image registry on this machine, for what is pushed in tests."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "registry-password"
# bcrypt of it, as `htpasswd -B` writes it.
_HTPASSWD = "AWS:$2y$05$abcdefghijklmnopqrstuux7DVfxfgfXTmp/9Tsk6HzX2QQGjxePG\n"
_CONFIGURATION = """\
version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: {deletes}}}
http: {{addr: "127.0.0.1:0"}}
auth:
  htpasswd: {{realm: here, path: {folder}/htpasswd}}
"""


@dataclass(frozen=True)
class ImageRegistry:
    """A registry that runs. It knows the user AWS by the password in `password_file`."""

    address: str
    password_file: Path

    @property
    def settings(self) -> dict[str, str]:
        """What a control plane is told of it."""
        return {"ecr_registry": self.address, "ecr_password_file": str(self.password_file)}


def _program() -> Path:
    program = os.environ.get("SAGELOCAL_TEST_REGISTRY", "")
    if not Path(program).is_file():
        pytest.fail(f"SAGELOCAL_TEST_REGISTRY names no program ({program!r}); run `make registry`")
    return Path(program)


@contextlib.contextmanager
def image_registry(folder: Path, *, deletes: bool = True) -> Iterator[ImageRegistry]:
    """Debian's docker-registry with its data in a folder; ended on leaving."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "password").write_text(PASSWORD + "\n")
    configuration = folder / "config.yml"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, deletes="true" if deletes else "false")
    )
    command: list[str | Path] = [_program(), "serve", configuration]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        address = next(filter(None, map(_listening, process.stderr)), None)
        assert address, "the registry ended before it listened"
        # Its log has to go somewhere, or it stands still when the pipe is full.
        log = threading.Thread(target=collections.deque, args=(process.stderr, 0))
        log.start()
        try:
            yield ImageRegistry(address, folder / "password")
        finally:
            process.terminate()
            log.join()


def _listening(line: str) -> str | None:
    found = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
    return found[1] if found else None
