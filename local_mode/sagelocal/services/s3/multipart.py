"""Multipart uploads, from CreateMultipartUpload to completion or abort."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.bodies import bad_checksum, promised_algorithm, receive
from sagelocal.services.s3.bucket_documents import default_encryption
from sagelocal.services.s3.conditions import quoted, write_check
from sagelocal.services.s3.copy_sources import open_source
from sagelocal.services.s3.descriptions import (
    checksum_members,
    described,
    encryption_members,
    with_checksums,
)
from sagelocal.services.s3.faults import invalid_argument, invalid_request
from sagelocal.services.s3.versions import read_members, written_members
from sagelocal.store.objects import (
    ChecksumType,
    Description,
    NoSuchUpload,
    ObjectInfo,
    Upload,
    UploadPart,
)

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MIN_PART_BYTES = 5 * 1024**2
MAX_PART_NUMBER = 10_000
# Which algorithms can tell the checksum of a whole from those of its parts, and which cannot but.
FULL_OBJECT_ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME")
FULL_OBJECT_ONLY = ("CRC64NVME",)


def create_multipart_upload(plane: Plane, call: Call, params: Params) -> Result:
    encryption = default_encryption(plane.objects, params["Bucket"])
    description = described(call, params, encryption)
    algorithm, kind = _chosen_checksum(params)
    upload = plane.objects.uploads.create(
        params["Bucket"], params["Key"], replace(description, checksum_type=kind), algorithm
    )
    result = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        **encryption_members(description.attributes),
    }
    if algorithm is not None:
        result |= {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
    return result


def _chosen_checksum(params: Params) -> tuple[str | None, ChecksumType]:
    """Algorithm and type of the checksum; without a word about it the object gets S3's default."""
    algorithm, kind = params.get("ChecksumAlgorithm"), params.get("ChecksumType")
    if algorithm is None:
        if kind is not None:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
                "header."
            )
        return None, "FULL_OBJECT"
    if algorithm not in checksums.ALGORITHMS:
        raise invalid_request(
            f"Checksum algorithm provided is unsupported: {algorithm}. Please try again with any "
            f"of the valid types: {', '.join(checksums.ALGORITHMS)}"
        )
    default: ChecksumType = "FULL_OBJECT" if algorithm in FULL_OBJECT_ONLY else "COMPOSITE"
    allowed = algorithm in FULL_OBJECT_ALGORITHMS
    if kind not in (None, "FULL_OBJECT", "COMPOSITE"):
        raise invalid_request("Value for x-amz-checksum-type header is invalid.")
    if (kind == "FULL_OBJECT" and not allowed) or (
        kind == "COMPOSITE" and algorithm in FULL_OBJECT_ONLY
    ):
        raise invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm."
        )
    return algorithm, kind or default


def upload_part(plane: Plane, call: Call, params: Params) -> Result:
    upload = _upload(plane, params)
    number = _part_number(params)
    promised = promised_algorithm(call.headers, params)
    if upload.checksum_algorithm and promised not in (None, upload.checksum_algorithm):
        raise invalid_request(
            "Checksum Type mismatch occurred, expected checksum Type: "
            f"{upload.checksum_algorithm.lower()}, actual checksum Type: {promised.lower()}"
        )
    needed = _algorithm(upload)
    with plane.objects.incoming() as incoming:
        values = receive(call.headers, params, incoming, needed=needed)
        part = plane.objects.uploads.put_part(upload, number, incoming, {needed: values[needed]})
    shown = promised or needed
    return {
        "ETag": quoted(part.etag),
        **encryption_members(upload.description.attributes),
        **checksums.members({shown: values[shown]}, None),
    }


def upload_part_copy(plane: Plane, call: Call, params: Params) -> Result:
    upload = _upload(plane, params)
    number = _part_number(params)
    algorithm = _algorithm(upload)
    digest = checksums.new_digest(algorithm)
    with open_source(plane.objects, params) as source, plane.objects.incoming() as incoming:
        for chunk in source.chunks():
            incoming.write(chunk)
            digest.update(chunk)
        values = {algorithm: checksums.encode(digest)}
        part = plane.objects.uploads.put_part(upload, number, incoming, values)
        version = read_members(plane.objects, source.info).get("VersionId")
    return {
        **({"CopySourceVersionId": version} if version else {}),
        "CopyPartResult": {
            "ETag": quoted(part.etag),
            "LastModified": part.modified_at,
            **checksums.members(values, None),
        },
        **encryption_members(upload.description.attributes),
    }


def complete_multipart_upload(plane: Plane, call: Call, params: Params) -> Result:
    bucket, key = params["Bucket"], params["Key"]
    check = write_check(key, params)
    wanted = (params.get("MultipartUpload") or {}).get("Parts", [])
    if not wanted:
        raise malformed_xml()
    try:
        upload = _upload(plane, params)
    except NoSuchUpload:
        done = plane.objects.head(bucket, key)
        if done is None or done.upload != params["UploadId"]:
            raise
        return _completed(call, done)
    parts = _chosen_parts(upload, plane.objects.uploads.parts(upload), wanted)
    _check_size(parts, params.get("MpuObjectSize"))
    description = _joined_description(upload, parts)
    _check_promised(upload, description, params)
    info = plane.objects.uploads.complete(
        upload, parts, etag=_joined_etag(parts), description=description, check=check
    )
    return _completed(call, info)


def abort_multipart_upload(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.uploads.abort(_upload(plane, params))
    return {}


def _upload(plane: Plane, params: Params) -> Upload:
    plane.objects.bucket(params["Bucket"])
    return plane.objects.uploads.get(params["Bucket"], params["Key"], params["UploadId"])


def _algorithm(upload: Upload) -> str:
    """What every part of the upload has a checksum of."""
    return upload.checksum_algorithm or checksums.DEFAULT_ALGORITHM


def _part_number(params: Params) -> int:
    number: int = params["PartNumber"]
    if not 1 <= number <= MAX_PART_NUMBER:
        raise invalid_argument(
            f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive",
            "partNumber",
            number,
        )
    return number


def _chosen_parts(
    upload: Upload, there: Sequence[UploadPart], wanted: Sequence[Mapping[str, Any]]
) -> list[UploadPart]:
    """The parts that completion names, each as it names it. Raises Faults."""
    by_number = {part.number: part for part in there}
    chosen: list[UploadPart] = []
    for named in wanted:
        number = named.get("PartNumber", 0)
        if chosen and number <= chosen[-1].number:
            raise Fault(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part "
                "number.",
                members={"UploadId": upload.id},
            )
        part = by_number.get(number)
        if part is None or named.get("ETag", "").strip('"') != part.etag:
            raise _invalid_part(upload, named)
        _check_part_checksum(upload, part, named)
        chosen.append(part)
    return chosen


def _check_part_checksum(upload: Upload, part: UploadPart, named: Mapping[str, Any]) -> None:
    algorithm = _algorithm(upload)
    promised = named.get(checksums.member(algorithm))
    if promised is not None and promised != part.checksums[algorithm]:
        raise _invalid_part(upload, named)
    if promised is None and upload.description.checksum_type == "COMPOSITE":
        raise invalid_request(
            f"The upload was created using a {algorithm.lower()} checksum. The complete request "
            "must include the checksum for each part. It was missing for part "
            f"{part.number} in the request."
        )


def _invalid_part(upload: Upload, named: Mapping[str, Any]) -> Fault:
    return Fault(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag.",
        members={
            "UploadId": upload.id,
            "PartNumber": named.get("PartNumber", ""),
            "ETag": named.get("ETag", "").strip('"'),
        },
    )


def _check_size(parts: Sequence[UploadPart], promised: int | None) -> None:
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise Fault(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                members={
                    "ProposedSize": part.size,
                    "MinSizeAllowed": MIN_PART_BYTES,
                    "PartNumber": part.number,
                    "ETag": part.etag,
                },
            )
    size = sum(part.size for part in parts)
    if promised is not None and promised != size:
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {promised} does not match what was "
            f"computed: {size}"
        )


def _joined_etag(parts: Sequence[UploadPart]) -> str:
    """MD5 of the parts' MD5s, with the number of parts."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _joined_description(upload: Upload, parts: Sequence[UploadPart]) -> Description:
    algorithm = _algorithm(upload)
    kind = upload.description.checksum_type or "FULL_OBJECT"
    if kind == "COMPOSITE":
        value = checksums.composite(algorithm, (part.checksums[algorithm] for part in parts))
    else:
        value = checksums.combined(
            algorithm, ((part.checksums[algorithm], part.size) for part in parts)
        )
    return with_checksums(upload.description, {algorithm: value}, kind)


def _check_promised(upload: Upload, description: Description, params: Params) -> None:
    kind = params.get("ChecksumType")
    if kind is not None and kind != description.checksum_type:
        raise invalid_request(
            f"The upload was created using the {description.checksum_type} checksum mode. The "
            "complete request must use the same checksum mode."
        )
    algorithm = _algorithm(upload)
    promised = params.get(checksums.member(algorithm))
    computed = description.checksums[algorithm]
    if promised is not None and promised not in (computed, computed.partition("-")[0]):
        raise bad_checksum(algorithm.lower())


def _completed(call: Call, info: ObjectInfo) -> Result:
    return {
        "Location": f"{call.base_url}/{info.bucket}/{quote(info.key)}",
        "Bucket": info.bucket,
        "Key": info.key,
        "ETag": quoted(info.etag),
        **encryption_members(info.description.attributes),
        **checksum_members(info),
        **written_members(info),
    }
