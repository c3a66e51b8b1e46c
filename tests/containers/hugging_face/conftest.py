"""The Hugging Face image without building it: `train` and `serve` in its environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.framework import Container, Image


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container for the tests of one module, which knows no network."""
    base = tmp_path_factory.mktemp("hugging_face") / "ml"
    container = Container.of(Image.of("hugging-face"), base)
    container.variables |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(base / "hub")}
    yield container
    container.end()
