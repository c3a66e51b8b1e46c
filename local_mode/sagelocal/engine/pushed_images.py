"""What the Docker engine calls an image that was pushed to a repository here."""

from __future__ import annotations

from sagelocal.domain.repositories import ImageByDigest, Repository
from sagelocal.store.resources import Resources


def engine_name(resources: Resources, uri: str) -> str | None:
    """The image's configuration digest, which is its ID at the engine that built it.

    None for a URI that names no image by digest, or one that was not pushed here.
    """
    wanted = ImageByDigest.parse(uri)
    repository = resources.get(wanted.arn) if wanted else None
    if wanted is None or repository is None:
        return None
    image = Repository.from_document(repository.document).find(wanted.digest, None)
    return image.manifest.config_digest if image else None
