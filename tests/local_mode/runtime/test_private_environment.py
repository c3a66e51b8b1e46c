"""What a job installs is its own, on the process runtime as in a container."""

from __future__ import annotations

import subprocess
import venv
import zipfile
from pathlib import Path

import pytest
from sagelocal.runtime.private_environment import make_private


def _wheel(folder: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{about}/entry_points.txt", f"[console_scripts]\n{name}={name}:main\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with one package in it."""
    folder = tmp_path_factory.mktemp("shared") / "environment"
    venv.create(folder, with_pip=True)
    wheel = _wheel(folder.parent, "common", "1.0")
    _run(folder / "bin" / "pip", "install", "--no-index", wheel)
    return folder


def test_it_has_the_packages_of_the_shared_one(shared: Path, tmp_path: Path) -> None:
    scripts = make_private(shared, tmp_path / "own")

    assert _run(scripts / "python", "-c", "import common; print(common.VERSION)") == "1.0"


def test_installed_packages_stay_in_it(shared: Path, tmp_path: Path) -> None:
    scripts = make_private(shared, tmp_path / "own")
    wheel = _wheel(tmp_path, "extra", "2.0")

    _run(scripts / "pip", "install", "--no-index", wheel)

    assert _run(scripts / "python", "-c", "import extra; print(extra.VERSION)") == "2.0"
    assert (scripts / "extra").exists()
    assert not list(shared.glob("lib/python*/site-packages/extra*"))
    assert not (shared / "bin" / "extra").exists()


def test_another_version_takes_the_place_of_the_shared_one_for_this_container_only(
    shared: Path, tmp_path: Path
) -> None:
    scripts = make_private(shared, tmp_path / "own")

    _run(scripts / "pip", "install", "--no-index", _wheel(tmp_path, "common", "3.0"))

    version = ("-c", "import common; print(common.VERSION)")
    assert _run(scripts / "python", *version) == "3.0"
    assert _run(shared / "bin" / "python", *version) == "1.0"


@pytest.mark.parametrize("name", ["own", "a folder with spaces", "deep/" * 40 + "own"])
def test_scripts_run_wherever_it_lies(shared: Path, tmp_path: Path, name: str) -> None:
    scripts = make_private(shared, tmp_path / name)

    assert _run(scripts / "pip", "list", "--format=freeze").count("common==1.0") == 1
