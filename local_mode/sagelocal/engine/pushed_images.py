"""What the Docker engine calls an image that was pushed to a repository here, or pulls it by."""

from __future__ import annotations

from dataclasses import dataclass

from sagelocal.domain.repositories import ImageUri, Repository
from sagelocal.runtime.interface import Pull
from sagelocal.store.registry import USER, Registry
from sagelocal.store.resources import Resources


@dataclass(frozen=True)
class PushedImages:
    """The images of repositories here, at the engine that built them or in a registry."""

    resources: Resources
    registry: Registry | None

    def engine_name(self, uri: str) -> str | None:
        """The image's configuration digest, which is its ID at the engine that built it.

        None for a URI that names no image by digest, or one that was not pushed here.
        """
        wanted = ImageUri.parse(uri)
        repository = self.resources.get(wanted.arn) if wanted and wanted.digest else None
        if wanted is None or repository is None:
            return None
        image = Repository.from_document(repository.document).find(wanted.digest, None)
        return image.manifest.config_digest if image else None

    def to_pull(self, uri: str) -> Pull | None:
        """What the registry behind the plane has it as; None if it is of no repository there.

        That is any name at the registry's own address, and what a repository here is called by in
        the cloud.
        """
        registry, wanted = self.registry, ImageUri.parse(uri)
        if registry is None:
            return None
        user = USER if registry.password else None
        if uri.startswith(f"{registry.address}/"):
            return Pull(uri, user, registry.password)
        if wanted is None or self.resources.get(wanted.arn) is None:
            return None
        version = f"@{wanted.digest}" if wanted.digest else f":{wanted.tag or 'latest'}"
        return Pull(f"{registry.address}/{wanted.name}{version}", user, registry.password)
