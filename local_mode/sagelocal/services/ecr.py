"""ECR: the images that are known here, as repositories of the registry that is asked about.

A family answers for its repositories in every account and region, with every tag; there is one
image behind them, whose digest is made from what describes it. There is no registry to pull from:
the token lets `docker login` be tried, as clients do, and nothing more.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result

if TYPE_CHECKING:
    from sagelocal.runtime.images import ImageFamily
    from sagelocal.services.plane import Plane

# "Authorization tokens are valid for 12 hours" (ECR user guide, Private registry authentication).
_TOKEN_SECONDS = 12 * 3600
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _registry(call: Call, params: Params) -> str:
    return str(params.get("registryId") or call.scope.account)


def _address(call: Call, registry: str) -> str:
    return f"{registry}.dkr.ecr.{call.scope.region}.amazonaws.com"


def _get_authorization_token(plane: Plane, call: Call, params: Params) -> Result:
    expires = time.time() + _TOKEN_SECONDS
    return {
        "authorizationData": [
            {
                "authorizationToken": _token(),
                "expiresAt": expires,
                "proxyEndpoint": f"https://{_address(call, registry)}",
            }
            for registry in params.get("registryIds") or [call.scope.account]
        ]
    }


def _token() -> str:
    """User and password in base64.

    The SageMaker SDK takes the user off by stripping the letters A, W, S and the colon from both
    ends, so a password must neither begin nor end with one; hexadecimal digits have none of them.
    """
    return base64.b64encode(f"AWS:{secrets.token_hex(32)}".encode()).decode()


def _describe_repositories(plane: Plane, call: Call, params: Params) -> Result:
    registry = _registry(call, params)
    known = _repositories(plane)
    wanted = params.get("repositoryNames") or sorted(known)
    return {
        "repositories": [
            _repository(call, registry, name, _family(plane, registry, name)) for name in wanted
        ]
    }


def _repositories(plane: Plane) -> dict[str, ImageFamily]:
    return {name: family for family in plane.images.families for name in family.names}


def _family(plane: Plane, registry: str, repository: str) -> ImageFamily:
    family = _repositories(plane).get(repository)
    if family is None:
        known = ", ".join(sorted(_repositories(plane))) or "none"
        raise Fault(
            "RepositoryNotFoundException",
            f"The repository with name '{repository}' does not exist in the registry with id "
            f"'{registry}'. Known to sagelocal: {known}",
        )
    return family


def _repository(call: Call, registry: str, name: str, family: ImageFamily) -> Result:
    return {
        "repositoryArn": f"arn:aws:ecr:{call.scope.region}:{registry}:repository/{name}",
        "registryId": registry,
        "repositoryName": name,
        "repositoryUri": f"{_address(call, registry)}/{name}",
        "createdAt": _made_at(family),
        "imageTagMutability": "MUTABLE",
    }


def _made_at(family: ImageFamily) -> float:
    return _description(family).stat().st_mtime


def _description(family: ImageFamily) -> Path:
    return family.folder / "image.toml"


def _digest(family: ImageFamily) -> str:
    """The same for the same family until what it is made from changes."""
    content = hashlib.sha256()
    for path in (_description(family), family.dockerfile, family.requirements_lock):
        if path.exists():
            content.update(path.read_bytes())
    return f"sha256:{content.hexdigest()}"


def _tag(family: ImageFamily) -> str:
    return family.tag.rpartition(":")[2]


def _list_images(plane: Plane, call: Call, params: Params) -> Result:
    family = _family(plane, _registry(call, params), params["repositoryName"])
    if params.get("filter", {}).get("tagStatus") == "UNTAGGED":
        return {"imageIds": []}
    return {"imageIds": [{"imageDigest": _digest(family), "imageTag": _tag(family)}]}


def _describe_images(plane: Plane, call: Call, params: Params) -> Result:
    registry = _registry(call, params)
    name = params["repositoryName"]
    family = _family(plane, registry, name)
    digest = _digest(family)
    missing = _missing(params.get("imageIds", ()), digest)
    if missing:
        raise Fault(
            "ImageNotFoundException",
            f"The image with imageId {missing[0]} does not exist within the repository with name "
            f"'{name}' in the registry with id '{registry}'",
        )
    return {
        "imageDetails": [
            {
                "registryId": registry,
                "repositoryName": name,
                "imageDigest": digest,
                "imageTags": _tags(params.get("imageIds", ()), family),
                "imagePushedAt": _made_at(family),
                "imageManifestMediaType": _MANIFEST,
            }
        ]
    }


def _missing(wanted: Iterable[Params], digest: str) -> Sequence[str]:
    """The digests that are not the image's; any tag is."""
    return [
        f"{{imageDigest:'{image['imageDigest']}'}}"
        for image in wanted
        if image.get("imageDigest", digest) != digest
    ]


def _tags(wanted: Iterable[Params], family: ImageFamily) -> list[str]:
    return sorted({image["imageTag"] for image in wanted if "imageTag" in image} | {_tag(family)})


OPERATIONS: OperationTable = {
    ("ecr", "GetAuthorizationToken"): _get_authorization_token,
    ("ecr", "DescribeRepositories"): _describe_repositories,
    ("ecr", "ListImages"): _list_images,
    ("ecr", "DescribeImages"): _describe_images,
}
