"""A framework's image without building it: `train` and `serve` in its environment, as a container.

`/opt/ml` is a folder of the test, the port is one of the system's choice.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sagelocal.runtime.environments import Environment, Environments, default_folder
from sagelocal.runtime.images import ImageCatalog

LISTENING = re.compile(r"Listening on \S+ port (\d+)")
DEADLINE_SECONDS = 240.0


@dataclass(frozen=True)
class Image:
    """A family's environment, built if it is not in the cache, and the image's variables."""

    shared: Environment
    variables: Mapping[str, str]

    @staticmethod
    @cache
    def of(family: str) -> Image:
        """By any name of the family."""
        images = ImageCatalog.load()
        image = images.resolve(family)
        assert image is not None, family
        shared = Environments(default_folder(), images).ready(image)
        return Image(shared, images.environment(image))

    @property
    def scripts(self) -> Path:
        """The folder of its programs."""
        return self.shared.scripts


@dataclass
class Container:
    """A container that is not started; `base` is its /opt/ml."""

    scripts: Path
    image_variables: Mapping[str, str]
    base: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @staticmethod
    def of(image: Image, base: Path, scripts: Path | None = None) -> Container:
        """With an empty model folder; `scripts` are those of an environment of its own."""
        (base / "model").mkdir(parents=True)
        return Container(scripts or image.scripts, image.variables, base)

    @property
    def log_path(self) -> Path:
        """Beside /opt/ml, where no test looks for it."""
        return self.base.with_suffix(".log")

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def write(self, relative: str, text: str) -> Path:
        """Write a file of its /opt/ml."""
        path = self.base / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def python(self, code: str) -> str:
        """Run code with the image's Python, in its /opt/ml; what it printed.

        It is a file, because TorchScript reads the source of what it compiles.
        """
        return subprocess.run(
            [self.scripts / "python", "-W", "ignore", self.write("made.py", code)],
            cwd=self.base,
            env={**os.environ, **self.variables},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start `train` or `serve`."""
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                [self.scripts / command],
                env={
                    "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
                    **self.image_variables,
                    "SAGEMAKER_BASE_DIR": str(self.base),
                    **self.variables,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def train(self, script: str, **hyperparameters: object) -> int:
        """Train with a script and the channel `train` to the end; the exit code."""
        encoded = {name: json.dumps(value) for name, value in hyperparameters.items()}
        encoded["sagemaker_program"] = '"train.py"'
        channels = {"train": {"TrainingInputMode": "File"}} if self._has_channel else {}
        self.write("code/train.py", script)
        self.write("input/config/hyperparameters.json", json.dumps(encoded))
        self.write("input/config/inputdataconfig.json", json.dumps(channels))
        return self.start("train").wait(timeout=DEADLINE_SECONDS)

    @property
    def _has_channel(self) -> bool:
        return (self.base / "input" / "data" / "train").exists()

    def serve(self) -> Server:
        """Start `serve`; returns once the model is loaded or could not be."""
        self.variables |= {"SAGEMAKER_BIND_TO_PORT": "0", "MODEL_SERVER_HOST": "127.0.0.1"}
        process = self.start("serve")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (server := self._server()).get("/ping")[0] in (0, 503):
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)
        return server

    def _server(self) -> Server:
        """By the last line that says it: `serve` may begin anew."""
        ports = LISTENING.findall(self.log)
        return Server(f"http://127.0.0.1:{ports[-1]}" if ports else "")

    def end(self) -> None:
        """Stop what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(DEADLINE_SECONDS)


@dataclass(frozen=True)
class Server:
    """A `serve` that listens."""

    address: str

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; status 0 if nobody answers."""
        status, content, _ = self._answer(path, None, {})
        return status, content.decode()

    def ask(
        self,
        body: Any,
        content_type: str = "application/json",
        path: str = "/invocations",
        **headers: str,
    ) -> tuple[int, Any]:
        """Status and JSON of an answer; what is not text is sent as JSON."""
        status, text, _ = self.raw(body, content_type, path, **headers)
        return status, json.loads(text)

    def raw(
        self, body: Any, content_type: str, path: str = "/invocations", **headers: str
    ) -> tuple[int, str, str]:
        """Status, text and content type of an answer."""
        status, content, kind = self.invoke(body, content_type, path, **headers)
        return status, content.decode(), kind

    def invoke(
        self, body: Any, content_type: str, path: str = "/invocations", **headers: str
    ) -> tuple[int, bytes, str]:
        """Status, bytes and content type of an answer; headers that are empty are not sent."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        sent = text.encode() if isinstance(text, str) else text
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        return self._answer(path, sent, {"Content-Type": content_type, **named})

    def attributes(self, attributes: str, body: Any) -> tuple[int, Any]:
        """An answer to a request with custom attributes."""
        return self.ask(body, X_Amzn_SageMaker_Custom_Attributes=attributes)

    def load(self, folder: Path) -> tuple[int, str]:
        """Load one of many models under its folder's name."""
        wanted = {"model_name": folder.name, "url": str(folder)}
        status, text, _ = self.raw(wanted, "application/json", "/models")
        return status, text

    def _answer(
        self, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, str]:
        if not self.address:
            return 0, b"", ""
        request = urllib.request.Request(self.address + path, body, dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
                return response.status, response.read(), response.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers["Content-Type"]
        except OSError:
            return 0, b"", ""
