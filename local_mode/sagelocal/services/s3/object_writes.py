"""PutObject, CopyObject, DeleteObject and DeleteObjects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.bodies import receive
from sagelocal.services.s3.bucket_documents import default_encryption
from sagelocal.services.s3.conditions import quoted, write_check
from sagelocal.services.s3.copy_sources import CopySource, open_source
from sagelocal.services.s3.descriptions import (
    check_storage,
    checksum_members,
    content_attributes,
    described,
    encryption_members,
    header_tags,
    storage_attributes,
    user_metadata,
    with_checksums,
)
from sagelocal.services.s3.faults import invalid_argument, invalid_request, no_such_version
from sagelocal.services.s3.versions import read_members, written_members
from sagelocal.store.object_files import Incoming
from sagelocal.store.objects import (
    DEFAULT_CONTENT_TYPE,
    Check,
    DeleteMarker,
    Description,
    NoSuchVersion,
    ObjectInfo,
    ObjectStore,
    is_version_id,
)

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MAX_DELETED_KEYS = 1000
DIRECTIVES = ("COPY", "REPLACE")
# A copy onto itself must change one of these.
CHANGES = ("StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "WebsiteRedirectLocation")


def put_object(plane: Plane, call: Call, params: Params) -> Result:
    bucket, key = params["Bucket"], params["Key"]
    # This also asks for the bucket, before gigabytes are read that nobody will have.
    description = described(call, params, default_encryption(plane.objects, bucket))
    check = write_check(key, params)
    with plane.objects.incoming() as incoming:
        values = receive(call.headers, params, incoming)
        info = plane.objects.put(
            bucket,
            key,
            incoming,
            description=with_checksums(description, values, "FULL_OBJECT"),
            check=check,
        )
    return {
        "ETag": quoted(info.etag),
        **encryption_members(info.description.attributes),
        **checksum_members(info),
        **written_members(info),
    }


def copy_object(plane: Plane, call: Call, params: Params) -> Result:
    check_storage(params)
    check = write_check(params["Key"], params)
    storage = storage_attributes(params, default_encryption(plane.objects, params["Bucket"]))
    with open_source(plane.objects, params) as source, plane.objects.incoming() as incoming:
        _check_changes(source, params)
        description = _copied_description(call, params, source.info, storage)
        algorithm = _copied_algorithm(params, source.info)
        etag, values = _copy_bytes(source, incoming, algorithm)
        info = plane.objects.put(
            params["Bucket"],
            params["Key"],
            incoming,
            etag=etag,
            description=with_checksums(description, values, "FULL_OBJECT"),
            check=check,
        )
    return {
        "CopyObjectResult": {
            "ETag": quoted(info.etag),
            "LastModified": info.modified_at,
            **checksum_members(info),
        },
        **encryption_members(info.description.attributes),
        **_source_version(plane.objects, source.info),
        **written_members(info),
    }


def _source_version(objects: ObjectStore, source: ObjectInfo) -> dict[str, Any]:
    members = read_members(objects, source)
    return {"CopySourceVersionId": members["VersionId"]} if members else {}


def _check_changes(source: CopySource, params: Params) -> None:
    info = source.info
    same = (info.bucket, info.key) == (params["Bucket"], params["Key"]) and not source.by_version
    replaced = _directive(params, "MetadataDirective") == "REPLACE"
    if same and not replaced and not any(params.get(member) for member in CHANGES):
        raise invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's metadata, storage class, website redirect location or "
            "encryption attributes."
        )


def _copied_description(
    call: Call, params: Params, source: ObjectInfo, storage: Mapping[str, str]
) -> Description:
    """Metadata and tags come from the source or from the request; storage never comes along."""
    if _directive(params, "TaggingDirective") == "REPLACE":
        tags = header_tags(params)
    else:
        tags = dict(source.tags)
    if _directive(params, "MetadataDirective") == "REPLACE":
        return Description(
            content_type=params.get("ContentType") or DEFAULT_CONTENT_TYPE,
            metadata=user_metadata(params),
            attributes={**content_attributes(call, params), **storage},
            tags=tags,
        )
    storage_members = ("StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled")
    kept = {
        member: value
        for member, value in source.description.attributes.items()
        if member not in (*storage_members, "WebsiteRedirectLocation")
    }
    return Description(source.content_type, source.metadata, {**kept, **storage}, tags)


def _directive(params: Params, name: str) -> str:
    value: str = params.get(name) or "COPY"
    if value not in DIRECTIVES:
        header = (
            "x-amz-metadata-directive"
            if name == "MetadataDirective"
            else ("x-amz-tagging-directive")
        )
        raise invalid_argument(f"Unknown {name}: {value}", header, value)
    return value


def _copied_algorithm(params: Params, source: ObjectInfo) -> str:
    wanted: str | None = params.get("ChecksumAlgorithm")
    if wanted is not None and wanted not in checksums.ALGORITHMS:
        raise invalid_request(
            f"The checksum algorithm {wanted} is not available here; "
            f"use one of {', '.join(checksums.ALGORITHMS)}."
        )
    return wanted or next(iter(source.checksums), checksums.DEFAULT_ALGORITHM)


def _copy_bytes(
    source: CopySource, incoming: Incoming, algorithm: str
) -> tuple[str, Mapping[str, str]]:
    """ETag and checksum of the copy. Bytes are read only if the source does not tell both."""
    info = source.info
    known = info.checksums.get(algorithm)
    if info.part_count is None and known and info.description.checksum_type == "FULL_OBJECT":
        incoming.append_file(source.file, info.size)
        return info.etag, {algorithm: known}
    digest = checksums.new_digest(algorithm)
    for chunk in source.chunks():
        incoming.write(chunk)
        digest.update(chunk)
    return incoming.md5, {algorithm: checksums.encode(digest)}


def delete_object(plane: Plane, call: Call, params: Params) -> Result:
    bucket, key, version = params["Bucket"], params["Key"], params.get("VersionId")
    check = _delete_check(key, params.get("IfMatch"))
    if version is None:
        marker = plane.objects.delete(bucket, key, check=check)
        return {"DeleteMarker": True, "VersionId": marker.version} if marker else {}
    is_marker = _delete_version(plane.objects, bucket, key, version, check)
    return {"VersionId": version, **({"DeleteMarker": True} if is_marker else {})}


def _delete_version(
    objects: ObjectStore, bucket: str, key: str, version: str, check: Check | None
) -> bool:
    """Delete a version for good, if it is there; whether it was a delete marker."""
    try:
        gone = objects.delete_version(bucket, key, version, check=check)
    except NoSuchVersion:
        return False
    return isinstance(gone, DeleteMarker)


def _delete_check(key: str, etag: str | None) -> Callable[[ObjectInfo | None], None] | None:
    return write_check(key, {"IfMatch": etag}) if etag else None


def delete_objects(plane: Plane, call: Call, params: Params) -> Result:
    _check_has_digest(call)
    request = params["Delete"]
    identifiers = request.get("Objects", [])
    if not 0 < len(identifiers) <= MAX_DELETED_KEYS:
        raise malformed_xml()
    plane.objects.bucket(params["Bucket"])
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for identifier in identifiers:
        try:
            deleted.append(_delete_one(plane.objects, params["Bucket"], identifier))
        except Fault as fault:
            errors.append({**_named(identifier), "Code": fault.code, "Message": fault.message})
    result: dict[str, Any] = {}
    if deleted and not request.get("Quiet"):
        result["Deleted"] = deleted
    if errors:
        result["Errors"] = errors
    return result


def _check_has_digest(call: Call) -> None:
    names = ("content-md5", "x-amz-trailer", "x-amz-sdk-checksum-algorithm")
    if any(name in call.headers for name in names):
        return
    if not any(name.startswith("x-amz-checksum-") for name in call.headers):
        raise invalid_request("Missing required header for this request: Content-MD5")


def _named(identifier: Mapping[str, Any]) -> dict[str, Any]:
    return {name: identifier[name] for name in ("Key", "VersionId") if identifier.get(name)}


def _delete_one(objects: ObjectStore, bucket: str, identifier: Mapping[str, Any]) -> dict[str, Any]:
    """Delete one of many; its entry among the deleted. Raises Fault."""
    key, version = identifier["Key"], identifier.get("VersionId")
    check = _delete_check(key, identifier.get("ETag"))
    entry = _named(identifier)
    if not version:
        marker = objects.delete(bucket, key, check=check)
        if marker:
            entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": marker.version}
        return entry
    if not is_version_id(version):
        raise no_such_version(key, version)
    if _delete_version(objects, bucket, key, version, check):
        entry |= {"DeleteMarker": True, "DeleteMarkerVersionId": version}
    return entry
