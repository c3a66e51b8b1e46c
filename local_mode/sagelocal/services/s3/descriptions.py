"""What objects carry besides bytes: from a request to the store, and back to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, Params
from sagelocal.services.s3 import checksums
from sagelocal.services.s3.conditions import quoted
from sagelocal.services.s3.faults import invalid_argument, invalid_request, not_offered
from sagelocal.services.s3.tag_sets import SYSTEM_TAG_IN_HEADER, check_tags
from sagelocal.store.objects import DEFAULT_CONTENT_TYPE, ChecksumType, Description, ObjectInfo

MAX_METADATA_BYTES = 2048
DEFAULT_ENCRYPTION = "AES256"
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
)
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
# Members that are kept as they came and given back with the object.
CONTENT_MEMBERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "Expires",
)
STORAGE_MEMBERS = (
    "StorageClass",
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
    "WebsiteRedirectLocation",
)
LOCK_MEMBERS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
GRANT_MEMBERS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")


def described(call: Call, params: Params, encryption: Mapping[str, str]) -> Description:
    """What a request wants its new object to carry, but for checksums. Raises Faults.

    `encryption` are the attributes of one that asks for no encryption itself.
    """
    check_storage(params)
    return Description(
        content_type=params.get("ContentType") or DEFAULT_CONTENT_TYPE,
        metadata=user_metadata(params),
        attributes={
            **content_attributes(call, params),
            **storage_attributes(params, encryption),
        },
        tags=header_tags(params),
    )


def check_storage(params: Params) -> None:
    """Raise the Fault for what a request asks of storage that S3 refuses, or that is not here."""
    storage_class = params.get("StorageClass")
    if storage_class is not None and storage_class not in STORAGE_CLASSES:
        raise Fault(
            "InvalidStorageClass",
            "The storage class you specified is not valid",
            members={"StorageClassRequested": storage_class},
        )
    encryption = params.get("ServerSideEncryption")
    if encryption is not None and encryption not in ENCRYPTIONS:
        raise invalid_argument(
            "The encryption method specified is not supported",
            "x-amz-server-side-encryption",
            encryption,
        )
    if params.get("SSECustomerAlgorithm") or params.get("SSECustomerKey"):
        raise invalid_argument(
            "Requests specifying Server Side Encryption with Customer provided keys must be made "
            "over a secure connection.",
            "x-amz-server-side-encryption",
            "null",
        )
    if any(params.get(member) for member in LOCK_MEMBERS):
        raise invalid_request("Bucket is missing Object Lock Configuration")
    if params.get("WriteOffsetBytes") is not None:
        raise not_offered("x-amz-write-offset-bytes", "appending is for directory buckets")
    check_acl(params)


def check_acl(params: Params) -> None:
    """Buckets enforce the owner's ownership, S3's default: only the owner's own ACL is accepted."""
    if params.get("ACL") in (None, "bucket-owner-full-control") and not any(
        params.get(member) for member in GRANT_MEMBERS
    ):
        return
    raise Fault("AccessControlListNotSupported", "The bucket does not allow ACLs")


def user_metadata(params: Params) -> dict[str, str]:
    metadata = {name.lower(): value for name, value in (params.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise Fault(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            members={"Size": size, "MaxSizeAllowed": MAX_METADATA_BYTES},
        )
    return metadata


def content_attributes(call: Call, params: Params) -> dict[str, str]:
    """The headers that describe the content; aws-chunked describes the transfer only."""
    kept = {member: params[member] for member in CONTENT_MEMBERS if params.get(member)}
    if "Expires" in kept:
        kept["Expires"] = call.headers.get("expires", str(kept["Expires"]))
    if "ContentEncoding" in kept:
        encodings = [e.strip() for e in kept["ContentEncoding"].split(",")]
        kept["ContentEncoding"] = ",".join(e for e in encodings if e and e != "aws-chunked")
    return {member: value for member, value in kept.items() if value}


def storage_attributes(params: Params, encryption: Mapping[str, str]) -> dict[str, str]:
    """How an object is stored; `encryption` where the request asks for none itself."""
    return {
        **({} if params.get("ServerSideEncryption") else encryption),
        **{
            member: str(params[member]).lower() if params[member] is True else params[member]
            for member in STORAGE_MEMBERS
            if params.get(member)
        },
    }


def header_tags(params: Params) -> dict[str, str]:
    """The tags of a `x-amz-tagging: a=1&b=2` header."""
    text = params.get("Tagging")
    if not text:
        return {}
    pairs = parse_qsl(text, keep_blank_values=True)
    check_tags(pairs, system_tag=SYSTEM_TAG_IN_HEADER)
    return dict(pairs)


def stored_members(info: ObjectInfo) -> dict[str, Any]:
    """The members that GetObject and HeadObject have in common, without checksums."""
    description = info.description
    members: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": info.modified_at,
        "ETag": quoted(info.etag),
        "ContentType": description.content_type,
        "Metadata": description.metadata,
        **description.attributes,
        **encryption_members(description.attributes),
    }
    if members.get("StorageClass") == "STANDARD":
        # S3 sends this header for every other class only.
        del members["StorageClass"]
    if description.tags:
        members["TagCount"] = len(description.tags)
    return members


def encryption_members(attributes: Mapping[str, str]) -> dict[str, Any]:
    """How S3 says an object is encrypted; AES256 is what every object has that asks for nothing."""
    members: dict[str, Any] = {
        "ServerSideEncryption": attributes.get("ServerSideEncryption", DEFAULT_ENCRYPTION)
    }
    if "SSEKMSKeyId" in attributes:
        members["SSEKMSKeyId"] = attributes["SSEKMSKeyId"]
    if "BucketKeyEnabled" in attributes:
        members["BucketKeyEnabled"] = attributes["BucketKeyEnabled"] == "true"
    return members


def checksum_members(info: ObjectInfo) -> dict[str, str]:
    return checksums.members(info.checksums, info.description.checksum_type)


def with_checksums(
    description: Description, values: Mapping[str, str], kind: ChecksumType
) -> Description:
    return Description(
        content_type=description.content_type,
        metadata=description.metadata,
        attributes=description.attributes,
        tags=description.tags,
        checksums=values,
        checksum_type=kind,
    )


def check_not_archived(info: ObjectInfo) -> None:
    """Objects in an archive cannot be read before they are restored."""
    storage_class = info.description.attributes.get("StorageClass")
    if storage_class in ARCHIVED:
        raise Fault(
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            status=403,
            members={"StorageClass": storage_class},
        )
