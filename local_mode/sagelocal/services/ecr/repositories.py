"""Repositories: create, describe, delete, and their settings and tags (ECR API reference)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagelocal.domain.repositories import MUTABLE, Repository
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.ecr.found import (
    KIND,
    Found,
    all_repositories,
    arn_of,
    change,
    registry_faults,
    registry_of,
    repository_uri,
    require,
    require_images,
)
from sagelocal.services.ecr.pages import page
from sagelocal.store.resources import AlreadyExists, Resource

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

_MAX_TAGS = 50
_ARN = re.compile(r"arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/.+")


def create_repository(plane: Plane, call: Call, params: Params) -> Result:
    """Make an empty repository in the caller's own registry."""
    registry, name = registry_of(call, params), params["repositoryName"]
    if registry != call.scope.account:
        raise Fault(
            "AccessDeniedException",
            f"User with account {call.scope.account} is not authorized to perform: "
            f"ecr:CreateRepository in the registry with id '{registry}'",
        )
    scanning = params.get("imageScanningConfiguration", {})
    encryption = params.get("encryptionConfiguration", {"encryptionType": "AES256"})
    content = Repository(
        **_mutability(params), scan_on_push=scanning.get("scanOnPush", False), encryption=encryption
    )
    now = time.time()
    arn = arn_of(call, registry, name)
    row = Resource(arn, KIND, call.scope.region, name, None, now, now, content.to_document())
    try:
        plane.resources.add(row, _tags(params.get("tags", ())))
    except AlreadyExists as error:
        raise Fault(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id "
            f"'{registry}'",
        ) from error
    return {"repository": _described(plane, call, Found(registry, name, now, content))}


def describe_repositories(plane: Plane, call: Call, params: Params) -> Result:
    """The repositories that are named, or a page of all by name."""
    if wanted := params.get("repositoryNames"):
        named = [require(plane, call, params, name) for name in wanted]
        return {"repositories": [_described(plane, call, found) for found in named]}
    found, more = page(
        list(all_repositories(plane, call, registry_of(call, params)).values()), params
    )
    return {"repositories": [_described(plane, call, each) for each in found], **more}


def delete_repository(plane: Plane, call: Call, params: Params) -> Result:
    """Forget a repository of one's own, with its images only by `force`."""
    change(plane, call, params, lambda content: content)
    found = require_images(plane, call, params)
    if found.content.images and not params.get("force", False):
        raise Fault(
            "RepositoryNotEmptyException",
            f"The repository with name '{found.name}' in registry with id '{found.registry}' "
            "cannot be deleted because it still contains images",
        )
    if plane.registry is not None:
        with registry_faults():
            for image in found.content.images:
                plane.registry.delete(found.name, image.digest)
    plane.resources.delete(arn_of(call, found.registry, found.name))
    return {"repository": _described(plane, call, found)}


def put_image_tag_mutability(plane: Plane, call: Call, params: Params) -> Result:
    """Say whether a tag may move to another image."""
    found = change(plane, call, params, lambda old: replace(old, **_mutability(params)))
    return {**_named(found), **_told_mutability(found.content)}


def put_image_scanning_configuration(plane: Plane, call: Call, params: Params) -> Result:
    """Keep whether images shall be scanned on push; nothing is scanned here."""
    scan = params["imageScanningConfiguration"].get("scanOnPush", False)
    found = change(plane, call, params, lambda old: replace(old, scan_on_push=scan))
    return {**_named(found), "imageScanningConfiguration": {"scanOnPush": scan}}


def tag_resource(plane: Plane, call: Call, params: Params) -> Result:
    """Add or replace tags of a repository."""
    arn = _existing(plane, params)
    new = _tags(params["tags"])
    if len({**plane.resources.tags(arn), **new}) > _MAX_TAGS:
        raise Fault("TooManyTagsException", f"A repository can have at most {_MAX_TAGS} tags.")
    plane.resources.add_tags(arn, new)
    return {}


def untag_resource(plane: Plane, call: Call, params: Params) -> Result:
    """Remove tags by key."""
    plane.resources.delete_tags(_existing(plane, params), params["tagKeys"])
    return {}


def list_tags_for_resource(plane: Plane, call: Call, params: Params) -> Result:
    """Every tag of a repository, by key."""
    tags = plane.resources.tags(_existing(plane, params))
    return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _existing(plane: Plane, params: Params) -> str:
    arn: str = params["resourceArn"]
    if not _ARN.fullmatch(arn):
        raise Fault(
            "InvalidParameterException",
            "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'",
        )
    if plane.resources.get(arn) is None:
        raise Fault(
            "RepositoryNotFoundException",
            f"The repository with name '{arn.partition('/')[2]}' does not exist in the registry "
            f"with id '{(arn.split(':') + [''] * 5)[4]}'",
        )
    return arn


def _tags(tags: Any) -> dict[str, str]:
    reserved = [tag["Key"] for tag in tags if tag["Key"].lower().startswith("aws:")]
    if reserved:
        raise Fault(
            "InvalidTagParameterException",
            f"Tag keys that begin with aws: are reserved for use by AWS: {', '.join(reserved)}",
        )
    return {tag["Key"]: tag["Value"] for tag in tags}


def _mutability(params: Params) -> dict[str, Any]:
    filters = params.get("imageTagMutabilityExclusionFilters", ())
    mode = params.get("imageTagMutability", MUTABLE)
    if mode.endswith("_WITH_EXCLUSION") != bool(filters):
        raise Fault(
            "InvalidParameterException",
            f"Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy "
            f"constraint: 'imageTagMutability {mode} takes {'no' if filters else 'some'} filters'",
        )
    return {"mutability": mode, "exclusions": tuple(each["filter"] for each in filters)}


def _told_mutability(content: Repository) -> dict[str, Any]:
    told: dict[str, Any] = {"imageTagMutability": content.mutability}
    if content.exclusions:
        told["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in content.exclusions
        ]
    return told


def _named(found: Found) -> dict[str, str]:
    return {"registryId": found.registry, "repositoryName": found.name}


def _described(plane: Plane, call: Call, found: Found) -> Mapping[str, Any]:
    return {
        "repositoryArn": arn_of(call, found.registry, found.name),
        **_named(found),
        "repositoryUri": repository_uri(plane, call, found),
        "createdAt": found.created_at,
        **_told_mutability(found.content),
        "imageScanningConfiguration": {"scanOnPush": found.content.scan_on_push},
        "encryptionConfiguration": found.content.encryption,
    }


OPERATIONS: OperationTable = {
    ("ecr", "CreateRepository"): create_repository,
    ("ecr", "DescribeRepositories"): describe_repositories,
    ("ecr", "DeleteRepository"): delete_repository,
    ("ecr", "PutImageTagMutability"): put_image_tag_mutability,
    ("ecr", "PutImageScanningConfiguration"): put_image_scanning_configuration,
    ("ecr", "TagResource"): tag_resource,
    ("ecr", "UntagResource"): untag_resource,
    ("ecr", "ListTagsForResource"): list_tags_for_resource,
}
