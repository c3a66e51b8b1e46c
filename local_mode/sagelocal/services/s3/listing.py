"""ListObjects, ListObjectsV2 and ListObjectVersions."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3.conditions import quoted
from sagelocal.services.s3.faults import check_version, invalid_argument
from sagelocal.services.s3.owners import owner
from sagelocal.store.objects import (
    DeleteMarker,
    ListedVersion,
    Listing,
    ObjectInfo,
    ObjectStore,
    VersionListing,
)

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MAX_KEYS = 1000

Encode = Callable[[str], str]


def list_objects(plane: Plane, call: Call, params: Params) -> Result:
    encode = encoder(params)
    page = _page(plane.objects, params, params.get("Marker") or None)
    result = {
        **_common(page, params, encode),
        "Marker": encode(params.get("Marker") or ""),
        **_contents(page, encode, owner(call.scope)),
    }
    if page.truncated and params.get("Delimiter") and page.last is not None:
        # Without a delimiter the client goes on from the last key.
        result["NextMarker"] = encode(page.last)
    return result


def list_objects_v2(plane: Plane, call: Call, params: Params) -> Result:
    encode = encoder(params)
    token = params.get("ContinuationToken")
    start_after = params.get("StartAfter") or None
    page = _page(plane.objects, params, start_after if token is None else _from_token(token))
    result = {
        **_common(page, params, encode),
        "KeyCount": len(page.objects) + len(page.prefixes),
        **_contents(page, encode, owner(call.scope) if params.get("FetchOwner") else None),
    }
    if token is not None:
        result["ContinuationToken"] = token
    if start_after is not None:
        result["StartAfter"] = encode(start_after)
    if page.truncated and page.last is not None:
        result["NextContinuationToken"] = _to_token(page.last)
    return result


def list_object_versions(plane: Plane, call: Call, params: Params) -> Result:
    """Versions and delete markers, of each key the newest first."""
    encode = encoder(params)
    key_marker, version_marker = params.get("KeyMarker") or None, params.get("VersionIdMarker")
    _check_version_marker(key_marker, version_marker)
    page = _versions_page(plane.objects, params, key_marker, version_marker)
    result: dict[str, Any] = {
        **_common(page, params, encode),
        "KeyMarker": encode(key_marker or ""),
        "VersionIdMarker": version_marker or "",
    }
    everyone = owner(call.scope)
    versions = [
        {**_entry(v.version, encode, everyone), **_version(v)}
        for v in page.versions
        if isinstance(v.version, ObjectInfo)
    ]
    markers = [
        {
            "Key": encode(v.version.key),
            "LastModified": v.version.modified_at,
            "Owner": everyone,
            **_version(v),
        }
        for v in page.versions
        if isinstance(v.version, DeleteMarker)
    ]
    if versions:
        result["Versions"] = versions
    if markers:
        result["DeleteMarkers"] = markers
    if page.truncated and page.last_key is not None:
        result["NextKeyMarker"] = encode(page.last_key)
        if page.last_version is not None:
            result["NextVersionIdMarker"] = page.last_version
    return result


def _version(listed: ListedVersion) -> dict[str, Any]:
    return {"VersionId": listed.version.version, "IsLatest": listed.is_latest}


def _check_version_marker(key: str | None, version: str | None) -> None:
    if version == "":
        raise invalid_argument("A version-id marker cannot be empty.", "version-id-marker", version)
    if version is not None and key is None:
        raise invalid_argument(
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            version,
        )
    check_version(version, "version-id-marker")


def _versions_page(
    objects: ObjectStore, params: Params, after_key: str | None, after_version: str | None
) -> VersionListing:
    limit = page_size(params, "MaxKeys")
    if limit == 0:
        objects.bucket(params["Bucket"])
        return VersionListing((), (), False, None, None)
    return objects.list_versions(
        params["Bucket"],
        params.get("Prefix") or "",
        delimiter=params.get("Delimiter") or None,
        after_key=after_key,
        after_version=after_version,
        limit=limit,
    )


def page_size(params: Params, name: str) -> int:
    """How many entries a page may have: what was asked for, 1,000 at most."""
    wanted = params.get(name)
    if wanted is None:
        return MAX_KEYS
    if wanted < 0:
        wire = {"MaxKeys": "max-keys", "MaxUploads": "max-uploads", "MaxParts": "max-parts"}[name]
        argument = name[0].lower() + name[1:]
        raise invalid_argument(
            f"Argument {argument} must be an integer between 0 and 2147483647", wire, wanted
        )
    return min(int(wanted), MAX_KEYS)


def encoder(params: Params) -> Encode:
    """How keys are written in the answer: as they are, or percent-encoded for XML's sake."""
    encoding = params.get("EncodingType")
    if encoding is None:
        return lambda text: text
    if encoding != "url":
        raise invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", encoding
        )
    return lambda text: quote(text, safe="/*")


def _page(objects: ObjectStore, params: Params, start_after: str | None) -> Listing:
    limit = page_size(params, "MaxKeys")
    if limit == 0:
        objects.bucket(params["Bucket"])
        return Listing((), (), truncated=False, last=None)
    return objects.list(
        params["Bucket"],
        params.get("Prefix") or "",
        delimiter=params.get("Delimiter") or None,
        start_after=start_after,
        limit=limit,
    )


def _common(page: Listing | VersionListing, params: Params, encode: Encode) -> dict[str, Any]:
    result: dict[str, Any] = {
        "Name": params["Bucket"],
        "Prefix": encode(params.get("Prefix") or ""),
        "MaxKeys": page_size(params, "MaxKeys"),
        "IsTruncated": page.truncated,
    }
    if params.get("Delimiter"):
        result["Delimiter"] = encode(params["Delimiter"])
    if params.get("EncodingType"):
        result["EncodingType"] = params["EncodingType"]
    if page.prefixes:
        result["CommonPrefixes"] = [{"Prefix": encode(prefix)} for prefix in page.prefixes]
    return result


def _contents(
    page: Listing, encode: Encode, shown_owner: Mapping[str, str] | None
) -> dict[str, Any]:
    if not page.objects:
        return {}
    return {"Contents": [_entry(info, encode, shown_owner) for info in page.objects]}


def _entry(
    info: ObjectInfo, encode: Encode, shown_owner: Mapping[str, str] | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Key": encode(info.key),
        "LastModified": info.modified_at,
        "ETag": quoted(info.etag),
        "Size": info.size,
        "StorageClass": info.description.attributes.get("StorageClass", "STANDARD"),
    }
    if info.checksums:
        entry["ChecksumAlgorithm"] = list(info.checksums)
        entry["ChecksumType"] = info.description.checksum_type
    if shown_owner is not None:
        entry["Owner"] = shown_owner
    return entry


def _to_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode("utf-8", "surrogatepass")).decode()


def _from_token(token: str) -> str:
    try:
        if not token:
            raise ValueError("an empty token")
        return base64.b64decode(token, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except ValueError as error:
        raise invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        ) from error
