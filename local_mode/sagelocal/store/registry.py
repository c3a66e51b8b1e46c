"""What an image registry holds, by the OCI distribution specification.

The layers' bytes pass between it and a Docker engine; here only tags and manifests are asked for. A
registry on this machine's loopback is spoken to without TLS, as Docker does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from sagelocal.domain.repositories import DOCKER_MANIFEST, Manifest

USER = "AWS"
_ACCEPTED = ", ".join(
    (
        DOCKER_MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
_TIMEOUT = urllib3.Timeout(connect=5, read=30)
_OK, _CREATED, _ACCEPTED_STATUS = 200, 201, 202
_UNAUTHORIZED, _NOT_FOUND = (401, 403), 404
_NOT_ALLOWED = 405
_BLOB_UNKNOWN = ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")


class RegistryError(Exception):
    """It does not answer, or not as a registry; the text says what to do."""


class PartsMissing(RegistryError):
    """A manifest names layers or images that are not there; the text is their digests."""


@dataclass(frozen=True)
class Registry:
    """The registry at `address` (HOST:PORT). The user is AWS, with a password if it asks for one.

    Every method raises RegistryError.
    """

    address: str
    password: str | None = field(default=None, repr=False)
    _pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(timeout=_TIMEOUT, retries=False),
        repr=False,
        compare=False,
    )

    @classmethod
    def open(cls, address: str, password_file: Path | None) -> Registry:
        """With the password in a file. Raises RegistryError if that cannot be read."""
        try:
            password = password_file.read_text().strip() if password_file else None
        except OSError as error:
            raise RegistryError(
                f"The password file {password_file} cannot be read: {error.strerror}; give the "
                "path of a file that holds it with --ecr-password-file."
            ) from error
        return cls(address, password)

    @property
    def url(self) -> str:
        """`http://HOST:PORT` on loopback, else `https://`."""
        host = urlsplit(f"//{self.address}").hostname or ""
        local = host == "localhost" or host.startswith("127.") or host == "::1"
        return f"{'http' if local else 'https'}://{self.address}"

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository; none if nothing was pushed to it."""
        found: list[str] = []
        path: str | None = f"/v2/{repository}/tags/list"
        while path:
            answer = self._ask("GET", path, (_OK, _NOT_FOUND))
            if answer.status == _OK:
                found += _json(answer).get("tags") or []
            path = _next_page(answer.headers)
        return sorted(found)

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest of the manifest that has a tag."""
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._ask("HEAD", path, (_OK, _NOT_FOUND), {"Accept": _ACCEPTED})
        return answer.headers.get("Docker-Content-Digest") if answer.status == _OK else None

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest that has a tag or a digest, byte by byte as it was put."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self._ask("GET", path, (_OK, _NOT_FOUND), {"Accept": _ACCEPTED})
        if answer.status == _NOT_FOUND:
            return None
        return Manifest(answer.data.decode(), answer.headers["Content-Type"])

    def put(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Put a manifest under a tag or its digest. Raises PartsMissing."""
        answer = self._ask(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            (_CREATED, 400, _NOT_FOUND),
            {"Content-Type": manifest.media_type},
            manifest.text.encode(),
        )
        if answer.status != _CREATED:
            if missing := _missing(answer):
                raise PartsMissing(", ".join(missing))
            raise self._unexpected(answer)

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest, and with it all its tags; one that is gone is no error."""
        path = f"/v2/{repository}/manifests/{digest}"
        answer = self._ask("DELETE", path, (_ACCEPTED_STATUS, _NOT_FOUND, _NOT_ALLOWED))
        if answer.status == _NOT_ALLOWED:
            raise RegistryError(
                f"The registry at {self.address} does not delete images; start it with "
                "REGISTRY_STORAGE_DELETE_ENABLED=true."
            )

    def _ask(
        self,
        method: str,
        path: str,
        expected: tuple[int, ...],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        sent = dict(headers or {})
        if self.password is not None:
            sent |= urllib3.make_headers(basic_auth=f"{USER}:{self.password}")
        try:
            answer = self._pool.request(method, self.url + path, body=body, headers=sent)
        except HTTPError as error:
            raise RegistryError(
                f"The registry at {self.address} does not answer: {error}. Start it, or start the "
                "control plane with another --ecr-registry."
            ) from error
        if answer.status in _UNAUTHORIZED:
            raise RegistryError(
                f"The registry at {self.address} refuses the user {USER} ({answer.status}); start "
                "the control plane with its password in --ecr-password-file."
            )
        if answer.status not in expected:
            raise self._unexpected(answer)
        return answer

    def _unexpected(self, answer: urllib3.BaseHTTPResponse) -> RegistryError:
        said = answer.data[:200].decode(errors="replace")
        return RegistryError(
            f"The registry at {self.address} answered {answer.status} {said!r}. Is it one?"
        )


def _json(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        found = json.loads(answer.data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _missing(answer: urllib3.BaseHTTPResponse) -> list[str]:
    """The digests that a refused manifest names and nobody has pushed.

    The detail of such an error is the digest, or an object that has it.
    """
    errors = [e for e in _json(answer).get("errors") or () if e.get("code") in _BLOB_UNKNOWN]
    details = (error.get("detail") for error in errors)
    return [str(d.get("digest") if isinstance(d, dict) else d) for d in details]


def _next_page(headers: Mapping[str, str]) -> str | None:
    """The path in `Link: </v2/name/tags/list?n=100&last=x>; rel="next"`."""
    link = headers.get("Link", "")
    if 'rel="next"' not in link:
        return None
    target = urlsplit(link.partition("<")[2].partition(">")[0])
    return f"{target.path}?{target.query}"


def tagged(
    registry: Registry, repository: str, known: Mapping[str, Manifest]
) -> Iterator[tuple[str, Manifest]]:
    """Every tag with its manifest; those `known` by their digest are not fetched again."""
    for tag in registry.tags(repository):
        digest = registry.digest(repository, tag)
        manifest = known.get(digest or "") or registry.manifest(repository, tag)
        if manifest is not None:
            yield tag, manifest
