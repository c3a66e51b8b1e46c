"""The version that a tag asks for, whether it is there, and the line that says that it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.versions import asked_for, is_among

DESCRIPTION = """
[image]
family = "wool"
tag = "local/wool:1"
base = "python"
names = ["wool-training"]
versions = ["2.21.0", "1.7"]
"""
TRANSFORMED = DESCRIPTION.replace("[image]", '[image]\nversion_word = "yarns"')
NUMBERS = st.lists(st.integers(0, 40), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))


def _catalog(folder: Path, description: str) -> ImageCatalog:
    (folder / "containers" / "wool").mkdir(parents=True)
    (folder / "containers" / "wool" / "image.toml").write_text(description)
    return ImageCatalog.load(folder / "containers")


def _uri(tag: str) -> str:
    return f"763104351884.dkr.ecr.us-west-2.amazonaws.com/wool-training{tag}"


@pytest.mark.parametrize(
    ("tag", "word", "version"),
    [
        ("2.13.0-cpu-py310", None, "2.13.0"),
        ("2.13-cpu", None, "2.13"),
        ("1.2-1-cpu-py3", None, "1.2"),
        ("1", None, "1"),
        ("latest", None, None),
        ("", None, None),
        ("2.13rc1-cpu", None, None),
        ("v2.13-cpu", None, None),
        ("2.1.0-transformers4.36.0-cpu-py310-ubuntu22.04", "transformers", "4.36.0"),
        ("transformers4.36.0", "transformers", "4.36.0"),
        ("2.1.0-cpu-py310", "transformers", None),
    ],
)
def test_a_tag_asks_for(tag: str, word: str | None, version: str | None) -> None:
    assert asked_for(tag, word) == version


@given(version=NUMBERS, suffix=st.sampled_from(["", "-cpu", "-1-cpu-py3", "-gpu-py310-cu118"]))
def test_a_version_is_found_before_any_suffix_and_is_itself(version: str, suffix: str) -> None:
    assert asked_for(version + suffix) == version
    assert asked_for(f"9.9-yarns{version}{suffix}", "yarns") == version
    assert is_among(version, [version])


@pytest.mark.parametrize(
    ("asked", "held", "there"),
    [
        ("1.9", ["1.9.1"], True),
        ("1.9.1", ["1.9"], True),
        ("1.9.0", ["1.9.1"], False),
        ("1.10", ["1.1"], False),
        ("1.07", ["1.7"], True),
        ("3", ["2.1", "3.2"], True),
        ("3", [], False),
    ],
)
def test_versions_are_compared_as_far_as_both_say(asked: str, held: list[str], there: bool) -> None:
    assert is_among(asked, held) is there


def test_another_version_is_said_in_one_line_with_both(tmp_path: Path) -> None:
    note = _catalog(tmp_path, DESCRIPTION).version_note(_uri(":2.13.0-cpu-py310"))

    assert note == (
        f"The image {_uri(':2.13.0-cpu-py310')} asks for wool 2.13.0; local/wool:1, which runs in "
        "its place, has wool 2.21.0 and 1.7"
    )


@pytest.mark.parametrize(
    "name",
    [
        *(_uri(":2.21-cpu-py310"), _uri(":1.7.2"), _uri(":latest"), _uri("")),
        *(_uri(f"@sha256:{'0' * 64}"), "local/wool:1", "wool", "unknown:2.13"),
    ],
)
def test_nothing_is_said_of_a_version_that_is_there_or_not_asked_for(
    tmp_path: Path, name: str
) -> None:
    assert _catalog(tmp_path, DESCRIPTION).version_note(name) is None


def test_the_version_may_stand_behind_a_word(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, TRANSFORMED)

    assert catalog.version_note(_uri(":9.9-yarns1.7.1-cpu")) is None
    note = catalog.version_note(_uri(":1.7-yarns4.36-cpu"))
    assert note is not None
    assert "asks for yarns 4.36;" in note


def test_a_version_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeFault, match=r"versions names 'newest', which is no version like 1\.9"
    ):
        _catalog(tmp_path, DESCRIPTION.replace("1.7", "newest"))
