"""A whole push: what would be done, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sagelocal.account import Account
from sagelocal.domain.repositories import DOCKER_MANIFEST, Manifest
from sagelocal.push import repository as repositories
from sagelocal.push.engine import Engine, LocalImage
from sagelocal.push.faults import PushError
from sagelocal.push.layers import Layers
from sagelocal.push.login import Login, login
from sagelocal.push.manifest_list import Part, check_parts, list_of, names_of_parts
from sagelocal.push.repository import Repository, Wanted


class Progress(Protocol):
    """Where a push tells how it goes."""

    def line(self, text: str) -> None:
        """Something is done."""

    def layers(self, layers: Layers) -> None:
        """Something of a layer was sent."""


@dataclass(frozen=True)
class Plan:
    """What is pushed: one image under `tag`, or one for each architecture and a list of them."""

    images: tuple[tuple[str, LocalImage], ...]  # each with the tag it gets
    tag: str
    is_list: bool


@dataclass(frozen=True)
class Pushed:
    """One image that is in the repository. `digest` is its manifest's."""

    image: LocalImage
    tag: str
    manifest: Manifest
    was_there: bool
    layers_sent: int
    layers_there: int
    bytes_sent: int


@dataclass(frozen=True)
class Result:
    """What came of a push."""

    repository: Repository
    tag: str
    manifest: Manifest
    images: tuple[Pushed, ...]

    @property
    def uri(self) -> str:
        """The image by its digest, as a job may name it."""
        return f"{self.repository.uri}@{self.manifest.digest}"

    def to_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {
            "image": self.uri,
            "digest": self.manifest.digest,
            "repositoryUri": self.repository.uri,
            "repositoryCreated": self.repository.is_new,
            "tag": self.tag,
            "mediaType": self.manifest.media_type,
            "images": [
                {
                    "platform": f"{each.image.os}/{each.image.architecture}",
                    "tag": each.tag,
                    "digest": each.manifest.digest,
                    "wasThere": each.was_there,
                    "layersSent": each.layers_sent,
                    "layersThere": each.layers_there,
                    "bytesSent": each.bytes_sent,
                }
                for each in self.images
            ],
        }

    def advice(self) -> str | None:
        """What SageMaker will say of the image, if it takes none of its kind.

        (amazon-sagemaker-feedback issue 180: CreateModel refuses OCI manifests with `Unsupported
        manifest media type`.)
        """
        if self.manifest.is_index and len(self.images) > 1:
            names = ", ".join(f"{self.repository.uri}:{each.tag}" for each in self.images)
            return f"A list is for other services: SageMaker's jobs name one of {names}"
        if self.manifest.media_type != DOCKER_MANIFEST:
            return (
                f"SageMaker refuses images of the type {self.manifest.media_type}. Build with "
                "`docker buildx build --provenance=false --output type=docker` and push again."
            )
        return None


def plan(engine: Engine, name: str, tag: str | None, *, alone: bool) -> Plan:
    """What is at the engine of that name. Raises PushError."""
    if "@" in name and not tag:
        raise PushError(f"{name} names an image by its digest, and a push needs a tag: --tag.")
    if "@" not in name:
        name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    tag = tag or name.rpartition(":")[2]
    if not alone and "@" not in name:
        found = {a: engine.find(part) for a, part in names_of_parts(name).items()}
        parts = {a: image for a, image in found.items() if image is not None}
        if len(parts) == len(found):
            check_parts(parts)
            return Plan(tuple((f"{tag}-{a}", image) for a, image in parts.items()), tag, True)
    image = engine.find(name)
    if image is None:
        raise PushError(
            f"Docker knows no image {name!r}. `docker images` lists what there is; build one with "
            f"`docker build -t {name} FOLDER`, or a family with `sagelocal build FAMILY`."
        )
    return Plan(((tag, image),), tag, False)


def foretell(account: Account, wanted: Wanted, what: Plan) -> list[str]:
    """What a push would do, a line each; nothing is changed.

    Raises PushError, CloudError.
    """
    found = repositories.find(account, wanted.name)
    told = [
        f"repository {wanted.name} in {account.region} "
        + ("is there" if found else f"would be made, {wanted.told()}")
    ]
    uri = found.uri if found else f"{login(account).host}/{wanted.name}"
    for tag, image in what.images:
        there = _already_there(found, tag, image) if found else None
        how = "is there already" if there else "would be pushed"
        told.append(f"{image.told()} {how} as {uri}:{tag}")
    if what.is_list:
        told.append(f"a manifest list of them would be put as {uri}:{what.tag}")
    return told


def push(
    engine: Engine, account: Account, wanted: Wanted, what: Plan, progress: Progress
) -> Result:
    """Make the repository, send the images, put the list. Raises PushError, CloudError."""
    repository = repositories.find(account, wanted.name)
    if repository is None:
        repository = repositories.create(account, wanted)
        progress.line(f"made the repository {repository.uri}, {wanted.told()}")
    else:
        progress.line(f"the repository {repository.uri} is there{_differs(repository, wanted)}")
    who = login(account)
    pushed = tuple(
        _push_one(engine, repository, who, tag, image, progress) for tag, image in what.images
    )
    if not what.is_list:
        return Result(repository, what.tag, pushed[0].manifest, pushed)
    manifest = list_of([Part(each.image, each.tag, each.manifest) for each in pushed])
    _refuse_frozen(repository, what.tag, manifest.digest)
    is_new = repository.put(manifest, what.tag)
    progress.line(f"{what.tag}: the list {'is put' if is_new else 'was there already'}")
    return Result(repository, what.tag, manifest, pushed)


def _differs(repository: Repository, wanted: Wanted) -> str:
    """What was asked of a new repository and is otherwise in the one that is there."""
    other = []
    if wanted.immutable_tags and not repository.frozen("any"):
        other.append("its tags are mutable")
    if wanted.scan_on_push and not repository.scans:
        other.append("it is not scanned on push")
    return f" and stays as it is: {', '.join(other)}" if other else ""


def _push_one(
    engine: Engine,
    repository: Repository,
    who: Login,
    tag: str,
    image: LocalImage,
    progress: Progress,
) -> Pushed:
    there = _already_there(repository, tag, image)
    if there is not None:
        progress.line(f"{image.name} is there already as {repository.uri}:{tag}")
        return Pushed(image, tag, there, True, 0, image.layers, 0)
    name, layers = f"{repository.uri}:{tag}", Layers()
    progress.line(f"pushing {image.told()} as {name}")
    with engine.named(image, name):
        for event in engine.send(name, who):
            line = layers.feed(event)
            if line:
                progress.line(line)
            progress.layers(layers)
    manifest = repository.image(digest=layers.digest) if layers.digest else None
    manifest = manifest or repository.image(tag=tag)
    if manifest is None:
        raise PushError(
            f"The engine says that {name} is pushed, and the repository does not have it. "
            f"`aws ecr describe-images --repository-name {repository.name}` says what it has; "
            "run the same command again."
        )
    return Pushed(
        image, tag, manifest, False, len(layers.sent), len(layers.there), layers.bytes_sent
    )


def _already_there(repository: Repository, tag: str, image: LocalImage) -> Manifest | None:
    """What the tag is on, if that is the image itself. Raises PushError if it cannot move to it.

    An engine knows an image by the digest of its configuration, or of its manifest where it keeps
    images in containerd.
    """
    there = repository.image(tag=tag)
    if there is None:
        return None
    if image.identity in (there.config_digest, there.digest):
        return there
    _refuse_frozen(repository, tag, None)
    return None


def _refuse_frozen(repository: Repository, tag: str, digest: str | None) -> None:
    """Raises PushError for an immutable tag that is on another image."""
    there = repository.image(tag=tag) if repository.frozen(tag) else None
    if there is not None and there.digest != digest:
        raise PushError(
            f"The tag {tag!r} of {repository.uri} is on another image ({there.digest}), and tags "
            "of that repository are immutable. Give the image another tag: --tag."
        )
