"""The PyTorch image without building it: `train` and `serve` in its environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.framework import Container, Image


@pytest.fixture(scope="module")
def pytorch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container for the tests of one module."""
    container = Container.of(Image.of("pytorch"), tmp_path_factory.mktemp("pytorch") / "ml")
    yield container
    container.end()
