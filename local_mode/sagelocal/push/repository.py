"""The repository of a push: there or made, and what its tags are on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagelocal.account import Account, NotThere, Refused
from sagelocal.domain import repositories
from sagelocal.domain.repositories import Manifest
from sagelocal.push.faults import PushError

_MANIFEST_TYPES = (
    repositories.DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Wanted:
    """How a repository is made, if it is not there."""

    name: str
    scan_on_push: bool = False
    immutable_tags: bool = False

    def told(self) -> str:
        """In words."""
        tags = repositories.IMMUTABLE if self.immutable_tags else repositories.MUTABLE
        scan = "with" if self.scan_on_push else "without"
        return f"{scan} a scan on push, tags {tags}"


@dataclass(frozen=True)
class Repository:
    """A repository that is there. `is_new` if this push made it."""

    account: Account
    name: str
    uri: str
    is_new: bool
    settings: repositories.Repository

    @property
    def scans(self) -> bool:
        return self.settings.scan_on_push

    def frozen(self, tag: str) -> bool:
        """Whether a tag cannot move to another image."""
        return self.settings.is_frozen(tag)

    def image(self, *, tag: str | None = None, digest: str | None = None) -> Manifest | None:
        """The manifest that has a tag or a digest; None if none has. Raises CloudError."""
        wanted = {"imageTag": tag} if tag else {"imageDigest": digest}
        answer = self.account.call(
            "ecr",
            "batch_get_image",
            repositoryName=self.name,
            imageIds=[wanted],
            acceptedMediaTypes=list(_MANIFEST_TYPES),
        )
        for image in answer["images"]:
            return _manifest(image)
        return None

    def put(self, manifest: Manifest, tag: str) -> bool:
        """Put a manifest under a tag; False if it was there already. Raises CloudError."""
        try:
            self.account.call(
                "ecr",
                "put_image",
                repositoryName=self.name,
                imageManifest=manifest.text,
                imageManifestMediaType=manifest.media_type,
                imageTag=tag,
            )
        except Refused as error:
            if error.code != "ImageAlreadyExistsException":
                raise
            return False
        return True


def find(account: Account, name: str) -> Repository | None:
    """The repository of that name; None if there is none. Raises CloudError."""
    try:
        answer = account.call("ecr", "describe_repositories", repositoryNames=[name])
    except NotThere:
        return None
    return _repository(account, answer["repositories"][0], is_new=False)


def create(account: Account, wanted: Wanted) -> Repository:
    """Make it. Raises PushError, CloudError."""
    mutability = repositories.IMMUTABLE if wanted.immutable_tags else repositories.MUTABLE
    try:
        answer = account.call(
            "ecr",
            "create_repository",
            repositoryName=wanted.name,
            imageTagMutability=mutability,
            imageScanningConfiguration={"scanOnPush": wanted.scan_on_push},
        )
    except Refused as error:
        if error.code != "RepositoryAlreadyExistsException":
            raise
        # Somebody else was faster.
        found = find(account, wanted.name)
        if found is None:
            raise PushError(f"The repository {wanted.name!r} comes and goes; try again.") from None
        return found
    return _repository(account, answer["repository"], is_new=True)


def _repository(account: Account, described: Mapping[str, Any], *, is_new: bool) -> Repository:
    filters = described.get("imageTagMutabilityExclusionFilters", ())
    scanning = described.get("imageScanningConfiguration", {})
    settings = repositories.Repository(
        mutability=described.get("imageTagMutability", repositories.MUTABLE),
        exclusions=tuple(each["filter"] for each in filters),
        scan_on_push=bool(scanning.get("scanOnPush", False)),
    )
    return Repository(
        account, described["repositoryName"], described["repositoryUri"], is_new, settings
    )


def _manifest(image: Mapping[str, Any]) -> Manifest:
    text = image["imageManifest"]
    kind = image.get("imageManifestMediaType") or json.loads(text).get("mediaType", "")
    return Manifest(text, kind)
