"""ECR repositories and the images in them, and what a push or a deletion makes of them.

A manifest is kept as it was given; its digest is the SHA-256 of its bytes (OCI image specification,
"Descriptors"). One image has any number of tags, a tag is on one image (ECR user guide, "Image tag
mutability").
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MUTABLE, IMMUTABLE = "MUTABLE", "IMMUTABLE"
# The mode, and whether it freezes the tags that its exclusion filters do not name.
_FROZEN = {
    "MUTABLE": False,
    "IMMUTABLE": True,
    "MUTABLE_WITH_EXCLUSION": False,
    "IMMUTABLE_WITH_EXCLUSION": True,
}

_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"/(?P<name>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class InvalidManifest(Exception):
    """What was given is no image manifest; the text says why."""


class TagIsImmutable(Exception):
    """The tag is on another image already and may not move; its text is the tag."""


class AlreadyPushed(Exception):
    """The image is there with that tag."""


@dataclass(frozen=True)
class ImageUri:
    """What a URI such as `111122223333.dkr.ecr.us-east-1.amazonaws.com/name:tag` says."""

    arn: str
    name: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> ImageUri | None:
        """Read the URI of an image in ECR; None for any other."""
        if (match := _URI.fullmatch(uri)) is None:
            return None
        arn = "arn:aws:ecr:{region}:{account}:repository/{name}".format(**match.groupdict())
        return cls(arn, match["name"], match["tag"], match["digest"])


@dataclass(frozen=True)
class Manifest:
    """An image manifest or an index of several, as a client gave it."""

    text: str
    media_type: str

    @classmethod
    def parse(cls, text: str, media_type: str | None = None) -> Manifest:
        """Check that it is one. Raises InvalidManifest."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise InvalidManifest(f"it is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise InvalidManifest("it is no JSON object")
        found = media_type or document.get("mediaType")
        if not isinstance(found, str):
            raise InvalidManifest("it has no mediaType, and none was given with it")
        if not ("config" in document or "manifests" in document or "fsLayers" in document):
            raise InvalidManifest("it has neither a config nor manifests")
        return cls(text, found)

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"

    @property
    def is_index(self) -> bool:
        """Whether it names manifests, one for each platform, and no layers."""
        return "manifests" in json.loads(self.text)

    @property
    def config_digest(self) -> str | None:
        """The digest of its configuration, by which an engine knows it; None of an index."""
        config = json.loads(self.text).get("config")
        return config.get("digest") if isinstance(config, dict) else None

    @property
    def size_bytes(self) -> int:
        """What its layers and its configuration weigh, as far as it says."""
        document = json.loads(self.text)
        parts = [document.get("config"), *document.get("layers", ())]
        return sum(int(part.get("size", 0)) for part in parts if isinstance(part, dict))


@dataclass(frozen=True)
class RepositoryImage:
    """One image of a repository. `pushed_at` is in seconds since 1970."""

    manifest: Manifest
    tags: tuple[str, ...]
    pushed_at: float

    @property
    def digest(self) -> str:
        return self.manifest.digest


@dataclass(frozen=True)
class Repository:
    """One repository of the caller's registry, beside its name, ARN, date and tags."""

    mutability: str = MUTABLE
    exclusions: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption: Mapping[str, Any] = field(default_factory=lambda: {"encryptionType": "AES256"})
    policy: str | None = None
    lifecycle_policy: str | None = None
    images: tuple[RepositoryImage, ...] = ()

    def find(self, digest: str | None, tag: str | None) -> RepositoryImage | None:
        """The image that has the digest, the tag, or both; None if none does."""
        for image in self.images:
            if (digest is None or image.digest == digest) and (tag is None or tag in image.tags):
                return image
        return None

    def push(self, manifest: Manifest, tag: str | None, now: float) -> Repository:
        """With the image, and the tag on it. Raises TagIsImmutable or AlreadyPushed."""
        there = self.find(manifest.digest, None)
        if there and (tag is None or tag in there.tags):
            raise AlreadyPushed
        if tag is not None and self.find(None, tag) and self.is_frozen(tag):
            raise TagIsImmutable(tag)
        tags = {*(there.tags if there else ()), *([tag] if tag else [])}
        pushed_at = there.pushed_at if there else now
        new = RepositoryImage(manifest, tuple(sorted(tags)), pushed_at)
        others = (
            replace(image, tags=tuple(t for t in image.tags if t != tag))
            for image in self.images
            if image.digest != manifest.digest
        )
        return replace(self, images=(*others, new))

    def is_frozen(self, tag: str) -> bool:
        """Whether the tag stays on the image that has it first."""
        excluded = any(fnmatch.fnmatchcase(tag, pattern) for pattern in self.exclusions)
        return _FROZEN[self.mutability] is not excluded

    def with_tags(self, tagged: Mapping[str, Manifest], now: float) -> Repository:
        """As a registry has it: these tags and no others. An image that lost its tags stays."""
        manifests = {image.digest: image.manifest for image in self.images}
        manifests |= {manifest.digest: manifest for manifest in tagged.values()}
        since = {image.digest: image.pushed_at for image in self.images}
        tags: dict[str, list[str]] = {digest: [] for digest in manifests}
        for tag, manifest in sorted(tagged.items()):
            tags[manifest.digest].append(tag)
        images = (
            RepositoryImage(manifest, tuple(tags[digest]), since.get(digest, now))
            for digest, manifest in manifests.items()
        )
        return replace(self, images=tuple(images))

    def without(self, image: RepositoryImage, tag: str | None) -> Repository:
        """Without the tag, and without the image if that was its last or no tag is given."""
        left = tuple(t for t in image.tags if t != tag) if tag else ()
        kept = [replace(image, tags=left)] if left else []
        others = (each for each in self.images if each.digest != image.digest)
        return replace(self, images=(*others, *kept))

    def to_document(self) -> dict[str, Any]:
        """As JSON that `from_document` reads."""
        return {
            "mutability": self.mutability,
            "exclusions": list(self.exclusions),
            "scan_on_push": self.scan_on_push,
            "encryption": dict(self.encryption),
            "policy": self.policy,
            "lifecycle_policy": self.lifecycle_policy,
            "images": [
                {
                    "manifest": image.manifest.text,
                    "media_type": image.manifest.media_type,
                    "tags": list(image.tags),
                    "pushed_at": image.pushed_at,
                }
                for image in self.images
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Repository:
        return cls(
            mutability=document["mutability"],
            exclusions=tuple(document["exclusions"]),
            scan_on_push=document["scan_on_push"],
            encryption=document["encryption"],
            policy=document["policy"],
            lifecycle_policy=document["lifecycle_policy"],
            images=tuple(_images(document["images"])),
        )


def _images(documents: Iterable[Mapping[str, Any]]) -> Iterable[RepositoryImage]:
    for document in documents:
        manifest = Manifest(document["manifest"], document["media_type"])
        yield RepositoryImage(manifest, tuple(document["tags"]), document["pushed_at"])
