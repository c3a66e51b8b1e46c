"""The source of CopyObject and UploadPartCopy: `bucket/key?versionId=...`, percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote

from sagelocal.services.calls import Params
from sagelocal.services.s3.conditions import check_copy_source
from sagelocal.services.s3.descriptions import check_not_archived
from sagelocal.services.s3.faults import check_version, invalid_argument, invalid_request
from sagelocal.store.object_files import CHUNK_BYTES
from sagelocal.store.objects import DeleteMarker, ObjectInfo, ObjectStore

MAX_COPIED_BYTES = 5 * 1024**3
_RANGE = re.compile(r"bytes=([0-9]{1,40})-([0-9]{1,40})")


@dataclass(frozen=True)
class CopySource:
    """`size` bytes from `start` of an object, open for reading.

    `by_version`: the request named the version, which may be an older one.
    """

    info: ObjectInfo
    file: BinaryIO
    start: int
    size: int
    by_version: bool

    def chunks(self) -> Iterator[bytes]:
        self.file.seek(self.start)
        left = self.size
        while left and (chunk := self.file.read(min(left, CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk


@contextmanager
def open_source(objects: ObjectStore, params: Params) -> Iterator[CopySource]:
    """The source that a request names, if its conditions hold. Raises Faults, NoSuchKey, ..."""
    bucket, key, version = _parse(params["CopySource"])
    info, file = _open(objects, bucket, key, version)
    with file:
        check_not_archived(info)
        check_copy_source(info, params)
        start, size = _bounds(params.get("CopySourceRange"), info.size)
        if size > MAX_COPIED_BYTES:
            raise invalid_request(
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {MAX_COPIED_BYTES}"
            )
        yield CopySource(info, file, start, size, by_version=version is not None)


def _open(
    objects: ObjectStore, bucket: str, key: str, version: str | None
) -> tuple[ObjectInfo, BinaryIO]:
    if version is None:
        return objects.read(bucket, key)
    info = objects.version(bucket, key, version)
    if isinstance(info, DeleteMarker):
        raise invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by "
            "version id."
        )
    return info, objects.open(info)


def _parse(text: str) -> tuple[str, str, str | None]:
    path, separator, version = text.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            text,
        )
    if not separator:
        return bucket, key, None
    check_version(version, "x-amz-copy-source")
    return bucket, key, version


def _bounds(text: str | None, size: int) -> tuple[int, int]:
    if text is None:
        return 0, size
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            text,
        )
    first, last = int(found[1]), int(found[2])
    if last >= size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {size}",
            "x-amz-copy-source-range",
            text,
        )
    return first, last - first + 1
