"""A server of many models, and models for it: folders with an inference.py."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

# Answers with what its folder says, or does what the body tells it.
SCRIPT = """
import os, pathlib, signal, time

BALLAST = []

def model_fn(model_dir):
    folder = pathlib.Path(model_dir)
    if (folder / "hold").exists():
        while not (folder / "go").exists():
            time.sleep(0.01)
    if (folder / "mebibytes").exists():
        size = int((folder / "mebibytes").read_text()) * 1024 * 1024
        BALLAST.append(os.urandom(4096) * (size // 4096))
    if (folder / "broken").exists():
        raise ValueError("the weights are torn")
    if (folder / "out-of-memory").exists():
        raise MemoryError("no room for weights")
    if (folder / "dies").exists():
        os._exit(9)
    return folder

def transform_fn(model, body, content_type, accept):
    word = body if isinstance(body, str) else body.decode()
    if word == "die":
        os._exit(3)
    if word == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "raise":
        raise RuntimeError("a bad request for this model")
    if word == "out of memory":
        raise MemoryError("no room for this request")
    if word == "pid":
        return str(os.getpid()), "text/plain"
    if word == "hold":
        (model / "entered").touch()
        while not (model / "go").exists():
            time.sleep(0.01)
    if word == "stream":
        return (f"piece {n} " for n in range(3)), "text/plain"
    return f"{model.name} says {word}", "text/plain"
"""


@dataclass
class ManyModels:
    """A running server of many models."""

    server: Any
    folder: Path

    def make(self, name: str, script: str = SCRIPT, **files: str) -> Path:
        """A model's folder with these files beside its script."""
        folder = self.folder / name
        (folder / "code").mkdir(parents=True)
        (folder / "code" / "inference.py").write_text(script)
        for path, content in files.items():
            (folder / path.replace("_", "-")).write_text(content)
        return folder

    def load(self, name: str, url: Path | str | None = None) -> Any:
        body = {"model_name": name, "url": str(url or self.folder / name)}
        return self.post("/models", body)

    def make_and_load(self, name: str, **files: str) -> Path:
        folder = self.make(name, **files)
        assert self.load(name).status == 200
        return folder

    def post(self, path: str, document: object) -> Any:
        return self.server.request(
            "POST", path, json.dumps(document).encode(), {"Content-Type": "application/json"}
        )

    def get(self, path: str) -> Any:
        return self.server.request("GET", path)

    def unload(self, name: str) -> Any:
        return self.server.request("DELETE", f"/models/{quote(name, safe='')}")

    def invoke(self, name: str, body: str = "hello") -> Any:
        return self.server.request(
            "POST",
            f"/models/{quote(name, safe='')}/invoke",
            body.encode(),
            {"Content-Type": "text/plain"},
        )

    def answer(self, name: str, body: str = "hello") -> str:
        found = self.invoke(name, body)
        assert found.status == 200, found.body
        return str(found.body.decode())

    def names(self) -> list[str]:
        return [model["modelName"] for model in json.loads(self.get("/models").body)["models"]]


def error(answer: Any, status: int) -> Mapping[str, Any]:
    """The body of an error, which must be Multi Model Server's shape."""
    assert answer.status == status, answer.body
    body: Mapping[str, Any] = json.loads(answer.body)
    assert set(body) == {"code", "type", "message"}
    assert body["code"] == status
    return body


def _serving_from(server: Any, base_dir: Path) -> ManyModels:
    folder = base_dir / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return ManyModels(server.wait_until_ready(), folder)


@pytest.fixture
def start_many(start_server: Callable[..., Any], base_dir: Path) -> Callable[..., ManyModels]:
    """Starts servers of many models, in script mode unless a handler is named."""
    return lambda *handler, **environment: _serving_from(
        start_server(*handler, SAGEMAKER_MULTI_MODEL="true", **environment), base_dir
    )


@pytest.fixture(scope="module")
def shared(
    new_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyModels]:
    """One server in script mode for the tests of a module."""
    base_dir = tmp_path_factory.mktemp("many") / "ml"
    base_dir.mkdir()
    many = _serving_from(new_server(base_dir, SAGEMAKER_MULTI_MODEL="true"), base_dir)
    yield many
    many.server.close()


@pytest.fixture
def many(shared: ManyModels) -> Iterator[ManyModels]:
    """The shared server, with no models in it before and after."""
    yield shared
    for name in shared.names():
        assert shared.unload(name).status == 200
    for folder in shared.folder.iterdir():
        shutil.rmtree(folder)


@pytest.fixture(name="error")
def error_fixture() -> Callable[[Any, int], Mapping[str, Any]]:
    """Checks an error's status and shape and gives its body."""
    return error
