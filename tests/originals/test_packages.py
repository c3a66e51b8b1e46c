"""The modules are behind all that is installed, and the README names them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import uv

ROOM = Path(__file__).parents[2] / "containers/originals"
README = (ROOM / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["sagemaker_inference", "sagemaker_training"])
def test_every_module_is_in_the_table(package: str) -> None:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{package}` |"))
    modules = {p.stem for p in (ROOM / "sagelocal_originals" / package).glob("[a-z]*.py")}
    assert modules == set(re.findall(r"`(\w+)`", row)) - {package}


def test_every_name_of_the_framework_is_in_the_table() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| `sagemaker_containers`"))
    framework = importlib.import_module("sagemaker_containers.beta.framework")
    assert set(framework.__all__) <= set(re.findall(r"`(\w+)(?:\(\))?`", row))


def test_a_package_that_a_script_brings_goes_before_the_module_of_its_name(tmp_path: Path) -> None:
    command = [uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)]
    subprocess.run([*command, str(ROOM)], check=True)
    venv.create(tmp_path / "environment", with_pip=False)
    python = tmp_path / "environment/bin/python"
    site_packages = next((tmp_path / "environment/lib").glob("python*/site-packages"))
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site_packages)

    ours = _file_of("sagemaker_inference.content_types", python)
    brought = site_packages / "sagemaker_inference"
    brought.mkdir()
    (brought / "__init__.py").touch()
    (brought / "content_types.py").touch()

    assert ours == site_packages / "sagelocal_originals/sagemaker_inference/content_types.py"
    assert _file_of("sagemaker_inference.content_types", python) == brought / "content_types.py"


def _file_of(module: str, python: Path = Path(sys.executable)) -> Path:
    source = f"import {module} as found; print(found.__file__)"
    return Path(
        subprocess.run([python, "-c", source], check=True, stdout=-1, text=True).stdout[:-1]
    )
