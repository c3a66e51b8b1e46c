"""The MXNet image without building it: its console scripts run by a Python that has mxnet."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("train", "serve", "containers/formats", "containers/requirements", "containers/mxnet")
# What the serving toolkit stands on; pure Python, so that it may come from another environment.
LIBRARIES = (
    *("flask", "werkzeug", "jinja2", "markupsafe", "itsdangerous", "click", "blinker"),
    *("gunicorn", "packaging"),
)
LISTENING = re.compile(r"Listening on \S+ port (\d+)")
START = (
    "import sys; from sagelocal_{0}.cli import main; sys.argv = ['{0}', '{0}']; sys.exit(main())"
)


@dataclass
class Image:
    """One container of the image: `base` is its /opt/ml."""

    python: Path
    libraries: Path
    base: Path
    log_path: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write(self, relative: str, text: str) -> Path:
        """Write a file of the container's /opt/ml."""
        path = self.base / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def environment(self) -> dict[str, str]:
        image = tomllib.loads((ROOT / "containers/mxnet/image.toml").read_text(encoding="utf-8"))
        paths = [*(str(ROOT / room) for room in ROOMS), str(self.libraries)]
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONWARNINGS": "ignore",
            "SAGEMAKER_BASE_DIR": str(self.base),
            **image["environment"],
            **self.variables,
        }

    @property
    def log(self) -> str:
        """What the container wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start `train` or `serve`."""
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                [str(self.python), "-c", START.format(command)],
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def train(self) -> int:
        """Train to the end and return the exit code."""
        return self.start("train").wait(timeout=240)


@dataclass(frozen=True)
class Endpoint:
    """A serving container that listens."""

    address: str

    def get(self, path: str) -> tuple[int, str]:
        return _answer(urllib.request.Request(self.address + path))

    def invoke(self, body: str, content_type: str, accept: str = "") -> tuple[int, str]:
        headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
        url = f"{self.address}/invocations"
        return _answer(urllib.request.Request(url, body.encode(), headers))


def _answer(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pure-Python packages that the toolkit for serving needs, as links."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} is not installed"
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)
    return folder


@pytest.fixture
def image(mxnet_python: Path, libraries: Path, tmp_path: Path) -> Iterator[Image]:
    """A container that is not started; what a test leaves running is ended."""
    image = Image(mxnet_python, libraries, tmp_path / "ml", tmp_path / "log")
    (image.base / "model").mkdir(parents=True)
    yield image
    for process in image.started:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)


@pytest.fixture
def serve(image: Image) -> Callable[[], Endpoint]:
    """Start `serve` on a port of the system's choice; returns when the model is loaded or not."""

    def start() -> Endpoint:
        image.variables |= {
            "SAGEMAKER_BIND_TO_PORT": "0",
            "MODEL_SERVER_HOST": "127.0.0.1",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        }
        process = image.start("serve")
        deadline = time.monotonic() + 60
        while (found := LISTENING.search(image.log)) is None:
            assert process.poll() is None, image.log
            assert time.monotonic() < deadline, image.log
            time.sleep(0.02)
        endpoint = Endpoint(f"http://127.0.0.1:{found[1]}")
        while endpoint.get("/ping")[0] == 503:
            assert time.monotonic() < deadline, image.log
            time.sleep(0.02)
        return endpoint

    return start
