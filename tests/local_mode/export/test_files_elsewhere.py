"""What runs elsewhere before the container: the steps that bring the model, run here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sagelocal.domain.models import ModelData
from sagelocal.export.description import Files, Service
from sagelocal.export.fetching import steps

from tests.local_mode.engine.hosting.conftest import tar_gz
from tests.local_mode.export.conftest import MakeService

pytestmark = pytest.mark.clients


@pytest.fixture
def run_steps(
    start_plane: Callable[..., Any], clients_python: Path, tmp_path: Path
) -> Callable[[Service], Path]:
    """Runs the steps with the AWS CLI and the shell here; the root of what the container sees."""
    plane = start_plane()
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="toy.tar.gz", Body=tar_gz({"a/weights": b"1", "b": b"2"}))
    s3.put_object(Bucket="models", Key="toy/a/weights", Body=b"3")
    s3.put_object(Bucket="models", Key="toy.pt", Body=b"4")
    environment = {
        **os.environ,
        "PATH": f"{clients_python.parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": plane.url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
    }

    def run(service: Service) -> Path:
        root = tmp_path / "root"
        for step in steps(service):
            for path in step.volumes.values():
                (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
            words = [word.replace(" /", f" {root}/") for word in step.arguments]
            command = ["aws", *words] if step.reads_s3 else words
            moved = [f"{root}{word}" if word.startswith("/") else word for word in command]
            subprocess.run(moved, env=environment, check=True, capture_output=True)
        return root / "opt/ml/model"

    return run


@pytest.mark.parametrize(
    ("url", "layout", "expected"),
    [
        ("s3://models/toy.tar.gz", "archive", {"a/weights": b"1", "b": b"2"}),
        ("s3://models/toy/", "prefix", {"a/weights": b"3"}),
        ("s3://models/toy.pt", "object", {"toy.pt": b"4"}),
    ],
)
def test_the_model_comes_to_where_the_container_looks(
    url: str,
    layout: Any,
    expected: dict[str, bytes],
    make_service: MakeService,
    run_steps: Callable[[Service], Path],
) -> None:
    service = make_service(files=(Files(ModelData(url, layout), url, "unused"),))

    folder = run_steps(service)

    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == expected
