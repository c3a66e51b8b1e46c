"""Repositories of one's own with what is pushed to them, and image families as repositories."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE = """
[image]
family = "linear-learner"
tag = "sagelocal/linear-learner:1"
base = "python"
names = ["linear-learner", "team/linear"]
"""


@pytest.fixture(scope="module")
def containers_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    family = tmp_path_factory.mktemp("checkout") / "containers" / "linear_learner"
    family.mkdir(parents=True)
    (family / "image.toml").write_text(IMAGE)
    (family / "Dockerfile").write_text("FROM scratch\n")
    (family / "requirements.lock").write_text("")
    return family.parent


@pytest.fixture(scope="module")
def plane(start_shared_plane: Callable[..., Any], containers_dir: Path) -> Any:
    return start_shared_plane(containers_dir=containers_dir)


@pytest.fixture
def ecr(plane: Any) -> Iterator[Any]:
    """A client of a registry that holds nothing but the families."""
    ecr = plane.client("ecr")
    yield ecr
    for repository in ecr.describe_repositories()["repositories"]:
        with contextlib.suppress(ecr.exceptions.InvalidParameterException):  # a family
            ecr.delete_repository(repositoryName=repository["repositoryName"], force=True)


def manifest(content: str) -> str:
    """The manifest of an image with one layer of 1,000 bytes."""
    config = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    layer = {"mediaType": "application/x-tar", "size": 1000, "digest": "sha256:" + "1" * 64}
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/json", "size": 200, "digest": config},
        "layers": [layer],
    }
    return json.dumps(document)


def digest_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def put(ecr: Any, text: str, tag: str, repository: str = "mine") -> Any:
    return ecr.put_image(repositoryName=repository, imageManifest=text, imageTag=tag)["image"]


def code_of(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """The error that a call is refused with: its code and its message."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


class TestRepositories:
    """Of the caller's own registry."""

    def test_one_is_told_as_it_was_created(self, ecr: Any) -> None:
        created = ecr.create_repository(
            repositoryName="team/mine",
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=[{"Key": "team", "Value": "a"}],
        )["repository"]
        described = ecr.describe_repositories(repositoryNames=["team/mine"])["repositories"]
        assert described == [created]
        assert created["repositoryUri"] == "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/mine"
        assert created["repositoryArn"] == "arn:aws:ecr:us-east-1:000000000000:repository/team/mine"
        assert created["imageTagMutability"] == "IMMUTABLE"
        assert created["imageScanningConfiguration"] == {"scanOnPush": True}
        tags = ecr.list_tags_for_resource(resourceArn=created["repositoryArn"])["tags"]
        assert tags == [{"Key": "team", "Value": "a"}]

    def test_a_second_of_the_same_name_is_refused(self, ecr: Any) -> None:
        ecr.create_repository(repositoryName="mine")
        assert code_of(ecr.create_repository, repositoryName="mine") == (
            "RepositoryAlreadyExistsException",
            "The repository with name 'mine' already exists in the registry with id '000000000000'",
        )

    def test_they_outlive_the_plane(self, plane: Any, ecr: Any) -> None:
        ecr.create_repository(repositoryName="mine")
        put(ecr, manifest("a"), "v1")
        plane.restart()
        listed = plane.client("ecr").list_images(repositoryName="mine")["imageIds"]
        assert listed == [{"imageDigest": digest_of(manifest("a")), "imageTag": "v1"}]

    def test_they_are_listed_in_pages_between_the_families(self, ecr: Any) -> None:
        for name in ("z", "a"):
            ecr.create_repository(repositoryName=name * 2)
        pages = ecr.get_paginator("describe_repositories").paginate(
            PaginationConfig={"PageSize": 2}
        )
        names = [each["repositoryName"] for page in pages for each in page["repositories"]]
        assert names == ["aa", "linear-learner", "team/linear", "zz"]

    def test_one_with_images_is_deleted_only_by_force(self, ecr: Any) -> None:
        ecr.create_repository(repositoryName="mine")
        put(ecr, manifest("a"), "v1")
        code, _ = code_of(ecr.delete_repository, repositoryName="mine")
        assert code == "RepositoryNotEmptyException"
        ecr.delete_repository(repositoryName="mine", force=True)
        code, _ = code_of(ecr.describe_repositories, repositoryNames=["mine"])
        assert code == "RepositoryNotFoundException"

    def test_nobody_creates_one_in_the_registry_of_somebody_else(self, ecr: Any) -> None:
        request = {"repositoryName": "mine", "registryId": "123456789012"}
        assert code_of(ecr.create_repository, **request)[0] == "AccessDeniedException"

    def test_one_may_have_the_name_of_a_family_and_hides_it(self, ecr: Any) -> None:
        code, message = code_of(
            ecr.put_image, repositoryName="linear-learner", imageManifest=manifest("a")
        )
        assert code == "InvalidParameterException"
        assert "create a repository of your own" in message
        ecr.create_repository(repositoryName="linear-learner")
        assert ecr.list_images(repositoryName="linear-learner")["imageIds"] == []

    def test_policies_are_kept_and_given_back(self, ecr: Any) -> None:
        ecr.create_repository(repositoryName="mine")
        code, _ = code_of(ecr.get_lifecycle_policy, repositoryName="mine")
        assert code == "LifecyclePolicyNotFoundException"
        code, _ = code_of(
            ecr.put_lifecycle_policy, repositoryName="mine", lifecyclePolicyText="{" * 100
        )
        assert code == "InvalidParameterException"
        rules = json.dumps({"rules": [], "comment": "x" * 100})
        ecr.put_lifecycle_policy(repositoryName="mine", lifecyclePolicyText=rules)
        told = ecr.get_lifecycle_policy(repositoryName="mine")
        assert told["lifecyclePolicyText"] == rules
        ecr.set_repository_policy(repositoryName="mine", policyText='{"Statement": []}')
        ecr.delete_repository_policy(repositoryName="mine")
        code, _ = code_of(ecr.get_repository_policy, repositoryName="mine")
        assert code == "RepositoryPolicyNotFoundException"


class TestImages:
    """Of a repository of one's own."""

    @pytest.fixture(autouse=True)
    def repository(self, ecr: Any) -> None:
        ecr.create_repository(repositoryName="mine")

    def test_one_comes_back_byte_by_byte_under_the_digest_of_its_manifest(self, ecr: Any) -> None:
        image = put(ecr, manifest("a"), "v1")
        assert image["imageId"] == {"imageDigest": digest_of(manifest("a")), "imageTag": "v1"}
        for wanted in ({"imageTag": "v1"}, {"imageDigest": digest_of(manifest("a"))}):
            got = ecr.batch_get_image(repositoryName="mine", imageIds=[wanted])["images"]
            assert [each["imageManifest"] for each in got] == [manifest("a")]

    def test_a_tag_moves_to_the_newest_image_and_the_old_one_stays_without(self, ecr: Any) -> None:
        put(ecr, manifest("a"), "latest")
        put(ecr, manifest("b"), "latest")
        listed = ecr.list_images(repositoryName="mine", filter={"tagStatus": "UNTAGGED"})
        assert listed["imageIds"] == [{"imageDigest": digest_of(manifest("a"))}]
        described = ecr.describe_images(repositoryName="mine", imageIds=[{"imageTag": "latest"}])
        assert described["imageDetails"][0]["imageDigest"] == digest_of(manifest("b"))
        assert described["imageDetails"][0]["imageSizeInBytes"] == 1200

    def test_a_tag_that_is_immutable_does_not_move(self, ecr: Any) -> None:
        put(ecr, manifest("a"), "v1")
        ecr.put_image_tag_mutability(repositoryName="mine", imageTagMutability="IMMUTABLE")
        request = {"repositoryName": "mine", "imageManifest": manifest("b"), "imageTag": "v1"}
        code, message = code_of(ecr.put_image, **request)
        assert code == "ImageTagAlreadyExistsException"
        assert message.startswith("The image tag 'v1' already exists in the 'mine' repository")

    def test_tags_that_a_filter_excludes_move_all_the_same(self, ecr: Any) -> None:
        ecr.put_image_tag_mutability(
            repositoryName="mine",
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
        )
        for tag in ("v1", "dev-1"):
            put(ecr, manifest("a"), tag)
        put(ecr, manifest("b"), "dev-1")
        with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
            put(ecr, manifest("b"), "v1")

    def test_the_same_image_with_the_same_tag_is_there_already(self, ecr: Any) -> None:
        put(ecr, manifest("a"), "v1")
        with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
            put(ecr, manifest("a"), "v1")

    @pytest.mark.parametrize("text", ["{", "[]", '{"mediaType": "x"}', '{"config": {}}'])
    def test_what_is_no_manifest_is_refused(self, ecr: Any, text: str) -> None:
        code, _ = code_of(ecr.put_image, repositoryName="mine", imageManifest=text)
        assert code == "InvalidParameterException"

    def test_the_last_tag_taken_off_deletes_the_image(self, ecr: Any) -> None:
        put(ecr, manifest("a"), "v1")
        put(ecr, manifest("a"), "v2")
        for tag, left in (("v1", 1), ("v2", 0)):
            ecr.batch_delete_image(repositoryName="mine", imageIds=[{"imageTag": tag}])
            assert len(ecr.list_images(repositoryName="mine")["imageIds"]) == left

    def test_a_digest_deletes_the_image_with_all_its_tags(self, ecr: Any) -> None:
        put(ecr, manifest("a"), "v1")
        put(ecr, manifest("a"), "v2")
        wanted = [{"imageDigest": digest_of(manifest("a"))}, {"imageTag": "never"}]
        answer = ecr.batch_delete_image(repositoryName="mine", imageIds=wanted)
        assert [each["imageTag"] for each in answer["imageIds"]] == ["v1", "v2"]
        assert [each["failureCode"] for each in answer["failures"]] == ["ImageNotFound"]

    def test_many_are_listed_in_pages(self, ecr: Any) -> None:
        for number in range(5):
            put(ecr, manifest(str(number)), f"v{number}")
        pages = ecr.get_paginator("list_images").paginate(
            repositoryName="mine", PaginationConfig={"PageSize": 2}
        )
        assert [len(page["imageIds"]) for page in pages] == [2, 2, 1]


def test_a_token_survives_the_way_the_sdk_takes_it_apart(ecr: Any) -> None:
    data = ecr.get_authorization_token(registryIds=["123456789012"])["authorizationData"]
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


def test_the_digest_changes_with_the_image(ecr: Any, containers_dir: Path) -> None:
    before = ecr.list_images(repositoryName="linear-learner")["imageIds"][0]["imageDigest"]
    (containers_dir / "linear_learner/Dockerfile").write_text("FROM other\n")
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


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("list_tags_for_resource", {"resourceArn": "invalid"}, "'resourceArn' .*: 'Invalid ARN'"),
        (
            "put_image_tag_mutability",
            {"repositoryName": "mine", "imageTagMutability": "no"},
            r"'imageTagMutability' .*: 'Member must satisfy enum value set: \[MUTABLE, ",
        ),
        (
            "set_repository_policy",
            {"repositoryName": "mine", "policyText": "[]"},
            "'PolicyText' .*: 'Invalid repository policy provided'",
        ),
    ],
)
def test_what_an_argument_cannot_be_is_refused_in_the_words_of_ecr(
    ecr: Any, operation: str, arguments: dict[str, str], words: str
) -> None:
    ecr.create_repository(repositoryName="mine")
    with pytest.raises(ClientError, match=f"InvalidParameterException.*{words}"):
        getattr(ecr, operation)(**arguments)
