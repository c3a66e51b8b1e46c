"""Images as repositories of any registry."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

IMAGE = """
[image]
family = "linear-learner"
tag = "sagelocal/linear-learner:1"
base = "python"
names = ["linear-learner", "team/linear"]
"""


@pytest.fixture
def ecr(start_plane: Callable[..., Any], tmp_path: Path) -> Any:
    family = tmp_path / "containers" / "linear_learner"
    family.mkdir(parents=True)
    (family / "image.toml").write_text(IMAGE)
    (family / "Dockerfile").write_text("FROM scratch\n")
    (family / "requirements.lock").write_text("")
    return start_plane(containers_dir=family.parent).client("ecr")


def test_a_token_survives_the_way_the_sdk_takes_it_apart(aws: Callable[..., Any]) -> None:
    data = aws("ecr").get_authorization_token(registryIds=["123456789012"])["authorizationData"]
    assert [entry["proxyEndpoint"] for entry in data] == [
        "https://123456789012.dkr.ecr.us-east-1.amazonaws.com"
    ]
    user, _, password = base64.b64decode(data[0]["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert password == f"{user}:{password}".strip("AWS:")


def test_every_name_of_a_family_is_a_repository_of_the_registry_that_is_asked(ecr: Any) -> None:
    repositories = ecr.describe_repositories(registryId="123456789012")["repositories"]
    assert [repository["repositoryUri"] for repository in repositories] == [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/linear-learner",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/linear",
    ]


def test_a_repository_has_one_image_under_any_tag(ecr: Any) -> None:
    listed = ecr.list_images(repositoryName="linear-learner")["imageIds"]
    assert [image["imageTag"] for image in listed] == ["1"]
    described = ecr.describe_images(
        repositoryName="linear-learner", imageIds=[{"imageTag": "latest"}]
    )["imageDetails"]
    assert [image["imageDigest"] for image in described] == [listed[0]["imageDigest"]]
    assert described[0]["imageTags"] == ["1", "latest"]


def test_the_digest_changes_with_the_image(ecr: Any, tmp_path: Path) -> None:
    before = ecr.list_images(repositoryName="linear-learner")["imageIds"][0]["imageDigest"]
    (tmp_path / "containers/linear_learner/Dockerfile").write_text("FROM other\n")
    after = ecr.list_images(repositoryName="linear-learner")["imageIds"][0]["imageDigest"]
    assert before != after


def test_an_unknown_repository_names_the_known_ones(ecr: Any) -> None:
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as caught:
        ecr.list_images(repositoryName="xgboost")
    assert caught.value.response["Error"]["Message"] == (
        "The repository with name 'xgboost' does not exist in the registry with id "
        "'000000000000'. Known to sagelocal: linear-learner, team/linear"
    )


def test_an_unknown_digest_is_not_found(ecr: Any) -> None:
    digest = "sha256:" + "0" * 64
    with pytest.raises(ecr.exceptions.ImageNotFoundException, match=digest):
        ecr.describe_images(repositoryName="linear-learner", imageIds=[{"imageDigest": digest}])


def test_a_name_that_can_be_no_repository_is_refused_in_the_words_of_ecr(ecr: Any) -> None:
    with pytest.raises(ClientError) as caught:
        ecr.list_images(repositoryName="Upper")
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterException"
    assert error["Message"].startswith("Invalid parameter at 'repositoryName' failed to satisfy")
