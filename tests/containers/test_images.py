"""What every family's folder must hold, and that its Dockerfile and its image.toml agree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from sagelocal.runtime.images import PYTHON, ImageCatalog, ImageFamily

CATALOG = ImageCatalog.load()
FAMILIES = [pytest.param(family, id=family.family) for family in CATALOG.families]
# The runtimes make PATH; no family may have its own.
NOT_IN_IMAGE_TOML = {"PATH"}


def _instructions(family: ImageFamily) -> list[tuple[str, str]]:
    joined = family.dockerfile.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    return [
        (line.partition(" ")[0], line.partition(" ")[2])
        for line in lines
        if line and not line.startswith("#")
    ]


def _final_stage(family: ImageFamily) -> list[tuple[str, str]]:
    instructions = _instructions(family)
    last = max(number for number, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[last:]


def _pairs(family: ImageFamily, word: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for instruction, text in _final_stage(family):
        if instruction == word:
            for pair in shlex.split(text):
                key, _, value = pair.partition("=")
                found[key] = value
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dockerfile_sets_the_environment_that_image_toml_says(family: ImageFamily) -> None:
    environment = _pairs(family, "ENV")
    assert family.environment == {
        key: value for key, value in environment.items() if key not in NOT_IN_IMAGE_TOML
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dockerfile_sets_the_labels_that_image_toml_says(family: ImageFamily) -> None:
    assert family.labels == _pairs(family, "LABEL")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dockerfile_builds_on_the_base_that_image_toml_says(family: ImageFamily) -> None:
    argument = next(text for word, text in _instructions(family) if word == "ARG")
    chain = CATALOG.chain(family)
    expected = "python:3.11-slim" if family.base == PYTHON else chain[-2].tag
    assert argument == f"BASE_IMAGE={expected}"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_classic_builder_can_build_it(family: ImageFamily) -> None:
    assert not re.search(r"--mount|<<|--link|--chmod", family.dockerfile.read_text())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_final_stage_takes_nothing_of_the_build_but_what_was_added(
    family: ImageFamily,
) -> None:
    copies = [text for word, text in _final_stage(family) if word in ("COPY", "ADD")]
    assert copies == ["--from=build /delta/ /"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_image_starts_what_it_is_told_to(family: ImageFamily) -> None:
    assert not {"ENTRYPOINT", "CMD", "USER"} & {word for word, _ in _final_stage(family)}


@pytest.mark.parametrize("family", FAMILIES)
def test_its_packages_do_not_differ_from_its_bases(family: ImageFamily) -> None:
    own = _locked(family.requirements_lock)
    for part in CATALOG.chain(family)[:-1]:
        below = _locked(part.requirements_lock)
        assert {name: own[name] for name in own.keys() & below.keys()}.items() <= below.items()


@pytest.mark.parametrize("family", FAMILIES)
def test_its_package_is_there(family: ImageFamily) -> None:
    if family.package is not None:
        assert (family.folder / family.package / "__init__.py").is_file()
        assert (family.folder / "pyproject.toml").is_file()


def _locked(path: Path) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", path.read_text(), re.MULTILINE)
    return dict(pins)


def _framework_version(family: ImageFamily) -> str | None:
    """What is locked of the package that has the framework's name, or begins with it."""
    name = family.version_word or family.family
    for package, version in _locked(family.requirements_lock).items():
        if package == name or package.startswith(f"{name}-"):
            return version
    return None


@pytest.mark.parametrize("family", [f for f in CATALOG.families if f.versions])
def test_the_version_that_it_says_first_is_in_its_lock(family: ImageFamily) -> None:
    assert _framework_version(family) in (family.versions[0], None)
