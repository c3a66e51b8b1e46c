"""Which runtime a plane gets, with and without an engine that answers."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

CHOOSE = """
import json, sys, time
from pathlib import Path
from sagelocal.runtime.choose import choose_runtime
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeUnavailable
from sagelocal.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]), runtime=sys.argv[2])
before = time.monotonic()
try:
    name = choose_runtime(settings, ImageCatalog.load()).name
except RuntimeUnavailable as error:
    name = str(error)
print(json.dumps([name, time.monotonic() - before, "docker" in sys.modules]))
"""


def _choose(
    folder: Path, runtime: str, host: str | None, **variables: str
) -> tuple[str, float, bool]:
    environment = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
    environment |= variables
    if host is not None:
        environment["DOCKER_HOST"] = host
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE, str(folder), runtime],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    name, seconds, imported = json.loads(done.stdout)
    return name, seconds, imported


def test_without_an_engine_auto_means_processes(tmp_path: Path) -> None:
    name, seconds, imported = _choose(tmp_path, "auto", f"unix://{tmp_path}/nobody.sock")
    assert (name, imported) == ("process", False)
    assert seconds < 1


def test_an_engine_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        name, seconds, _ = _choose(tmp_path, "auto", f"tcp://127.0.0.1:{port}")
    assert name == "process"
    assert seconds < 2


def test_an_engine_that_refuses_is_none(tmp_path: Path) -> None:
    path = tmp_path / "refusing.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def refuse() -> None:
            with server.accept()[0] as channel:
                channel.recv(1024)
                channel.sendall(b"HTTP/1.0 503 Service Unavailable\r\n\r\n")

        refusing = threading.Thread(target=refuse)
        refusing.start()
        name, _, _ = _choose(tmp_path, "auto", f"unix://{path}")
        refusing.join()
    assert name == "process"


def test_docker_that_is_asked_for_and_does_not_answer_is_said(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/nobody.sock"
    said, _, _ = _choose(tmp_path, "docker", host)
    assert said.startswith(f"No Docker engine answers at {host}")
    assert "--runtime process" in said
    assert "\n" not in said


def test_the_engine_of_the_docker_commands_context_is_asked(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/of-the-context.sock"
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "mine", "Endpoints": {"docker": {"Host": host}}}))
    (tmp_path / "config.json").write_text('{"currentContext": "mine"}')
    said, _, _ = _choose(tmp_path, "docker", None, DOCKER_CONFIG=str(tmp_path))
    assert said.startswith(f"No Docker engine answers at {host}")


def test_processes_are_had_without_asking_for_an_engine(tmp_path: Path) -> None:
    before = time.monotonic()
    name, _, imported = _choose(tmp_path, "process", "unix:///nonexistent")
    assert (name, imported) == ("process", False)
    assert time.monotonic() - before < 30


@pytest.mark.docker
@pytest.mark.parametrize("runtime", ["auto", "docker"])
def test_an_engine_that_answers_is_used(tmp_path: Path, runtime: str) -> None:
    name, _, _ = _choose(tmp_path, runtime, None)
    assert name == "docker"
