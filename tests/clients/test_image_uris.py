"""What the SDK's `image_uris.retrieve` gives for a framework is the local image of that framework.

Over everything that the SDK's own configuration lists: versions, regions, processors, purposes.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from sagelocal.runtime.images import ImageCatalog

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

EVERY = Path(__file__).parent / "image_uris" / "every.py"
CATALOG = ImageCatalog.load()
# What the SDK calls a framework, and the family that does its work.
FAMILIES = {
    "huggingface": "hugging-face",
    "mxnet": "mxnet",
    "pytorch": "pytorch",
    "sklearn": "scikit-learn",
    "sparkml-serving": "sparkml-serving",
    "tensorflow": "tensorflow",
    "xgboost": "xgboost",
}
# Built-in algorithms, which the SDK lists as frameworks too; they have one version.
BUILT_IN = {"image-classification": "image-classification"}
# Images of a framework that no family here has inside.
OF_NO_FAMILY = re.compile(r"/huggingface-tensorflow-(training|inference):")
# Versions end where the tag goes on with something else than numbers and dots.
VERSION = re.compile(r"\d+(?:\.\d+)*")


@pytest.fixture(scope="module")
def every(clients_python: Path) -> list[tuple[str, str, str, str]]:
    """Framework, scope, version and URI of every image that the SDK knows."""
    done = subprocess.run(
        [clients_python, "-W", "ignore", EVERY, *FAMILIES, *BUILT_IN],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [tuple(json.loads(line)) for line in lines]


@pytest.fixture(scope="module")
def listed(every: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Those that a family here does the work of."""
    return [image for image in every if not OF_NO_FAMILY.search(image[3])]


def test_an_image_of_no_family_is_refused_with_what_to_write_instead(
    every: list[tuple[str, str, str, str]],
) -> None:
    refused = {uri for _, _, _, uri in every if OF_NO_FAMILY.search(uri)}

    assert len(refused) > 2
    for uri in refused:
        text = str(CATALOG.unknown(uri, f"Try `docker pull {uri}`."))
        assert CATALOG.resolve(uri) is None
        assert "pytorch_version in place of tensorflow_version" in text
        assert "Did you mean" not in text
        assert len(text) <= 1024


@pytest.mark.parametrize(("framework", "name"), FAMILIES.items())
def test_every_image_of_a_framework_means_its_family(
    listed: list[tuple[str, str, str, str]], framework: str, name: str
) -> None:
    uris = {uri for found, _, _, uri in listed if found == framework}
    others = {uri for uri in uris if (f := CATALOG.resolve(uri)) is None or f.family != name}

    assert len(uris) > 2
    assert others == set()


@pytest.mark.parametrize(("algorithm", "name"), BUILT_IN.items())
def test_every_image_of_a_built_in_algorithm_means_its_family(
    listed: list[tuple[str, str, str, str]], algorithm: str, name: str
) -> None:
    uris = {uri for found, _, _, uri in listed if found == algorithm}

    assert uris
    assert {f.family for uri in uris if (f := CATALOG.resolve(uri))} == {name}
    assert all(CATALOG.version_note(uri) is None for uri in uris)


def test_every_region_and_purpose_came_up(listed: list[tuple[str, str, str, str]]) -> None:
    regions = {uri.split(".")[3] for _, _, _, uri in listed}

    assert {"us-east-1", "cn-north-1", "us-gov-west-1", "eu-central-1", "ap-east-1"} <= regions
    assert {"training", "inference"} <= {scope for _, scope, _, _ in listed}


@pytest.mark.parametrize(("framework", "name"), FAMILIES.items())
def test_another_version_is_said_with_both_and_the_own_is_not(
    listed: list[tuple[str, str, str, str]], framework: str, name: str
) -> None:
    family = CATALOG.resolve(name)
    assert family is not None
    for _, _, version, uri in (entry for entry in listed if entry[0] == framework):
        asked = VERSION.match(version)
        note = CATALOG.version_note(uri)
        assert asked is not None
        if any(version.startswith(own) for own in family.versions):
            assert note is None
        else:
            assert note is not None
            assert re.search(rf"asks for [a-z-]+ {re.escape(asked[0])}[.;]", note)
            word = family.version_word or name
            assert note.endswith(f"has {word} {' and '.join(family.versions)}")
