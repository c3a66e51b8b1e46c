"""The repository that a request is about: one of the caller's own, or an image family's.

With a registry behind the plane, that holds the images of the caller's own repositories: a request
about images looks there first, and what the plane keeps of them is when they were first seen.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sagelocal.domain.repositories import Repository
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, Params
from sagelocal.services.ecr import families
from sagelocal.store.registry import RegistryError, tagged
from sagelocal.store.resources import Query, Resource

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

KIND = "ecr-repository"
_ALL = 1_000_000


@dataclass(frozen=True)
class Found:
    """A repository by name in one registry. A family's is read-only."""

    registry: str
    name: str
    created_at: float
    content: Repository
    is_family: bool = False


def registry_of(call: Call, params: Params) -> str:
    """The account whose registry is asked about: the caller's own if none is named."""
    return str(params.get("registryId") or call.scope.account)


def registry_url(plane: Plane, call: Call, registry: str) -> str:
    """Where a registry is: the caller's own is the one behind the plane, if there is one."""
    if plane.registry is not None and registry == call.scope.account:
        return plane.registry.url
    return f"https://{registry}.dkr.ecr.{call.scope.region}.amazonaws.com"


def repository_uri(plane: Plane, call: Call, found: Found) -> str:
    """What images of a repository are called, before a tag or a digest."""
    if found.is_family:
        host = f"{found.registry}.dkr.ecr.{call.scope.region}.amazonaws.com"
    else:
        host = registry_url(plane, call, found.registry).partition("://")[2]
    return f"{host}/{found.name}"


def arn_of(call: Call, registry: str, name: str) -> str:
    """A repository's ARN."""
    return f"arn:aws:ecr:{call.scope.region}:{registry}:repository/{name}"


def all_repositories(plane: Plane, call: Call, registry: str) -> dict[str, Found]:
    """Every repository of a registry by name; one of the caller's own hides a family's."""
    found = {
        name: Found(registry, name, families.made_at(family), families.content(family), True)
        for name, family in families.by_repository(plane.images).items()
    }
    if registry == call.scope.account:
        query = Query(KIND, call.scope.region, limit=_ALL)
        found |= {row.name: _own(registry, row) for row in plane.resources.list(query)}
    return dict(sorted(found.items()))


def require(plane: Plane, call: Call, params: Params, name: str | None = None) -> Found:
    """The repository that `repositoryName` names. Raises Fault."""
    registry = registry_of(call, params)
    name = name or params["repositoryName"]
    row = plane.resources.get(arn_of(call, registry, name))
    if row is not None:
        return _own(registry, row)
    family = families.by_repository(plane.images).get(name)
    if family is None:
        raise not_found(plane, call, registry, name)
    return Found(registry, name, families.made_at(family), families.content(family), True)


def require_images(plane: Plane, call: Call, params: Params) -> Found:
    """The same, with its images as the registry behind the plane has them now. Raises Fault."""
    found = require(plane, call, params)
    if plane.registry is None or found.is_family:
        return found
    known = {image.digest: image.manifest for image in found.content.images}
    with registry_faults():
        now_there = dict(tagged(plane.registry, found.name, known))
    if found.content.with_tags(now_there, 0) == found.content:
        return found
    now = time.time()
    return change(plane, call, params, lambda old: old.with_tags(now_there, now))


@contextlib.contextmanager
def registry_faults() -> Iterator[None]:
    """Tell the client what is the matter with the registry, as ECR tells its own troubles."""
    try:
        yield
    except RegistryError as error:
        raise Fault("ServerException", str(error), status=500) from error


def change(
    plane: Plane, call: Call, params: Params, how: Callable[[Repository], Repository]
) -> Found:
    """Change one of the caller's own repositories in one transaction. Raises Fault."""
    found = require(plane, call, params)
    if found.is_family:
        raise Fault(
            "InvalidParameterException",
            f"The repository '{found.name}' is an image family of sagelocal and cannot be "
            f"changed; create a repository of your own first: `aws ecr create-repository "
            f"--repository-name {found.name}`",
        )

    def changed(row: Resource) -> Resource:
        return replace(row, document=how(Repository.from_document(row.document)).to_document())

    row = plane.resources.update(arn_of(call, found.registry, found.name), changed)
    if row is None:
        raise not_found(plane, call, found.registry, found.name)
    return _own(found.registry, row)


def not_found(plane: Plane, call: Call, registry: str, name: str) -> Fault:
    """ECR's words for a repository that is not there, and which are."""
    known = ", ".join(all_repositories(plane, call, registry)) or "none"
    return Fault(
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id "
        f"'{registry}'. Known to sagelocal: {known}",
    )


def _own(registry: str, row: Resource) -> Found:
    return Found(registry, row.name, row.created_at, Repository.from_document(row.document))
