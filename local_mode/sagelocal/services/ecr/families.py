"""Image families as repositories: each answers in every registry, with one image under its tag.

There is no manifest of an image that may not be built yet. One is made of what describes the image,
so that the digest stays the same until that changes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sagelocal.domain.repositories import DOCKER_MANIFEST, Manifest, Repository, RepositoryImage

if TYPE_CHECKING:
    from sagelocal.runtime.images import ImageCatalog, ImageFamily

_CONFIG = "application/vnd.docker.container.image.v1+json"


def by_repository(images: ImageCatalog) -> dict[str, ImageFamily]:
    """The family behind each repository name."""
    return {name: family for family in images.families for name in family.names}


def content(family: ImageFamily) -> Repository:
    """The repository's one image."""
    tag = family.tag.rpartition(":")[2]
    return Repository(images=(RepositoryImage(_manifest(family), (tag,), made_at(family)),))


def made_at(family: ImageFamily) -> float:
    """When it was described, in seconds since 1970."""
    return _description(family).stat().st_mtime


def _description(family: ImageFamily) -> Path:
    return family.folder / "image.toml"


def _manifest(family: ImageFamily) -> Manifest:
    source = hashlib.sha256()
    for path in (_description(family), family.dockerfile, family.requirements_lock):
        if path.exists():
            source.update(path.read_bytes())
    config = {"mediaType": _CONFIG, "size": 0, "digest": f"sha256:{source.hexdigest()}"}
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config,
        "layers": [],
    }
    return Manifest(json.dumps(document), DOCKER_MANIFEST)
