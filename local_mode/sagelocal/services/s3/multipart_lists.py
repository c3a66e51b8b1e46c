"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.conditions import quoted
from sagelocal.services.s3.faults import invalid_argument
from sagelocal.services.s3.listing import Encode, encoder, page_size
from sagelocal.services.s3.owners import owner
from sagelocal.store.objects import Upload

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def list_parts(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.bucket(params["Bucket"])
    upload = plane.objects.uploads.get(params["Bucket"], params["Key"], params["UploadId"])
    marker = params.get("PartNumberMarker") or 0
    limit = page_size(params, "MaxParts")
    rest = [part for part in plane.objects.uploads.parts(upload) if part.number > marker]
    page = rest[:limit]
    result: dict[str, Any] = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(rest) > len(page),
        "Initiator": owner(call.scope),
        "Owner": owner(call.scope),
        **_kind_of(upload),
    }
    if page:
        result["Parts"] = [
            {
                "PartNumber": part.number,
                "LastModified": part.modified_at,
                "ETag": quoted(part.etag),
                "Size": part.size,
                **(checksums.members(part.checksums, None) if upload.checksum_algorithm else {}),
            }
            for part in page
        ]
    return result


def list_multipart_uploads(plane: Plane, call: Call, params: Params) -> Result:
    bucket, prefix = params["Bucket"], params.get("Prefix") or ""
    key_marker = params.get("KeyMarker") or ""
    # Without a key, S3 does not look at the upload.
    id_marker = (params.get("UploadIdMarker") or "") if key_marker else ""
    plane.objects.bucket(bucket)
    encode = encoder(params)
    limit = page_size(params, "MaxUploads")
    uploads = plane.objects.uploads.list(bucket, prefix)
    entries = _after(
        _rolled_up(uploads, prefix, params.get("Delimiter") or None), uploads, key_marker, id_marker
    )
    page = entries[:limit]
    result: dict[str, Any] = {
        "Bucket": bucket,
        "KeyMarker": encode(key_marker),
        "UploadIdMarker": id_marker,
        "MaxUploads": limit,
        "IsTruncated": bool(page) and len(entries) > len(page),
    }
    for name in ("Prefix", "Delimiter", "EncodingType"):
        if params.get(name):
            result[name] = params[name] if name == "EncodingType" else encode(params[name])
    result |= _next_markers(page, encode, truncated=result["IsTruncated"])
    shown = [e for e in page if isinstance(e, Upload)]
    prefixes = [e for e in page if isinstance(e, str)]
    if shown:
        result["Uploads"] = [_entry(upload, encode, owner(call.scope)) for upload in shown]
    if prefixes:
        result["CommonPrefixes"] = [{"Prefix": encode(text)} for text in prefixes]
    return result


def _next_markers(
    page: Sequence[Upload | str], encode: Encode, *, truncated: bool
) -> dict[str, str]:
    """Where the page ends. S3 tells it of the last page too, unless that ends with a prefix."""
    last = page[-1] if page else ""
    if isinstance(last, Upload):
        return {"NextKeyMarker": encode(last.key), "NextUploadIdMarker": last.id}
    return {"NextKeyMarker": encode(last) if truncated else "", "NextUploadIdMarker": ""}


def _rolled_up(uploads: Sequence[Upload], prefix: str, delimiter: str | None) -> list[Upload | str]:
    """Uploads, and the prefixes that stand for many, in order."""
    entries: list[Upload | str] = []
    for upload in uploads:
        position = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        if delimiter is None or position < 0:
            entries.append(upload)
            continue
        rolled = upload.key[: position + len(delimiter)]
        if not entries or entries[-1] != rolled:
            entries.append(rolled)
    return entries


def _after(
    entries: Sequence[Upload | str], uploads: Sequence[Upload], key: str, upload_id: str
) -> Sequence[Upload | str]:
    """What comes behind the marker: a key, or one of several uploads to that key."""
    if not key:
        return entries
    if any(upload.id == upload_id and upload.key != key for upload in uploads):
        raise invalid_argument("Invalid uploadId marker", "upload-id-marker", upload_id)
    ids = [upload.id for upload in uploads if upload.key == key]
    passed = set(ids[: ids.index(upload_id) + 1]) if upload_id in ids else set(ids)
    return [
        entry
        for entry in entries
        if (entry if isinstance(entry, str) else entry.key) > key
        or (isinstance(entry, Upload) and entry.key == key and entry.id not in passed)
    ]


def _kind_of(upload: Upload) -> dict[str, Any]:
    """What the upload's object will be."""
    storage_class = upload.description.attributes.get("StorageClass", "STANDARD")
    if upload.checksum_algorithm is None:
        return {"StorageClass": storage_class}
    return {
        "StorageClass": storage_class,
        "ChecksumAlgorithm": upload.checksum_algorithm,
        "ChecksumType": upload.description.checksum_type,
    }


def _entry(upload: Upload, encode: Encode, shown_owner: Mapping[str, str]) -> dict[str, Any]:
    return {
        "UploadId": upload.id,
        "Key": encode(upload.key),
        "Initiated": upload.initiated_at,
        "Initiator": shown_owner,
        "Owner": shown_owner,
        **_kind_of(upload),
    }
