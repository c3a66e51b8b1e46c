"""Images pushed to a plane that stands for the cloud, with a real registry behind it."""

from __future__ import annotations

import json
import subprocess
import uuid

import pytest

from tests.local_mode.push.conftest import Build, Cloud

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


def fresh() -> bytes:
    """A layer that no registry and no engine has."""
    return uuid.uuid4().bytes


def digests_of(cloud: Cloud, repository: str) -> dict[str, str]:
    """The digest behind each tag, as DescribeImages has it."""
    details = cloud.ecr.describe_images(repositoryName=repository)["imageDetails"]
    return {tag: each["imageDigest"] for each in details for tag in each.get("imageTags", ())}


def local_names() -> list[str]:
    done = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_an_image_gets_a_repository_of_its_name_and_its_digest_is_printed(
    cloud: Cloud, build: Build, name: str
) -> None:
    image = build(f"{name}:v1", fresh(), fresh())

    done = cloud.push(image)

    assert done.returncode == 0, done.stderr
    uri = cloud.ecr.describe_repositories(repositoryNames=[name])["repositories"][0][
        "repositoryUri"
    ]
    assert uri == f"{cloud.registry.address}/{name}"
    assert done.stdout == f"{uri}@{digests_of(cloud, name)['v1']}\n"
    assert f"made the repository {uri}, without a scan on push, tags MUTABLE" in done.stderr
    assert "2 of 2" in done.stderr
    assert f"{uri}:v1" not in local_names()


def test_the_repository_is_made_as_it_is_asked_for(cloud: Cloud, build: Build, name: str) -> None:
    image = build(f"{name}:v1", fresh())
    flags = ("--repository", f"team/{name}", "--tag", "r1", "--scan-on-push", "--immutable-tags")

    result = cloud.pushed(image, *flags)

    (made,) = cloud.ecr.describe_repositories(repositoryNames=[f"team/{name}"])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert digests_of(cloud, f"team/{name}") == {"r1": result["digest"]}
    assert result["repositoryCreated"] is True
    assert result["image"] == f"{made['repositoryUri']}@{result['digest']}"


def test_a_repository_that_is_there_is_used_and_told(cloud: Cloud, build: Build, name: str) -> None:
    cloud.ecr.create_repository(repositoryName=name)
    image = build(f"{name}:v1", fresh())

    done = cloud.push(image, "--immutable-tags")

    assert done.returncode == 0, done.stderr
    assert f"/{name} is there and stays as it is: its tags are mutable" in done.stderr


def test_an_image_that_is_there_is_not_sent_again(cloud: Cloud, build: Build, name: str) -> None:
    image = build(f"{name}:v1", fresh())
    first = cloud.pushed(image, "--immutable-tags")

    second = cloud.pushed(image)

    assert second["digest"] == first["digest"]
    assert [each["wasThere"] for each in second["images"]] == [True]


def test_only_layers_that_are_not_there_are_sent(cloud: Cloud, build: Build, name: str) -> None:
    common = fresh()
    cloud.pushed(build(f"{name}:v1", common, fresh()))

    result = cloud.pushed(build(f"{name}:v2", common, fresh()))

    (image,) = result["images"]
    assert (image["layersSent"], image["layersThere"]) == (1, 1)


def test_a_tag_moves_to_the_image_that_was_pushed_last(
    cloud: Cloud, build: Build, name: str
) -> None:
    first = cloud.pushed(build(f"{name}:v1", fresh()))
    second = cloud.pushed(build(f"{name}:v1", fresh()))

    assert digests_of(cloud, name) == {"v1": second["digest"]}
    untagged = cloud.ecr.list_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})
    assert untagged["imageIds"] == [{"imageDigest": first["digest"]}]


def test_an_immutable_tag_that_is_on_another_image_is_an_error_before_anything_is_sent(
    cloud: Cloud, build: Build, name: str
) -> None:
    first = cloud.pushed(build(f"{name}:v1", fresh()), "--immutable-tags")

    done = cloud.push(build(f"{name}:v1", fresh()))

    assert done.returncode == 1
    assert f"'v1' of {cloud.registry.address}/{name} is on another image" in done.stderr
    assert "Give the image another tag: --tag" in done.stderr
    assert "layer" not in done.stderr
    assert digests_of(cloud, name) == {"v1": first["digest"]}


def test_a_dry_run_says_what_would_be_sent_and_changes_nothing(
    cloud: Cloud, build: Build, name: str
) -> None:
    image = build(f"{name}:v1", fresh())

    done = cloud.push(image, "--dry-run", "--scan-on-push")

    assert done.returncode == 0, done.stderr
    repository, line = done.stdout.splitlines()
    assert repository == (
        f"repository {name} in us-east-1 would be made, with a scan on push, tags MUTABLE"
    )
    assert line.startswith(f"{name}:v1 (linux/amd64, 1 layers, 0 MB unpacked) would be pushed as ")
    assert line.endswith(f" {cloud.registry.address}/{name}:v1")
    with pytest.raises(cloud.ecr.exceptions.RepositoryNotFoundException):
        cloud.ecr.describe_repositories(repositoryNames=[name])

    cloud.pushed(image)
    again = cloud.push(image, "--dry-run").stdout
    assert f"repository {name} in us-east-1 is there" in again
    assert "is there already as" in again


def test_images_of_both_architectures_become_one_list(
    cloud: Cloud, build: Build, name: str
) -> None:
    for architecture in ("amd64", "arm64"):
        build(f"{name}:v1-{architecture}", fresh(), architecture=architecture)

    done = cloud.push(f"{name}:v1", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    tags = digests_of(cloud, name)
    assert set(tags) == {"v1", "v1-amd64", "v1-arm64"}
    assert tags["v1"] == result["digest"]
    wanted = [{"imageTag": "v1"}]
    (image,) = cloud.ecr.batch_get_image(repositoryName=name, imageIds=wanted)["images"]
    listed = json.loads(image["imageManifest"])["manifests"]
    assert {each["platform"]["architecture"]: each["digest"] for each in listed} == {
        "amd64": tags["v1-amd64"],
        "arm64": tags["v1-arm64"],
    }
    assert "SageMaker's jobs name one of" in done.stderr
    assert cloud.pushed(f"{name}:v1")["digest"] == result["digest"]


def test_an_image_of_another_architecture_than_its_name_says_is_refused(
    cloud: Cloud, build: Build, name: str
) -> None:
    for architecture in ("amd64", "arm64"):
        build(f"{name}:v1-{architecture}", fresh())

    done = cloud.push(f"{name}:v1")

    assert done.returncode == 1
    assert f"{name}:v1-arm64 is an image for linux/amd64, not for arm64" in done.stderr
    assert cloud.push(f"{name}:v1-arm64", "--alone").returncode == 0
