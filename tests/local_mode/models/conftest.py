"""Models of every family, as the families themselves save them, and the command that reads them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sagelocal.cli.main import main

GOLDEN = Path(__file__).parent / "golden"


class Command:
    """`sagelocal model`, in this process: starting one takes longer than the command."""

    def __call__(self, *arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["model", *map(str, arguments)], env={"COLUMNS": "200"})

    def inspect(self, path: Path) -> dict[str, Any]:
        """What it says of a model."""
        done = self("inspect", path, "--json")
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refusal(self, *arguments: str | Path) -> str:
        """What it says of one that it does not take."""
        done = self(*arguments)
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit)
        return done.stderr.strip()


@pytest.fixture(scope="session")
def command() -> Command:
    return Command()


@pytest.fixture
def archived(tmp_path: Path) -> Callable[[Path], Path]:
    """A folder as model.tar.gz."""

    def archive(folder: Path) -> Path:
        path = tmp_path / "model.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for each in sorted(folder.iterdir()):
                tar.add(each, each.name)
        return path

    return archive
