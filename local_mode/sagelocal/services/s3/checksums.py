"""The checksums that S3 keeps with objects, by the names of its API.

Values travel as base64 of the big-endian digest. A multipart object has either the checksum of its
bytes (FULL_OBJECT) or the checksum of its parts' checksums with `-<number of parts>` behind it
(COMPOSITE). Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import anycrc  # type: ignore[import-untyped]  # ships no annotations

from sagelocal.store.objects import ChecksumType

DEFAULT_ALGORITHM = "CRC64NVME"
# In S3's model, but computed by no library that is here: refused by name.
UNAVAILABLE = ("XXHASH64", "XXHASH3", "XXHASH128")


class Digest(Protocol):
    """What hashlib's objects offer, of which this much is used."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc:
    """A CRC with the interface of hashlib's digests. `step` continues one over more bytes."""

    def __init__(self, step: Callable[[bytes, int], int], size_bytes: int) -> None:
        self._step = step
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


_MODELS = {
    "CRC32": anycrc.Model("CRC32"),
    "CRC32C": anycrc.Model("CRC32C"),
    "CRC64NVME": anycrc.Model("CRC64-NVME"),
}
_DIGESTS: Mapping[str, Callable[[], Digest]] = {
    "CRC32": lambda: Crc(zlib.crc32, 4),
    "CRC32C": lambda: Crc(_MODELS["CRC32C"].calc, 4),
    "CRC64NVME": lambda: Crc(_MODELS["CRC64NVME"].calc, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}
ALGORITHMS = tuple(_DIGESTS)


def member(algorithm: str) -> str:
    """The name in requests and answers: `ChecksumCRC32`."""
    return f"Checksum{algorithm}"


def header(algorithm: str) -> str:
    """The header, or trailer: `x-amz-checksum-crc32`."""
    return f"x-amz-checksum-{algorithm.lower()}"


def new_digest(algorithm: str) -> Digest:
    """An empty digest of one of ALGORITHMS."""
    return _DIGESTS[algorithm]()


def encode(digest: Digest) -> str:
    return base64.b64encode(digest.digest()).decode()


def is_well_formed(algorithm: str, value: str) -> bool:
    """Whether a value could be a checksum of that algorithm: base64 of the right length."""
    try:
        size = len(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False
    return size == len(new_digest(algorithm).digest())


def checksum_of(algorithm: str, chunks: Iterable[bytes]) -> str:
    digest = new_digest(algorithm)
    for chunk in chunks:
        digest.update(chunk)
    return encode(digest)


def composite(algorithm: str, values: Iterable[str]) -> str:
    """The checksum of the parts' checksums, in the order of the parts."""
    parts = [base64.b64decode(value) for value in values]
    return f"{checksum_of(algorithm, parts)}-{len(parts)}"


def combined(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The CRC of the whole from the CRC and the size in bytes of each part, in order."""
    model = _MODELS[algorithm]
    digest = new_digest(algorithm)
    total = int.from_bytes(digest.digest(), "big")
    for value, size in parts:
        total = model.combine(total, int.from_bytes(base64.b64decode(value), "big"), size)
    return base64.b64encode(total.to_bytes(len(digest.digest()), "big")).decode()


def members(checksums: Mapping[str, str], kind: ChecksumType | None) -> dict[str, str]:
    """Checksums as members of a result, with their type."""
    result = {member(algorithm): value for algorithm, value in checksums.items()}
    if result and kind:
        result["ChecksumType"] = kind
    return result
