"""Packages and requirements of script mode, with the real pip in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.package_index import create_on_top, create_with_pip, make_wheel

ROOT = Path(__file__).parents[2]
ROOMS = (ROOT / "train", ROOT / "containers/requirements")
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
    return create_with_pip(tmp_path_factory.mktemp("environment"), system_site_packages=True)


@pytest.fixture
def run(job: Any, python: Path) -> Callable[..., tuple[int, str]]:
    """Run the job's script by that Python, without any package index."""

    def train(python: Path = python) -> tuple[int, str]:
        own = {"PYTHONPATH": os.pathsep.join(map(str, ROOMS)), "PIP_NO_INDEX": "1"}
        done = subprocess.run(
            [python, "-c", START],
            env={"PATH": os.environ["PATH"], **job.environment(), **own},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return train


def test_requirements_are_installed_before_the_script_runs(
    job: Any, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "required_here")
    job.code("requirements.txt", f"{wheel}\n")
    job.code("train.py", "import required_here\nprint('version', required_here.VERSION)")
    job.hyperparameters(sagemaker_program="train.py")

    exit_code, output = run()

    assert exit_code == 0, output
    assert "version 1.0\n" in output


def test_requirements_that_cannot_be_had_are_the_reason(
    job: Any, run: Callable[..., tuple[int, str]]
) -> None:
    job.code("requirements.txt", "no-such-package-anywhere==9\n").code("train.py", "")
    job.hyperparameters(sagemaker_program="train.py")

    exit_code, output = run()

    failure = job.failure.read_text()
    assert exit_code == 1, output
    assert failure.startswith("InstallRequirementsError:\nExitCode 1\nErrorMessage \"'no-such-")
    assert "'no-such-package-anywhere==9' is not in the package index that was asked" in failure
    assert "No matching distribution found for no-such-package-anywhere==9" in failure
    assert "-r requirements.txt" in failure


def test_the_next_job_that_asks_for_the_same_installs_nothing(
    job: Any, run: Callable[..., tuple[int, str]], python: Path, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "for_every_job")
    job.code("requirements.txt", "for_every_job\n")
    job.code("train.py", "import for_every_job\nprint('version', for_every_job.VERSION)")
    job.hyperparameters(sagemaker_program="train.py")
    (job.base / ".packages").mkdir()
    job.variables["PIP_FIND_LINKS"] = str(tmp_path)

    first = run(create_on_top(tmp_path / "first", python))
    wheel.unlink()
    second = run(create_on_top(tmp_path / "second", python))

    assert [exit_code for exit_code, _ in (first, second)] == [0, 0], first[1] + second[1]
    assert "Successfully installed for_every_job-1.0" in first[1]
    assert "Nothing to install" in second[1]
    assert "version 1.0\n" in second[1]


def test_a_package_is_installed_on_top_of_what_is_kept_of_its_requirements(
    job: Any, run: Callable[..., tuple[int, str]], python: Path, tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "for_the_package")
    job.code("pyproject.toml", PYPROJECT).code("backend.py", BACKEND).code("setup.py", "")
    job.code("src/trainer.py", "import for_the_package as p\nprint('version', p.VERSION)")
    job.code("requirements.txt", "for_the_package\n")
    job.hyperparameters(sagemaker_program="trainer")
    (job.base / ".packages").mkdir()
    job.variables["PIP_FIND_LINKS"] = str(tmp_path)

    first = run(create_on_top(tmp_path / "first", python))
    wheel.unlink()
    second = run(create_on_top(tmp_path / "second", python))

    assert [exit_code for exit_code, _ in (first, second)] == [0, 0], first[1] + second[1]
    assert "Requirement already satisfied: for_the_package" in second[1]
    assert "Successfully installed trainer-1.0" in second[1]
    assert "version 1.0\n" in second[1]


@pytest.mark.parametrize("name", ["trainer", "trainer.py"])
@pytest.mark.parametrize("marker", ["setup.py", None])
def test_a_package_is_installed_and_run_as_a_module(
    job: Any, run: Callable[..., tuple[int, str]], name: str, marker: str | None
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
