"""ECR's own calls where a registry holds the images: what is put, listed and deleted is there."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.image_registry import PASSWORD, image_registry
from tests.local_mode.push.conftest import Build, Cloud
from tests.local_mode.push.test_push import digests_of, fresh

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def pushed(cloud: Cloud, build: Build, name: str) -> Iterator[Any]:
    """What a push of an image under v1 gave, in the repository `name`."""
    yield cloud.pushed(build(f"{name}:v1", fresh()))
    cloud.ecr.delete_repository(repositoryName=name, force=True)


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_the_token_is_good_for_the_registry_and_leads_there(cloud: Cloud) -> None:
    (data,) = cloud.ecr.get_authorization_token()["authorizationData"]

    assert data["proxyEndpoint"] == f"http://{cloud.registry.address}"
    assert base64.b64decode(data["authorizationToken"]).decode() == f"AWS:{PASSWORD}"


def test_an_image_has_another_tag_when_its_manifest_is_put_under_it(
    cloud: Cloud, pushed: Any, name: str
) -> None:
    (image,) = cloud.ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])[
        "images"
    ]

    cloud.ecr.put_image(repositoryName=name, imageManifest=image["imageManifest"], imageTag="v2")

    assert digests_of(cloud, name) == {"v1": pushed["digest"], "v2": pushed["digest"]}
    cloud.plane.restart()
    assert digests_of(cloud, name) == {"v1": pushed["digest"], "v2": pushed["digest"]}


@pytest.mark.parametrize(
    ("is_list", "code"),
    [(True, "ReferencedImagesNotFoundException"), (False, "LayersNotFoundException")],
)
def test_a_manifest_of_what_was_never_pushed_is_refused(
    cloud: Cloud, pushed: Any, name: str, is_list: bool, code: str
) -> None:
    missing = f"sha256:{'5' * 64}"
    entry = {"size": 10, "digest": missing}
    docker = "application/vnd.docker.distribution.manifest"
    if is_list:
        platform = {"architecture": "amd64", "os": "linux"}
        document: dict[str, Any] = {
            "mediaType": f"{docker}.list.v2+json",
            "manifests": [{"mediaType": f"{docker}.v2+json", "platform": platform, **entry}],
        }
    else:
        configuration = "application/vnd.docker.container.image.v1+json"
        document = {
            "mediaType": f"{docker}.v2+json",
            "config": {"mediaType": configuration, **entry},
            "layers": [],
        }

    told, message = refusal(
        cloud.ecr.put_image,
        repositoryName=name,
        imageManifest=json.dumps({"schemaVersion": 2, **document}),
        imageTag="v9",
    )

    assert told == code
    assert missing in message
    assert digests_of(cloud, name) == {"v1": pushed["digest"]}


def test_a_tag_is_taken_off_and_the_others_stay(cloud: Cloud, pushed: Any, name: str) -> None:
    (image,) = cloud.ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])[
        "images"
    ]
    cloud.ecr.put_image(repositoryName=name, imageManifest=image["imageManifest"], imageTag="v2")

    cloud.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])

    assert digests_of(cloud, name) == {"v2": pushed["digest"]}
    cloud.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": pushed["digest"]}])
    assert digests_of(cloud, name) == {}


def test_a_repository_that_is_made_again_has_nothing_of_the_old_one(
    cloud: Cloud, pushed: Any, name: str
) -> None:
    assert refusal(cloud.ecr.delete_repository, repositoryName=name)[0] == (
        "RepositoryNotEmptyException"
    )

    cloud.ecr.delete_repository(repositoryName=name, force=True)
    cloud.ecr.create_repository(repositoryName=name)

    assert cloud.ecr.list_images(repositoryName=name)["imageIds"] == []


def test_what_is_pushed_past_the_plane_is_known_and_what_has_no_repository_is_not(
    cloud: Cloud, pushed: Any, build: Build, name: str
) -> None:
    image = build(f"{cloud.registry.address}/{name}:by-docker", fresh())
    (data,) = cloud.ecr.get_authorization_token()["authorizationData"]
    password = base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]
    log_in = f"docker login -u AWS --password-stdin {cloud.registry.address} && docker push {image}"
    script = f"DOCKER_CONFIG=$(mktemp -d) && export DOCKER_CONFIG && {log_in}"
    subprocess.run(["sh", "-c", script], input=password, text=True, check=True, capture_output=True)

    assert set(digests_of(cloud, name)) == {"v1", "by-docker"}


def test_a_registry_that_deletes_nothing_and_one_that_is_gone_are_told(
    start_plane: Callable[..., Any], build: Build, name: str, tmp_path: Any
) -> None:
    with image_registry(tmp_path / "registry", deletes=False) as registry:
        cloud = Cloud(start_plane(**registry.settings), registry)
        cloud.pushed(build(f"{name}:v1", fresh()))

        code, message = refusal(cloud.ecr.delete_repository, repositoryName=name, force=True)

        assert code == "ServerException"
        assert "REGISTRY_STORAGE_DELETE_ENABLED=true" in message
        assert list(digests_of(cloud, name)) == ["v1"]
    code, message = refusal(cloud.ecr.list_images, repositoryName=name)
    assert code == "ServerException"
    assert f"The registry at {registry.address} does not answer" in message
