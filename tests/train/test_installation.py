"""Packages and requirements of script mode, with the real pip in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TRAIN = Path(__file__).parents[2] / "train"
WHEEL_FILES = {
    "METADATA": "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}
# A build backend in the source itself, so that nothing has to be fetched to build the package.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = f"""
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "trainer-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.write("src/trainer.py", "trainer.py")
        for file, text in {WHEEL_FILES!r}.items():
            wheel.writestr("trainer-1.0.dist-info/" + file, text.format(name="trainer"))
    return name
"""
START = "import sys; from sagelocal_train.cli import main; sys.exit(main([]))"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip and setuptools where a test may install things."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder], check=True)
    return folder / "bin/python"


@pytest.fixture
def run(job: Any, python: Path) -> Callable[[], tuple[int, str]]:
    """Run the job's script by that Python, without any package index."""

    def train() -> tuple[int, str]:
        own = {"PYTHONPATH": str(TRAIN), "PIP_NO_INDEX": "1"}
        done = subprocess.run(
            [python, "-c", START],
            env={"PATH": os.environ["PATH"], **job.environment(), **own},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return train


def _wheel(folder: Path, name: str) -> Path:
    """A package with one module, as pip installs it without building anything."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "VALUE = 42\n")
        for file, text in WHEEL_FILES.items():
            wheel.writestr(f"{name}-1.0.dist-info/{file}", text.format(name=name))
    return path


def test_requirements_are_installed_before_the_script_runs(
    job: Any, run: Callable[[], tuple[int, str]], tmp_path: Path
) -> None:
    wheel = _wheel(tmp_path, "required_here")
    job.code("requirements.txt", f"{wheel}\n")
    job.code("train.py", "import required_here\nprint('value', required_here.VALUE)")
    job.hyperparameters(sagemaker_program="train.py")

    exit_code, output = run()

    assert exit_code == 0, output
    assert "value 42\n" in output


def test_requirements_that_cannot_be_had_are_the_reason(
    job: Any, run: Callable[[], tuple[int, str]]
) -> None:
    job.code("requirements.txt", "no-such-package-anywhere==9\n").code("train.py", "")
    job.hyperparameters(sagemaker_program="train.py")

    exit_code, output = run()

    failure = job.failure.read_text()
    assert exit_code == 1, output
    assert failure.startswith("InstallRequirementsError:\nExitCode 1\n")
    assert "No matching distribution found for no-such-package-anywhere==9" in failure
    assert "-r requirements.txt" in failure


@pytest.mark.parametrize("name", ["trainer", "trainer.py"])
@pytest.mark.parametrize("marker", ["setup.py", None])
def test_a_package_is_installed_and_run_as_a_module(
    job: Any, run: Callable[[], tuple[int, str]], name: str, marker: str | None
) -> None:
    job.code("pyproject.toml", PYPROJECT).code("backend.py", BACKEND)
    job.code("src/trainer.py", "import sys\nprint('ran as', __name__, sys.argv[1:])")
    job.hyperparameters(sagemaker_program=name, epochs=2)
    if marker is not None:
        job.code(marker, "")

    exit_code, output = run()

    if marker is None and name.endswith(".py"):  # the original's rule: a program, or nothing
        assert "The entry point 'trainer.py' is not in" in output
        return
    assert exit_code == 0, output
    assert "ran as __main__ ['--epochs', '2']" in output
