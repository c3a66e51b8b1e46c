"""The scikit-learn image without building it: its handler in process, or `serve` and `train`."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pytest
from sagelocal.runtime.private_environment import make_private
from sagelocal_scikit_learn.serving import app
from sagelocal_serve import Accept, Handler, MediaType, Request, Settings

from tests.containers.framework import Container, Image


@dataclass
class Model:
    """The model folder of a container, and its handler once that is loaded."""

    base: Path
    handler: Handler | None = None

    @property
    def folder(self) -> Path:
        return self.base / "model"

    def dump(self, estimator: object, name: str = "model.joblib", **options: Any) -> Model:
        """Save an estimator as a notebook does."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(estimator, path, **options)
        return self

    def write(self, name: str, text: str) -> Model:
        """Write a file of the archive."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def load(self) -> Model:
        """Load it as `serve` does."""
        variables = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.base)}
        self.handler = app(Settings.read(variables))
        self.handler.prepare(self.folder)
        self.handler.load(self.folder)
        return self

    def ask(self, body: str | bytes, content_type: str = "text/csv", accept: str = "") -> Any:
        """The answer: parsed if it is JSON, else text, else bytes."""
        if self.handler is None:
            self.load()
        assert self.handler is not None
        raw = body.encode() if isinstance(body, str) else body
        response = self.handler.handle(
            Request(raw, MediaType.parse(content_type), Accept.parse(accept))
        )
        assert isinstance(response.body, bytes)
        kind = response.content_type.essence
        if kind == "application/json":
            return json.loads(response.body)
        return response.body.decode() if kind == "text/csv" else response.body


@pytest.fixture
def model(tmp_path: Path) -> Model:
    found = Model(tmp_path / "ml")
    found.folder.mkdir(parents=True)
    return found


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    """A container that is not started, with an environment of its own to install into."""
    image = Image.of("scikit-learn")
    scripts = make_private(image.shared.folder, tmp_path / "environment", {})
    container = Container.of(image, tmp_path / "ml", scripts)
    yield container
    container.end()
