"""Script mode by CreateTrainingJob alone: packages, and scripts that find one another."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONTAINERS = Path(__file__).parents[4] / "containers"
# A build backend in the source itself, so that nothing has to be fetched to build the package.
PYPROJECT = """
[project]
name = "trainer"
version = "1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = r"""
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "trainer-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: trainer\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.write("src/trainer/__main__.py", "trainer/__main__.py")
        wheel.write("src/trainer/__init__.py", "trainer/__init__.py")
        wheel.writestr("trainer-1.0.dist-info/METADATA", about)
        wheel.writestr("trainer-1.0.dist-info/WHEEL", kind)
        wheel.writestr("trainer-1.0.dist-info/RECORD", "")
    return name
"""
MAIN = """
import os, pathlib, sys
import trainer
print(sys.argv[1:], trainer.__file__.startswith(os.getcwd()))
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text(trainer.weights())
"""
# Each worker waits for the number of every other at the address that TF_CONFIG gives it.
WORKER = """
import json, os, pathlib, socket, time
said = json.loads(os.environ["TF_CONFIG"])
addresses = [address.split(":") for address in said["cluster"][said["task"]["type"]]]
def connect(host, port):
    while True:
        try: return socket.create_connection((host, int(port)), 5)
        except OSError: time.sleep(0.05)
index = said["task"]["index"]
own = addresses.pop(index)
with socket.create_server((own[0], int(own[1]))) as server:
    for address in addresses:
        with connect(*address) as other: other.sendall(b"%d" % index)
    heard = [int(server.accept()[0].makefile("rb").read()) for _ in addresses]
pathlib.Path(os.environ["SM_MODEL_DIR"], f"worker-{index}").write_text(f"heard {heard}")
"""


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def anywhere(request: pytest.FixtureRequest, start_training: Callable[..., Any]) -> Any:
    """A plane with the product's own images, on each runtime in turn."""
    return start_training(runtime=request.param, containers_dir=str(CONTAINERS))


@pytest.fixture
def here(start_training: Callable[..., Any]) -> Any:
    """The same with processes."""
    return start_training(containers_dir=str(CONTAINERS))


def run(training: Any, program: str, source: dict[str, str], **more: Any) -> dict[str, Any]:
    """A job of the base image whose source lies in S3 as files."""
    for name, text in source.items():
        training.put(f"source/{name}", textwrap.dedent(text).encode())
    parameters = {
        "sagemaker_program": program,
        "sagemaker_submit_directory": "/opt/ml/input/data/code",
        **more.pop("hyperparameters", {}),
    }
    code = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/source/"}
    job: dict[str, Any] = training.run(
        "job",
        AlgorithmSpecification={"TrainingImage": "sagelocal/base:1", "TrainingInputMode": "File"},
        HyperParameters={name: json.dumps(value) for name, value in parameters.items()},
        InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": code}}],
        **more,
    )
    return job


def test_a_source_with_only_a_pyproject_is_installed_and_run_as_a_package(anywhere: Any) -> None:
    source = {
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        "src/trainer/__init__.py": "def weights(): return 'trained'",
        "src/trainer/__main__.py": MAIN,
    }
    job = run(anywhere, "trainer", source, hyperparameters={"epochs": 3})
    assert job["TrainingJobStatus"] == "Completed", (job, anywhere.lines("job"))
    assert "['--epochs', '3'] False" in anywhere.lines("job")
    assert anywhere.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"weights": b"trained"}


def test_a_package_that_cannot_be_built_is_the_reason(anywhere: Any) -> None:
    source = {
        "pyproject.toml": PYPROJECT,
        "backend.py": "def build_wheel(*_, **__): raise RuntimeError('no compiler here')",
        "src/trainer/__init__.py": "",
    }
    job = run(anywhere, "trainer", source)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: InstallModuleError")
    assert "no compiler here" in job["FailureReason"]


def test_workers_of_the_mirrored_strategy_find_one_another(here: Any) -> None:
    job = run(
        here,
        "train.py",
        {"train.py": WORKER},
        hyperparameters={"sagemaker_multi_worker_mirrored_strategy_enabled": True},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1},
    )
    assert job["TrainingJobStatus"] == "Completed", (job, here.lines("job"))
    model = here.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    heard = {name: sorted(json.loads(text[6:])) for name, text in model.items()}
    assert heard == {"worker-0": [1, 2], "worker-1": [0, 2], "worker-2": [0, 1]}
