"""Images at the Docker engine, and sending one to a registry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from sagelocal.push.faults import PushError
from sagelocal.push.login import Login
from sagelocal.runtime.ping import engine_host

# A layer is packed before it is sent, and the engine says nothing meanwhile.
_TIMEOUT_SECONDS = 600
_REFUSED = ("no basic auth", "unauthorized", "denied", "authorization failed", "forbidden")


@dataclass(frozen=True)
class LocalImage:
    """An image at the engine. `name` has a tag."""

    name: str
    identity: str
    os: str
    architecture: str
    variant: str
    size_bytes: int
    layers: int
    names: tuple[str, ...]

    @property
    def platform(self) -> dict[str, str]:
        """As a manifest list has it."""
        variant = {"variant": self.variant} if self.variant else {}
        return {"architecture": self.architecture, "os": self.os, **variant}

    def told(self) -> str:
        """In words."""
        return (
            f"{self.name} ({self.os}/{self.architecture}, {self.layers} layers, "
            f"{self.size_bytes / 1e6:,.0f} MB unpacked)"
        )


class Engine:
    """The Docker engine of DOCKER_HOST or of Docker's current context. Raises PushError."""

    def __init__(self) -> None:
        with _engine_errors():
            self._api = docker.APIClient(
                base_url=engine_host(), version="auto", timeout=_TIMEOUT_SECONDS
            )

    def close(self) -> None:
        self._api.close()

    def find(self, name: str) -> LocalImage | None:
        """The image of that name; None if the engine has none."""
        with _engine_errors():
            try:
                found = self._api.inspect_image(name)  # type: ignore[no-untyped-call]  # no stubs
            except NotFound:
                return None
        return _image(name, found)

    @contextlib.contextmanager
    def named(self, image: LocalImage, name: str) -> Iterator[None]:
        """The image has another name meanwhile; afterwards only if it had it before."""
        repository, _, tag = name.rpartition(":")
        with _engine_errors():
            self._api.tag(image.identity, repository, tag)
        try:
            yield
        finally:
            # The last name would take the image with it.
            if image.names and name not in image.names:
                with contextlib.suppress(PushError), _engine_errors():
                    self._api.remove_image(name, noprune=True)

    def send(self, name: str, login: Login) -> Iterator[Mapping[str, Any]]:
        """What the engine says while it pushes an image. Raises PushError."""
        with _engine_errors():
            for event in self._api.push(
                name,
                stream=True,
                decode=True,
                auth_config={"username": login.user, "password": login.password},
            ):
                if "error" in event:
                    raise PushError(_failure(name, str(event["error"])))
                yield event


def _image(name: str, found: Mapping[str, Any]) -> LocalImage:
    return LocalImage(
        name=name,
        identity=found["Id"],
        os=found["Os"],
        architecture=found["Architecture"],
        variant=found.get("Variant") or "",
        size_bytes=int(found["Size"]),
        layers=len((found.get("RootFS") or {}).get("Layers") or []),
        names=tuple(found.get("RepoTags") or ()),
    )


def _failure(name: str, said: str) -> str:
    if "immutable" in said:
        return f"{said} Give the image another tag: --tag."
    if any(word in said.lower() for word in _REFUSED):
        return (
            f"The registry refused {name}: {said}. The push needs the permissions ecr:PutImage, "
            "ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and "
            "ecr:BatchCheckLayerAvailability on the repository."
        )
    return (
        f"The push of {name} broke off: {said}. Run the same command again: layers that were "
        "sent are kept."
    )


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        raise PushError(f"The Docker engine refused: {error.explanation or error}") from error
    except (DockerException, requests.RequestException) as error:
        raise PushError(
            f"A push needs a Docker engine, and none answers at {engine_host()}: {error}. Start "
            "Docker, or set DOCKER_HOST."
        ) from error
