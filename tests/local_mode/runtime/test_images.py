"""Which names mean which image, and what is said of a description that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.failure_reasons import client_error
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

ONE = """
[image]
family = "one"
tag = "local/one:1"
base = "python"
names = ["one-repository", "team/one"]
[environment]
A = "one"
B = "one"
"""
TWO = """
[image]
family = "two"
tag = "local/two"
base = "one"
names = []
[environment]
B = "two"
[labels]
"a.b" = "true"
[metrics]
"train:loss" = 'loss=(\\S+)'
"""


def _write(folder: Path, **descriptions: str) -> Path:
    for name, text in descriptions.items():
        (folder / "containers" / name).mkdir(parents=True)
        (folder / "containers" / name / "image.toml").write_text(text)
    return folder / "containers"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> ImageCatalog:
    return ImageCatalog.load(_write(tmp_path_factory.mktemp("catalog"), one=ONE, two=TWO))


@pytest.mark.parametrize(
    ("uri", "family"),
    [
        ("one", "one"),
        ("local/one:1", "one"),
        ("local/two", "two"),
        ("local/two:latest", "two"),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/one-repository:1", "one"),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/one-repository", "one"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/one-repository:1-cpu-py3", "one"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/one:latest", "one"),
        (f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/one@sha256:{'0' * 64}", "one"),
        (f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/one:2@sha256:{'a' * 64}", "one"),
    ],
)
def test_a_family_answers_to(catalog: ImageCatalog, uri: str, family: str) -> None:
    found = catalog.resolve(uri)
    assert found is not None
    assert found.family == family


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "three",
        "one:2",
        "local/one",
        "local/one:2",
        "ONE",
        "docker.io/one-repository:1",
        "12345.dkr.ecr.us-east-1.amazonaws.com/one-repository:1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/other:1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/x/one-repository:1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/one-repository:1\n",
    ],
)
def test_nothing_answers_to(catalog: ImageCatalog, uri: str) -> None:
    assert catalog.resolve(uri) is None


@given(
    account=st.from_regex(r"[0-9]{12}", fullmatch=True),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True),
)
def test_account_region_and_tag_make_no_difference(
    catalog: ImageCatalog, account: str, region: str, tag: str
) -> None:
    uri = f"{account}.dkr.ecr.{region}.amazonaws.com/one-repository:{tag}"
    assert catalog.resolve(uri) is catalog.resolve("one")


@given(st.text())
def test_any_text_may_be_asked_for(catalog: ImageCatalog, text: str) -> None:
    found = catalog.resolve(text)
    assert found is None or found in catalog.families


def test_an_image_has_its_bases_environment_under_its_own(catalog: ImageCatalog) -> None:
    two = catalog.resolve("two")
    assert two is not None
    assert catalog.environment(two) == {"A": "one", "B": "two"}
    assert [part.family for part in catalog.chain(two)] == ["one", "two"]


def test_labels_and_metrics_are_read(catalog: ImageCatalog) -> None:
    two = catalog.resolve("two")
    assert two is not None
    assert two.labels == {"a.b": "true"}
    assert two.metrics == {"train:loss": r"loss=(\S+)"}


def test_an_unknown_image_is_said_with_what_is_known(catalog: ImageCatalog) -> None:
    text = str(catalog.unknown("what:1", "Do this."))
    assert text.startswith("No image answers to 'what:1'. Do this. ")
    assert text.endswith(": one, two")


def test_the_nearest_name_is_proposed(catalog: ImageCatalog) -> None:
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/one-repositry:1"
    assert "Did you mean 'one-repository'?" in str(catalog.unknown(uri, "Do this."))


def test_what_is_said_of_an_unknown_image_fits_into_a_failure_reason() -> None:
    longest = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{'x' * 200}:1"
    text = str(ImageCatalog.load().unknown(longest, f"Try `docker pull {longest}`."))
    assert client_error(text).endswith("xgboost")


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("[image", "TOML"),
        ("x = 1", "no table [image]"),
        ('[image]\nfamily = "x"', "lacks 'tag'"),
        (ONE.replace('"local/one:1"', "3"), "tag = 3 is not a str"),
        (ONE.replace('"local/one:1"', '""'), "tag = '' is not a str"),
        (ONE.replace('["one-repository", "team/one"]', "[1]"), "names = [1]"),
        (ONE.replace("names", "nmaes"), "lacks 'names'"),
        (ONE.replace("[image]", "[image]\nbsae = 1"), "unknown key 'bsae'"),
        (ONE.replace('A = "one"', "A = 1"), "[environment] A = 1 is not a string"),
        (ONE.replace("[environment]", "environment = 1\n[labels]"), "unknown key 'environment'"),
        (ONE.replace('"python"', '"nobody"'), "base 'nobody' is no family; known: one, python"),
        (ONE.replace('"python"', '"one"'), "circle"),
        (ONE.replace("[image]", '[image]\nprojects = ["nowhere"]'), "'nowhere', which has no"),
        (ONE + '[metrics]\nbad = "("', "'bad' has no regex"),
    ],
)
def test_a_description_that_cannot_be_used_is_said(
    tmp_path: Path, description: str, said: str
) -> None:
    folder = _write(tmp_path, one=description)
    with pytest.raises(RuntimeFault) as caught:
        ImageCatalog.load(folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


def test_two_families_may_not_answer_to_one_name(tmp_path: Path) -> None:
    folder = _write(tmp_path, one=ONE, two=TWO.replace("[]", '["one-repository"]'))
    with pytest.raises(RuntimeFault, match="answer to 'one-repository'"):
        ImageCatalog.load(folder)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFault, match="does not exist"):
        ImageCatalog.load(tmp_path / "nowhere")


def test_the_checkouts_own_families_are_found_beside_the_package() -> None:
    catalog = ImageCatalog.load()
    uri = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    found = catalog.resolve(uri)
    assert found is not None
    assert found.family == "linear-learner"
    assert (catalog.root / "pyproject.toml").exists()
