"""GetObject, HeadObject and GetObjectAttributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.conditions import check_read, resolve_range
from sagelocal.services.s3.descriptions import (
    check_not_archived,
    checksum_members,
    stored_members,
)
from sagelocal.services.s3.faults import invalid_argument, invalid_request
from sagelocal.services.s3.versions import chosen, read_members
from sagelocal.store.objects import NoSuchKey, NoSuchVersion, ObjectInfo, ObjectPart, ObjectStore

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

READ_BYTES = 256 * 1024
MAX_LISTED_PARTS = 1000
# Query parameters by which a reader changes the headers of one answer.
OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


class FileSlice:
    """`size` bytes of an open file from `start`, as a file that ends there. Owns the file.

    It has a descriptor that stands at `start`, so that a server may send it with sendfile.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._left = size
        file.seek(start)

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; b"" at the end of the slice."""
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(READ_BYTES):
            yield chunk

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class Selection:
    """Which bytes of an object are due: `size` of them from `start`. `part` if one was asked for.

    `partial`: the answer is 206, even where it happens to be all of the object.
    """

    start: int
    size: int
    partial: bool = False
    part: ObjectPart | None = None


def get_object(plane: Plane, call: Call, params: Params) -> Result:
    info, file = _open(plane.objects, call, params)
    try:
        check_not_archived(info)
        selection, members = _answer(plane.objects, info, params)
    except BaseException:
        file.close()
        raise
    return {**members, "Body": FileSlice(file, selection.start, selection.size)}


def _open(objects: ObjectStore, call: Call, params: Params) -> tuple[ObjectInfo, BinaryIO]:
    version = params.get("VersionId")
    if version is None:
        return objects.read(params["Bucket"], params["Key"])
    info = chosen(objects, call, params)
    try:
        return info, objects.open(info)
    except NoSuchKey as error:
        raise NoSuchVersion(info.bucket, info.key, version) from error


def head_object(plane: Plane, call: Call, params: Params) -> Result:
    info = chosen(plane.objects, call, params)
    return _answer(plane.objects, info, params)[1]


def get_object_attributes(plane: Plane, call: Call, params: Params) -> Result:
    info = chosen(plane.objects, call, params)
    wanted = params["ObjectAttributes"]
    result: dict[str, Any] = {
        "LastModified": info.modified_at,
        **read_members(plane.objects, info),
    }
    if "ETag" in wanted:
        result["ETag"] = info.etag
    if "Checksum" in wanted and info.checksums:
        members = checksum_members(info)
        result["Checksum"] = {k: v.partition("-")[0] for k, v in members.items()}
    if "ObjectSize" in wanted:
        result["ObjectSize"] = info.size
    if "StorageClass" in wanted:
        result["StorageClass"] = info.description.attributes.get("StorageClass", "STANDARD")
    if "ObjectParts" in wanted and info.part_count:
        result["ObjectParts"] = _object_parts(plane.objects, info, params)
    return result


def _object_parts(objects: ObjectStore, info: ObjectInfo, params: Params) -> dict[str, Any]:
    """S3 lists single parts only where they have checksums of their own."""
    result: dict[str, Any] = {"TotalPartsCount": info.part_count}
    if info.description.checksum_type != "COMPOSITE":
        return result
    marker = params.get("PartNumberMarker") or 0
    limit = min(params.get("MaxParts") or MAX_LISTED_PARTS, MAX_LISTED_PARTS)
    rest = [part for part in objects.parts(info) if part.number > marker]
    page = rest[:limit]
    return {
        **result,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(rest) > len(page),
        "Parts": [
            {
                "PartNumber": part.number,
                "Size": part.size,
                **checksums.members(part.checksums, None),
            }
            for part in page
        ],
    }


def _answer(
    objects: ObjectStore, info: ObjectInfo, params: Params
) -> tuple[Selection, dict[str, Any]]:
    """Which bytes are due, and everything that is said of them."""
    check_read(info, params)
    selection = _select(objects, info, params)
    members = {**stored_members(info), **read_members(objects, info)}
    for parameter, member in OVERRIDES.items():
        if params.get(parameter) is not None:
            members[member] = params[parameter]
    members["ContentLength"] = selection.size
    if selection.partial:
        end = selection.start + selection.size - 1
        members["ContentRange"] = f"bytes {selection.start}-{end}/{info.size}"
    if params.get("PartNumber") is not None and info.part_count:
        members["PartsCount"] = info.part_count
    if params.get("ChecksumMode") == "ENABLED":
        members.update(_checksums_of(info, selection))
    return selection, members


def _checksums_of(info: ObjectInfo, selection: Selection) -> dict[str, str]:
    """A range has no checksum; a part has its own where it was kept."""
    if selection.part is not None:
        return checksums.members(selection.part.checksums, info.description.checksum_type)
    if selection.partial and selection.size != info.size:
        return {}
    return checksum_members(info)


def _select(objects: ObjectStore, info: ObjectInfo, params: Params) -> Selection:
    number = params.get("PartNumber")
    if number is not None:
        if params.get("Range"):
            raise invalid_request("Cannot specify both Range header and partNumber query parameter")
        return _select_part(objects, info, number)
    bounds = resolve_range(params.get("Range"), info.size)
    if bounds is None:
        return Selection(0, info.size)
    start, end = bounds
    return Selection(start, end - start + 1, partial=True)


def _select_part(objects: ObjectStore, info: ObjectInfo, number: int) -> Selection:
    if number < 1:
        raise invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive", "partNumber", number
        )
    if info.part_count is None and number == 1:
        return Selection(0, info.size, partial=info.size > 0)
    # Parts are found by their place, as clients count them: the numbers they had may have gaps.
    parts = objects.parts(info)
    if number > len(parts):
        raise Fault(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            status=416,
            members={"PartNumberRequested": number, "ActualPartCount": len(parts) or 1},
        )
    part = parts[number - 1]
    start = sum(earlier.size for earlier in parts[: number - 1])
    return Selection(start, part.size, partial=part.size > 0, part=part)
