"""Uploaded bytes: from the request into a file of the store, checked against all that was promised.

A promise is a length, a Content-MD5, the payload's SHA-256 in the signature, a checksum in a header
or in a trailer. The bytes are read once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import Headers
from sagelocal.services.calls import Params
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.chunked import ChunkedReader, MalformedChunks
from sagelocal.services.s3.faults import invalid_request
from sagelocal.store.object_files import CHUNK_BYTES
from sagelocal.store.objects import Incoming

MAX_UPLOAD_BYTES = 5 * 1024**3
MD5_BYTES = 16
SHA256_HEX_DIGITS = 64
INCOMPLETE = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class Source(Protocol):
    """Something to read a payload from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Promise:
    """What a request says about its payload. Digests are hexadecimal or base64 as sent.

    `checksum` is None when it comes as a trailer, or when there is none.
    """

    length: int
    content_md5: str | None
    sha256: str | None
    algorithm: str | None
    checksum: str | None
    trailer: str | None


def promised_algorithm(headers: Headers, params: Params) -> str | None:
    """The algorithm of the checksum that the request sends along, in a header or a trailer."""
    return _promise(headers, params).algorithm


def receive(
    headers: Headers, params: Params, incoming: Incoming, *, needed: str | None = None
) -> Mapping[str, str]:
    """Write the request's body into `incoming`; gives its checksums by algorithm.

    These are the one that the request promises and the one that the caller needs; S3's default
    where both are None. Raises the Fault of the first promise that is broken.
    """
    promise = _promise(headers, params)
    wanted = {a for a in (promise.algorithm, needed) if a} or {checksums.DEFAULT_ALGORITHM}
    digests = {algorithm: checksums.new_digest(algorithm) for algorithm in sorted(wanted)}
    sha256 = [hashlib.sha256()] if promise.sha256 else []
    body: BinaryIO = params["Body"]
    reader = ChunkedReader(body) if _is_chunked(headers) else None
    try:
        _copy(reader or body, incoming, [*digests.values(), *sha256], promise.length)
    except MalformedChunks as error:
        raise _incomplete(promise.length, incoming.size, f"{INCOMPLETE}: {error}") from error
    values = {algorithm: checksums.encode(digest) for algorithm, digest in digests.items()}
    _check_md5(promise, incoming)
    for digest in sha256:
        _check_sha256(promise, digest.hexdigest())
    if promise.algorithm:
        trailers = reader.trailers if reader else {}
        _check_checksum(promise, promise.algorithm, values[promise.algorithm], trailers)
    return values


def _copy(
    source: Source, incoming: Incoming, digests: Sequence[checksums.Digest], length: int
) -> None:
    while chunk := source.read(CHUNK_BYTES):
        incoming.write(chunk)
        for digest in digests:
            digest.update(chunk)
        if incoming.size > length:
            break
    if incoming.size != length:
        raise _incomplete(length, incoming.size, INCOMPLETE)


def _promise(headers: Headers, params: Params) -> Promise:
    algorithm, checksum = _promised_checksum(params)
    trailer = headers.get("x-amz-trailer", "").strip().lower() or None
    if trailer:
        if algorithm:
            raise _several_checksums()
        algorithm = _algorithm_of(trailer)
    named = params.get("ChecksumAlgorithm")
    if named and not algorithm and "x-amz-sdk-checksum-algorithm" in headers:
        raise invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
    sha256 = headers.get("x-amz-content-sha256", "")
    return Promise(
        length=_promised_length(headers),
        content_md5=_promised_md5(params),
        sha256=sha256 if len(sha256) == SHA256_HEX_DIGITS else None,
        algorithm=algorithm,
        checksum=checksum,
        trailer=trailer,
    )


def _is_chunked(headers: Headers) -> bool:
    encodings = headers.get("content-encoding", "").lower()
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-") or "aws-chunked" in [
        encoding.strip() for encoding in encodings.split(",")
    ]


def _promised_length(headers: Headers) -> int:
    name = "x-amz-decoded-content-length" if _is_chunked(headers) else "content-length"
    text = headers.get(name)
    if text is None:
        raise Fault(
            "MissingContentLength",
            "You must provide the Content-Length HTTP header."
            if name == "content-length"
            else "You must provide the x-amz-decoded-content-length HTTP header.",
            status=411,
        )
    if not text.isascii() or not text.isdigit():
        raise invalid_request(f"The {name} header is not a number of bytes: {text}")
    if int(text) > MAX_UPLOAD_BYTES:
        raise Fault(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            members={"ProposedSize": text, "MaxSizeAllowed": MAX_UPLOAD_BYTES},
        )
    return int(text)


def _promised_md5(params: Params) -> str | None:
    text: str | None = params.get("ContentMD5")
    if text is None:
        return None
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        size = 0
    if size != MD5_BYTES:
        raise Fault(
            "InvalidDigest",
            "The Content-MD5 you specified was invalid.",
            members={"Content-MD5": text},
        )
    return text


def _promised_checksum(params: Params) -> tuple[str | None, str | None]:
    """The algorithm and value of a checksum header."""
    for algorithm in checksums.UNAVAILABLE:
        if params.get(checksums.member(algorithm)) is not None:
            raise _unavailable(algorithm)
    given = [(a, params[checksums.member(a)]) for a in checksums.ALGORITHMS if _has(params, a)]
    if len(given) > 1:
        raise _several_checksums()
    if not given:
        return None, None
    algorithm, value = given[0]
    if not checksums.is_well_formed(algorithm, value):
        raise invalid_request(f"Value for {checksums.header(algorithm)} header is invalid.")
    return algorithm, value


def _has(params: Params, algorithm: str) -> bool:
    return params.get(checksums.member(algorithm)) is not None


def _algorithm_of(trailer: str) -> str:
    for algorithm in checksums.ALGORITHMS:
        if trailer == checksums.header(algorithm):
            return algorithm
    for algorithm in checksums.UNAVAILABLE:
        if trailer == checksums.header(algorithm):
            raise _unavailable(algorithm)
    raise invalid_request("The value specified in the x-amz-trailer header is not supported")


def _check_md5(promise: Promise, incoming: Incoming) -> None:
    if promise.content_md5 is None:
        return
    computed = base64.b64encode(bytes.fromhex(incoming.md5)).decode()
    if computed != promise.content_md5:
        raise Fault(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
            members={"ExpectedDigest": promise.content_md5, "CalculatedDigest": computed},
        )


def _check_sha256(promise: Promise, computed: str) -> None:
    if promise.sha256 is not None and computed != promise.sha256.lower():
        raise Fault(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            members={
                "ClientComputedContentSHA256": promise.sha256,
                "S3ComputedContentSHA256": computed,
            },
        )


def _check_checksum(
    promise: Promise, algorithm: str, computed: str, trailers: Mapping[str, str]
) -> None:
    promised = promise.checksum
    if promise.trailer:
        promised = trailers.get(promise.trailer)
        if promised is None:
            raise Fault(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform "
                "to our published schema.",
            )
        if not checksums.is_well_formed(algorithm, promised):
            raise invalid_request(f"Value for {promise.trailer} trailing header is invalid.")
    if promised is not None and promised != computed:
        raise bad_checksum(algorithm)


def bad_checksum(algorithm: str) -> Fault:
    return Fault(
        "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
    )


def _incomplete(expected: int, received: int, message: str) -> Fault:
    return Fault(
        "IncompleteBody",
        message,
        members={"NumberBytesExpected": expected, "NumberBytesProvided": received},
    )


def _several_checksums() -> Fault:
    return invalid_request(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )


def _unavailable(algorithm: str) -> Fault:
    return invalid_request(
        f"The checksum algorithm {algorithm} is not available here; "
        f"use one of {', '.join(checksums.ALGORITHMS)}."
    )
