"""The TensorFlow image without building it: its environment, and SavedModels made once.

TensorFlow's import takes seconds, so one process makes all models and modules share endpoints.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.framework import Container, Image

MAKE_MODELS = Path(__file__).with_name("make_models.py")
NewContainer = Callable[[], Container]


@pytest.fixture(scope="session")
def image() -> Image:
    """The image's environment."""
    return Image.of("tensorflow")


@pytest.fixture(scope="session")
def models(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SavedModels (make_models.py says which)."""
    folder = tmp_path_factory.mktemp("saved-models")
    subprocess.run(
        [image.scripts / "python", "-W", "ignore", MAKE_MODELS, folder],
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return folder


@pytest.fixture(scope="module")
def new_container(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewContainer]:
    """Makes containers that end with the module."""
    made: list[Container] = []

    def make() -> Container:
        made.append(Container.of(image, tmp_path_factory.mktemp("container") / "ml"))
        return made[-1]

    yield make
    for container in made:
        container.end()


@pytest.fixture(scope="module")
def with_models(new_container: NewContainer, models: Path) -> Callable[..., Container]:
    """`with_models("texts", code={"inference.py": "..."})`: a container that has these models."""

    def make(*names: str, code: dict[str, str] | None = None) -> Container:
        container = new_container()
        for name in names:
            shutil.copytree(models / name, container.base / "model" / name)
        for name, text in (code or {}).items():
            container.write(f"model/code/{name}", text)
        return container

    return make
