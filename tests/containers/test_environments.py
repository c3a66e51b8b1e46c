"""Every family's environment for the process runtime: what the Docker image installs, by uv."""

from __future__ import annotations

import subprocess

import pytest
from sagelocal.runtime.images import ImageCatalog

from tests.containers.framework import Image

# Those with a package: `base` leaves to its families what the formats need.
FAMILIES = [family.family for family in ImageCatalog.load().families if family.package]


def _pip(family: str, *arguments: str) -> str:
    python = Image.of(family).scripts / "python"
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("family", FAMILIES)
def test_its_packages_fit_together(family: str) -> None:
    assert "No broken requirements found" in _pip(family, "check")


def test_a_requirement_of_tensorflow_is_met_by_the_build_for_cpus() -> None:
    said = _pip("tensorflow", "install", "--no-index", "tensorflow", "tf-keras")
    assert "Requirement already satisfied: tensorflow in" in said
