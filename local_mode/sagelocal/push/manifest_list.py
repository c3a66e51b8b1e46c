"""One tag for the images of several architectures: a manifest that lists theirs.

The two forms are those of Docker ("Image manifest version 2, schema 2") and of the OCI image
specification ("Image index"); a list is of the form of what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sagelocal.domain.repositories import DOCKER_MANIFEST, Manifest
from sagelocal.push.engine import LocalImage
from sagelocal.push.faults import PushError

ARCHITECTURES = ("amd64", "arm64")
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Part:
    """One image of a list: at the engine, and as the registry has it."""

    image: LocalImage
    tag: str
    manifest: Manifest


def list_of(parts: Sequence[Part]) -> Manifest:
    """The manifest list of images that were pushed."""
    docker = all(part.manifest.media_type == DOCKER_MANIFEST for part in parts)
    kind = DOCKER_LIST if docker else OCI_INDEX
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "manifests": [
            {
                "mediaType": part.manifest.media_type,
                "size": len(part.manifest.text.encode()),
                "digest": part.manifest.digest,
                "platform": part.image.platform,
            }
            for part in parts
        ],
    }
    return Manifest(json.dumps(document), kind)


def names_of_parts(name: str) -> dict[str, str]:
    """What the image of each architecture is called beside `name`, which has a tag."""
    return {architecture: f"{name}-{architecture}" for architecture in ARCHITECTURES}


def check_parts(parts: dict[str, LocalImage]) -> None:
    """Raises PushError for an image that is of another architecture than its name says."""
    for architecture, image in parts.items():
        if image.architecture != architecture:
            raise PushError(
                f"{image.name} is an image for {image.os}/{image.architecture}, not for "
                f"{architecture}. Build it with `docker build --platform linux/{architecture}`, or "
                "push the image alone: --alone."
            )
