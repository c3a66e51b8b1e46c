"""Images of a repository: put, list, describe, get and delete (ECR API reference).

A family answers with every tag, since notebooks name versions of an algorithm that are all one
image here. With a registry behind the plane, manifests are put there and deleted there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sagelocal.domain.repositories import (
    AlreadyPushed,
    InvalidManifest,
    Manifest,
    Repository,
    RepositoryImage,
    TagIsImmutable,
)
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.ecr.found import Found, change, registry_faults, require_images
from sagelocal.services.ecr.pages import page
from sagelocal.store.registry import PartsMissing, Registry

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def put_image(plane: Plane, call: Call, params: Params) -> Result:
    """Keep a manifest, under a tag if one is given. Only a registry looks for what it refers to."""
    try:
        manifest = Manifest.parse(params["imageManifest"], params.get("imageManifestMediaType"))
    except InvalidManifest as error:
        raise Fault(
            "InvalidParameterException",
            f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON "
            f"syntax or manifest: {error}'",
        ) from error
    tag, digest = params.get("imageTag"), params.get("imageDigest")
    if digest not in (None, manifest.digest):
        raise Fault(
            "ImageDigestDoesNotMatchException",
            f"The provided digest '{digest}' does not match the manifest's '{manifest.digest}'",
        )
    now = time.time()

    def pushed(old: Repository) -> Repository:
        new = old.push(manifest, tag, now)
        if plane.registry is not None:
            _put_in_registry(plane.registry, params["repositoryName"], manifest, tag)
        return new

    require_images(plane, call, params)
    try:
        found = change(plane, call, params, pushed)
    except AlreadyPushed as error:
        raise Fault(
            "ImageAlreadyExistsException",
            f"Image with digest '{manifest.digest}' and tag '{tag}' already exists in the "
            f"repository with name '{params['repositoryName']}' in registry with id "
            f"'{params.get('registryId', call.scope.account)}'",
        ) from error
    except TagIsImmutable as error:
        raise Fault(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{params['repositoryName']}' repository "
            "and cannot be overwritten because the tag is immutable.",
        ) from error
    image = found.content.find(manifest.digest, None)
    assert image is not None
    return {"image": _got(found, image, tag)}


def _put_in_registry(registry: Registry, name: str, manifest: Manifest, tag: str | None) -> None:
    try:
        with registry_faults():
            registry.put(name, tag or manifest.digest, manifest)
    except Fault as fault:
        if not isinstance(fault.__cause__, PartsMissing):
            raise
        code = (
            "ReferencedImagesNotFoundException" if manifest.is_index else "LayersNotFoundException"
        )
        raise Fault(
            code, f"The registry at {registry.address} has no {fault.message} in {name!r}"
        ) from fault


def list_images(plane: Plane, call: Call, params: Params) -> Result:
    """A page of digests and tags: an entry for each tag, and one for an image that has none."""
    found = require_images(plane, call, params)
    status = params.get("filter", {}).get("tagStatus", "ANY")
    ids = [_id(image, tag) for image in found.content.images for tag in image.tags or (None,)]
    wanted = [each for each in ids if _has_status(status, "imageTag" in each)]
    listed, more = page(wanted, params)
    return {"imageIds": listed, **more}


def describe_images(plane: Plane, call: Call, params: Params) -> Result:
    """The images that are named, or a page of all."""
    found = require_images(plane, call, params)
    if params.get("imageIds"):
        images: dict[str, RepositoryImage] = {}
        for wanted in params["imageIds"]:
            image = _find(found, wanted)
            if image is None:
                raise Fault("ImageNotFoundException", _absence(found, wanted))
            images[image.digest] = _with_tag(images.get(image.digest, image), wanted)
        return {"imageDetails": [_detail(found, image) for image in images.values()]}
    status = params.get("filter", {}).get("tagStatus", "ANY")
    wanted_ones = [i for i in found.content.images if _has_status(status, bool(i.tags))]
    listed, more = page(wanted_ones, params)
    return {"imageDetails": [_detail(found, image) for image in listed], **more}


def batch_get_image(plane: Plane, call: Call, params: Params) -> Result:
    """The manifests of the images that are named; what is not there is told beside them."""
    found = require_images(plane, call, params)
    images, failures = [], []
    for wanted in params["imageIds"]:
        image = _find(found, wanted)
        if image is None:
            failures.append(_failure(found, wanted))
        else:
            images.append(_got(found, image, wanted.get("imageTag")))
    return {"images": images, "failures": failures}


def batch_delete_image(plane: Plane, call: Call, params: Params) -> Result:
    """Take off tags, or delete images by digest; an engine's own copy stays."""
    deleted: list[Mapping[str, str]] = []
    failures: list[Mapping[str, Any]] = []

    found = require_images(plane, call, params)

    def without(content: Repository) -> Repository:
        for wanted in params["imageIds"]:
            image = content.find(wanted.get("imageDigest"), wanted.get("imageTag"))
            if image is None or not wanted:
                failures.append(_failure(found, wanted))
                continue
            tag = wanted.get("imageTag")
            tags = (tag,) if tag else image.tags or (None,)
            deleted.extend(_id(image, each) for each in tags)
            content = content.without(image, tag)
            if plane.registry is not None:
                left = content.find(image.digest, None)
                _delete_in_registry(plane.registry, found.name, image, left)
        return content

    change(plane, call, params, without)
    return {"imageIds": deleted, "failures": failures}


def _delete_in_registry(
    registry: Registry, name: str, image: RepositoryImage, left: RepositoryImage | None
) -> None:
    """A registry deletes an image with all its tags: those that are left are put again."""
    with registry_faults():
        registry.delete(name, image.digest)
        for tag in left.tags if left else ():
            registry.put(name, tag, image.manifest)


def _find(found: Found, wanted: Mapping[str, str]) -> RepositoryImage | None:
    digest, tag = wanted.get("imageDigest"), wanted.get("imageTag")
    if digest is None and tag is None:
        return None
    return found.content.find(digest, None if found.is_family else tag)


def _with_tag(image: RepositoryImage, wanted: Mapping[str, str]) -> RepositoryImage:
    tags = {*image.tags, *([wanted["imageTag"]] if "imageTag" in wanted else [])}
    return RepositoryImage(image.manifest, tuple(sorted(tags)), image.pushed_at)


def _has_status(wanted: str, is_tagged: bool) -> bool:
    return wanted == "ANY" or is_tagged is (wanted == "TAGGED")


def _id(image: RepositoryImage, tag: str | None) -> dict[str, str]:
    return {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}


def _got(found: Found, image: RepositoryImage, tag: str | None) -> Mapping[str, Any]:
    return {
        "registryId": found.registry,
        "repositoryName": found.name,
        "imageId": _id(image, tag),
        "imageManifest": image.manifest.text,
        "imageManifestMediaType": image.manifest.media_type,
    }


def _detail(found: Found, image: RepositoryImage) -> Mapping[str, Any]:
    return {
        "registryId": found.registry,
        "repositoryName": found.name,
        "imageDigest": image.digest,
        **({"imageTags": list(image.tags)} if image.tags else {}),
        "imageSizeInBytes": image.manifest.size_bytes,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.manifest.media_type,
    }


def _absence(found: Found, wanted: Mapping[str, str]) -> str:
    names = ", ".join(
        f"{key}:'{wanted[key]}'" for key in ("imageDigest", "imageTag") if key in wanted
    )
    return (
        f"The image with imageId {{{names}}} does not exist within the repository with name "
        f"'{found.name}' in the registry with id '{found.registry}'"
    )


def _failure(found: Found, wanted: Mapping[str, str]) -> Mapping[str, Any]:
    if not wanted:
        code, reason = (
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )
    else:
        code, reason = "ImageNotFound", "Requested image not found"
        tag, digest = wanted.get("imageTag"), wanted.get("imageDigest")
        if tag and digest and (found.content.find(digest, None) or found.content.find(None, tag)):
            code, reason = "ImageTagDoesNotMatchDigest", "The given tag is not on the given image"
    return {"imageId": dict(wanted), "failureCode": code, "failureReason": reason}


OPERATIONS: OperationTable = {
    ("ecr", "PutImage"): put_image,
    ("ecr", "ListImages"): list_images,
    ("ecr", "DescribeImages"): describe_images,
    ("ecr", "BatchGetImage"): batch_get_image,
    ("ecr", "BatchDeleteImage"): batch_delete_image,
}
