"""`docker login`, `push` and `pull` for registries in ECR, as they are under `sagelocal exec`.

The image of a push stays at the engine it was built by; the control plane is told its manifest, so
that the repository lists it and jobs can name it by tag or by digest. A pull of a built-in
algorithm's URI tags the local image of that family with it. What is printed is what docker prints.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from sagelocal.domain.repositories import DOCKER_MANIFEST, Manifest
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

_URI = re.compile(
    r"(?P<host>(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+)"
    r"/(?P<name>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_CONFIG = "application/vnd.docker.container.image.v1+json"
# The engine keeps layers unpacked; their digests are those of the uncompressed archives.
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class DockerError(Exception):
    """What is printed on stderr before the command ends with status 1."""


@dataclass(frozen=True)
class Image:
    """One image as a command line names it."""

    uri: str
    account: str
    region: str
    name: str
    tag: str
    digest: str | None

    @classmethod
    def parse(cls, uri: str) -> Image:
        """Raises DockerError for what is no image of a registry in ECR."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise DockerError(
                f"invalid reference format: {uri!r} names no repository of a registry"
            )
        tag = match["tag"] or "latest"
        full = uri if match["tag"] or match["digest"] else f"{uri}:{tag}"
        return cls(full, match["account"], match["region"], match["name"], tag, match["digest"])


def main(arguments: Sequence[str]) -> int:
    """`DOCKER login|logout|push|pull ...`; the exit status."""
    engine = Engine(arguments[0])
    command, rest = arguments[1], list(arguments[2:])
    try:
        if command == "login":
            _login(rest)
        elif command == "logout":
            print(f"Removing login credentials for {rest[-1]}")
        elif command == "push":
            _push(engine, rest)
        else:
            _pull(engine, rest)
    except DockerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


class Engine:
    """The machine's own docker command."""

    def __init__(self, docker: str) -> None:
        if not docker:
            raise SystemExit("docker: there is no docker on PATH besides the one of sagelocal exec")
        self._docker = docker

    def inspect(self, reference: str) -> Mapping[str, Any] | None:
        """The image as the engine knows it; None if it does not."""
        done = self._run("image", "inspect", reference)
        if done.returncode:
            if "no such image" in done.stderr.lower():
                return None
            raise DockerError(done.stderr.strip())
        found: Mapping[str, Any] = json.loads(done.stdout)[0]
        return found

    def layer_sizes(self, reference: str) -> list[int]:
        """What each step of the build added, in bytes, the first first; empty steps left out."""
        told = self._run("history", "--human=false", "--format", "{{.Size}}", reference).stdout
        return [size for size in map(int, reversed(told.split())) if size]

    def tags(self, repository: str) -> list[str]:
        """Every local name `repository:TAG`."""
        done = self._run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository)
        return [line for line in done.stdout.split() if not line.endswith(":<none>")]

    def tag(self, source: str, name: str) -> None:
        done = self._run("tag", source, name)
        if done.returncode:
            raise DockerError(done.stderr.strip())

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self._docker, *arguments], capture_output=True, text=True)


def _login(arguments: Sequence[str]) -> None:
    if "--password-stdin" in arguments and not sys.stdin.read().strip():
        raise DockerError("Error: Password Required")
    print("Login Succeeded")


def _push(engine: Engine, arguments: Sequence[str]) -> None:
    name, flags = _name_and_flags(arguments)
    quiet = bool({"-q", "--quiet"} & set(flags))
    everything = bool({"-a", "--all-tags"} & set(flags))
    names = engine.tags(name) if everything else [name]
    if not names:
        raise DockerError(f"An image does not exist locally with the tag: {name}")
    for each in names:
        image = Image.parse(each)
        manifest = _manifest(engine, image)
        if not quiet:
            print(f"The push refers to repository [{image.uri.rpartition(':')[0]}]")
        _put(image, manifest)
        size = len(manifest.text)
        print(image.uri if quiet else f"{image.tag}: digest: {manifest.digest} size: {size}")


def _pull(engine: Engine, arguments: Sequence[str]) -> None:
    name, flags = _name_and_flags(arguments)
    image = Image.parse(name)
    if engine.inspect(image.uri) is None:
        _tag_family(engine, image)
    if {"-q", "--quiet"} & set(flags):
        print(image.uri)
        return
    print(f"{image.tag}: Pulling from {image.name}")
    print(f"Status: Image is up to date for {image.uri}")


def _tag_family(engine: Engine, image: Image) -> None:
    """Give the local image of an algorithm or framework the name that was asked for."""
    try:
        catalog = ImageCatalog.load()
    except RuntimeFault as error:
        raise DockerError(str(error)) from error
    family = catalog.resolve(image.uri)
    if family is None:
        raise DockerError(
            f"Error response from daemon: manifest for {image.uri} not found: manifest unknown: "
            f"Requested image not found. Known here: {', '.join(catalog.known_names)}"
        )
    if engine.inspect(family.tag) is None:
        raise DockerError(
            f"Error response from daemon: {image.uri} means {family.tag}, which is not built: "
            f"`{catalog.how_to_build(family)}`"
        )
    if image.digest is None:
        engine.tag(family.tag, image.uri)


def _name_and_flags(arguments: Sequence[str]) -> tuple[str, list[str]]:
    names = [argument for argument in arguments if not argument.startswith("-")]
    return names[-1], [argument for argument in arguments if argument.startswith("-")]


def _manifest(engine: Engine, image: Image) -> Manifest:
    found = engine.inspect(image.uri)
    if found is None:
        raise DockerError(
            f"An image does not exist locally with the tag: {image.uri.rpartition(':')[0]}"
        )
    sizes = engine.layer_sizes(image.uri)
    layers = found["RootFS"].get("Layers") or []
    sizes = (sizes + [0] * len(layers))[: len(layers)]
    document = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": _CONFIG, "size": 0, "digest": found["Id"]},
        "layers": [
            {"mediaType": _LAYER, "size": size, "digest": digest}
            for size, digest in zip(sizes, layers, strict=True)
        ],
    }
    return Manifest(json.dumps(document), DOCKER_MANIFEST)


def _put(image: Image, manifest: Manifest) -> None:
    """Tell the control plane, in the words of a registry where it refuses."""
    session = botocore.session.get_session()
    client: Any = session.create_client("ecr", region_name=image.region)
    repository = {"registryId": image.account, "repositoryName": image.name}
    try:
        with contextlib.suppress(client.exceptions.ImageAlreadyExistsException):
            client.put_image(
                **repository,
                imageManifest=manifest.text,
                imageManifestMediaType=manifest.media_type,
                imageTag=image.tag,
            )
    except client.exceptions.RepositoryNotFoundException as error:
        raise DockerError(f"name unknown: {_message(error)}") from error
    except client.exceptions.ImageTagAlreadyExistsException as error:
        raise DockerError(f"tag invalid: {_message(error)}") from error
    except (ClientError, BotoCoreError) as error:
        url = os.environ.get("AWS_ENDPOINT_URL", "")
        raise DockerError(f"The control plane at {url} did not take the image: {error}") from error


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
