"""Bucket configurations that are documents: kept with the bucket and given back as they came.

What they configure happens in the cloud only: no object expires, no notification is sent, no policy
is evaluated here. What would change what this very plane answers (object lock) is refused instead
of being kept in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.services.calls import Call, Operation, Params, Result
from sagelocal.services.s3.faults import not_offered
from sagelocal.services.s3.tag_sets import from_wire
from sagelocal.store.objects import ObjectStore

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


ENFORCED = "BucketOwnerEnforced"
KMS_ENCRYPTIONS = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class Configuration:
    """One kind of document, by the names of its operations and members.

    `member` is the member of the Put request. `wrapped`: Get answers that same member; otherwise
    what is inside it. A bucket that never got one answers `default`, or the error `missing`; so
    does one that was given a document of which `is_none` holds.
    """

    member: str
    put: str | None = None
    get: str = ""
    delete: str | None = None
    wrapped: bool = False
    default: Mapping[str, Any] | None = None
    missing: tuple[str, str] | None = None
    check: Callable[[Mapping[str, Any]], object] | None = None
    is_none: Callable[[Mapping[str, Any]], bool] | None = None
    put_status: int = 200


def default_encryption(objects: ObjectStore, bucket: str) -> dict[str, str]:
    """The attributes of a new object that asks for no encryption, if its bucket has KMS for it."""
    text = objects.bucket_document(bucket, "ServerSideEncryptionConfiguration")
    if text is None:
        return {}
    (rule,) = json.loads(text)["Rules"]
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    if default.get("SSEAlgorithm") not in KMS_ENCRYPTIONS:
        return {}
    attributes = {
        "ServerSideEncryption": default["SSEAlgorithm"],
        "SSEKMSKeyId": default.get("KMSMasterKeyID"),
        "BucketKeyEnabled": "true" if rule.get("BucketKeyEnabled") else None,
    }
    return {name: value for name, value in attributes.items() if value}


def _check_encryption(document: Mapping[str, Any]) -> None:
    rules = document.get("Rules", [])
    if len(rules) != 1:
        raise malformed_xml()
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {})
    if default.get("KMSMasterKeyID") and default.get("SSEAlgorithm") not in KMS_ENCRYPTIONS:
        raise Fault(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "
            "aws:kms:dsse",
            members={"ArgumentName": "ApplyServerSideEncryptionByDefault"},
        )


def _check_tagging(document: Mapping[str, Any]) -> None:
    from_wire(document.get("TagSet", []), of_bucket=True)


def _check_ownership(document: Mapping[str, Any]) -> None:
    if any(rule.get("ObjectOwnership") != ENFORCED for rule in document.get("Rules", [])):
        raise not_offered("OwnershipControls", f"ownership is {ENFORCED} here, without ACLs")


_ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTED = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}
_OWNER_ENFORCED = {"Rules": [{"ObjectOwnership": ENFORCED}]}

CONFIGURATIONS = (
    Configuration(
        "Tagging",
        put="PutBucketTagging",
        get="GetBucketTagging",
        delete="DeleteBucketTagging",
        missing=("NoSuchTagSet", "The TagSet does not exist"),
        check=_check_tagging,
        is_none=lambda document: not document.get("TagSet"),
        put_status=204,
    ),
    Configuration(
        "ServerSideEncryptionConfiguration",
        put="PutBucketEncryption",
        get="GetBucketEncryption",
        delete="DeleteBucketEncryption",
        wrapped=True,
        default=_ENCRYPTED,
        check=_check_encryption,
    ),
    Configuration(
        "PublicAccessBlockConfiguration",
        put="PutPublicAccessBlock",
        get="GetPublicAccessBlock",
        delete="DeletePublicAccessBlock",
        wrapped=True,
        default=_ALL_BLOCKED,
        missing=(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
    ),
    Configuration(
        "OwnershipControls",
        put="PutBucketOwnershipControls",
        get="GetBucketOwnershipControls",
        delete="DeleteBucketOwnershipControls",
        wrapped=True,
        default=_OWNER_ENFORCED,
        check=_check_ownership,
        missing=(
            "OwnershipControlsNotFoundError",
            "The bucket ownership controls were not found",
        ),
    ),
    Configuration(
        "LifecycleConfiguration",
        put="PutBucketLifecycleConfiguration",
        get="GetBucketLifecycleConfiguration",
        delete="DeleteBucketLifecycle",
        missing=("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ),
    Configuration(
        "CORSConfiguration",
        put="PutBucketCors",
        get="GetBucketCors",
        delete="DeleteBucketCors",
        missing=("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ),
    Configuration(
        "NotificationConfiguration",
        put="PutBucketNotificationConfiguration",
        get="GetBucketNotificationConfiguration",
        default={},
    ),
    Configuration("BucketLoggingStatus", get="GetBucketLogging", default={}),
    Configuration("AccelerateConfiguration", get="GetBucketAccelerateConfiguration", default={}),
    Configuration(
        "RequestPaymentConfiguration",
        get="GetBucketRequestPayment",
        default={"Payer": "BucketOwner"},
    ),
    Configuration(
        "WebsiteConfiguration",
        get="GetBucketWebsite",
        missing=(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
    ),
    Configuration(
        "ReplicationConfiguration",
        get="GetBucketReplication",
        missing=(
            "ReplicationConfigurationNotFoundError",
            "The replication configuration was not found",
        ),
    ),
    Configuration(
        "ObjectLockConfiguration",
        get="GetObjectLockConfiguration",
        missing=(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
        ),
    ),
)
# Kept in place of a default that was deleted.
DELETED = "null"


def operations() -> dict[str, Operation]:
    """The operations of every kind of document, by name."""
    found: dict[str, Operation] = {
        "GetBucketPolicy": get_bucket_policy,
        "PutBucketPolicy": put_bucket_policy,
        "DeleteBucketPolicy": delete_bucket_policy,
    }
    for configuration in CONFIGURATIONS:
        found[configuration.get] = _getter(configuration)
        if configuration.put:
            found[configuration.put] = _putter(configuration)
        if configuration.delete:
            found[configuration.delete] = _deleter(configuration)
    return found


def _getter(configuration: Configuration) -> Operation:
    def get(plane: Plane, call: Call, params: Params) -> Result:
        text = plane.objects.bucket_document(params["Bucket"], configuration.member)
        document = configuration.default if text is None else json.loads(text)
        if document is None:
            raise _missing(configuration, params["Bucket"])
        return {configuration.member: document} if configuration.wrapped else document

    return get


def _putter(configuration: Configuration) -> Operation:
    def put(plane: Plane, call: Call, params: Params) -> Result:
        document = params[configuration.member]
        if configuration.check:
            configuration.check(document)
        if configuration.is_none and configuration.is_none(document):
            plane.objects.delete_bucket_document(params["Bucket"], configuration.member)
            return _with_status(configuration.put_status)
        plane.objects.put_bucket_document(
            params["Bucket"], configuration.member, json.dumps(document, default=_date)
        )
        return _with_status(configuration.put_status)

    return put


def _deleter(configuration: Configuration) -> Operation:
    def delete(plane: Plane, call: Call, params: Params) -> Result:
        if configuration.default is not None and configuration.missing:
            plane.objects.put_bucket_document(params["Bucket"], configuration.member, DELETED)
        else:
            plane.objects.delete_bucket_document(params["Bucket"], configuration.member)
        return {}

    return delete


def _missing(configuration: Configuration, bucket: str) -> Fault:
    if configuration.missing is None:
        raise ValueError(f"{configuration.member} has neither a default nor an error")
    code, message = configuration.missing
    return Fault(code, message, status=404, members={"BucketName": bucket})


def _with_status(status: int) -> Result:
    """An answer of nothing with a status that the service's model does not tell."""
    return {"ResponseMetadata": {"HTTPStatusCode": status}}


def _date(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}: {value!r}")


def get_bucket_policy(plane: Plane, call: Call, params: Params) -> Result:
    policy = plane.objects.bucket_document(params["Bucket"], "Policy")
    if policy is None:
        raise Fault(
            "NoSuchBucketPolicy",
            "The bucket policy does not exist",
            status=404,
            members={"BucketName": params["Bucket"]},
        )
    return {"Policy": policy}


def put_bucket_policy(plane: Plane, call: Call, params: Params) -> Result:
    """The policy's text is kept as it came."""
    policy = params["Policy"]
    try:
        is_object = isinstance(json.loads(policy), dict)
    except ValueError:
        is_object = False
    if not is_object:
        message = "Policies must be valid JSON and the first byte must be '{'"
        raise Fault("MalformedPolicy", message)
    plane.objects.put_bucket_document(params["Bucket"], "Policy", policy)
    return _with_status(204)


def delete_bucket_policy(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.delete_bucket_document(params["Bucket"], "Policy")
    return {}
