"""Buckets: create, list, look at, delete.

Naming rules: Amazon S3 User Guide, "General purpose bucket naming rules".
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3.descriptions import GRANT_MEMBERS, check_acl
from sagelocal.services.s3.faults import invalid_argument, not_offered
from sagelocal.services.s3.owners import access_control, owner
from sagelocal.services.s3.tag_sets import from_wire, to_wire
from sagelocal.store.objects import Bucket, BucketExists

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

FIRST_REGION = "us-east-1"
# A name of old for a region, still given out and taken.
OLD_NAMES = {"EU": "eu-west-1"}
MAX_LISTED_BUCKETS = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def create_bucket(plane: Plane, call: Call, params: Params) -> Result:
    name = params["Bucket"]
    check_bucket_name(name)
    _check_acl(params)
    if params.get("ObjectLockEnabledForBucket"):
        raise not_offered("x-amz-bucket-object-lock-enabled", "there is no object lock here")
    configuration = params.get("CreateBucketConfiguration") or {}
    region = _region(call.scope.region, configuration.get("LocationConstraint"))
    tags = from_wire(configuration.get("Tags", []), of_bucket=True)
    try:
        plane.objects.create_bucket(name, region)
    except BucketExists as error:
        if region != FIRST_REGION or plane.objects.bucket(name).region != FIRST_REGION:
            raise _already_owned(name) from error
    if tags:
        plane.objects.put_bucket_document(name, "Tagging", json.dumps({"TagSet": to_wire(tags)}))
    if region == FIRST_REGION:
        return {"Location": f"/{name}"}
    return {"Location": f"{call.base_url}/{name}"}


def delete_bucket(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.delete_bucket(params["Bucket"])
    return {}


def head_bucket(plane: Plane, call: Call, params: Params) -> Result:
    bucket = plane.objects.bucket(params["Bucket"])
    return {
        "BucketRegion": bucket.region,
        "AccessPointAlias": False,
        "ResponseMetadata": {"HTTPHeaders": {"Content-Type": "application/xml"}},
    }


def get_bucket_location(plane: Plane, call: Call, params: Params) -> Result:
    region = plane.objects.bucket(params["Bucket"]).region
    return {} if region == FIRST_REGION else {"LocationConstraint": region}


def get_bucket_acl(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.bucket(params["Bucket"])
    return access_control(call.scope)


def put_bucket_acl(plane: Plane, call: Call, params: Params) -> Result:
    plane.objects.bucket(params["Bucket"])
    check_acl(params)
    return {}


def list_buckets(plane: Plane, call: Call, params: Params) -> Result:
    """All of them at once, or in pages when the request says how many it wants."""
    prefix, region = params.get("Prefix") or "", params.get("BucketRegion")
    after = params.get("ContinuationToken") or ""
    limit = params.get("MaxBuckets")
    if limit is not None and not 1 <= limit <= MAX_LISTED_BUCKETS:
        raise invalid_argument(
            f"Argument max-buckets must be an integer between 1 and {MAX_LISTED_BUCKETS}",
            "max-buckets",
            limit,
        )
    matching = [
        bucket
        for bucket in plane.objects.buckets()
        if bucket.name.startswith(prefix)
        and bucket.name > after
        and region in (None, bucket.region)
    ]
    page = matching[:limit]
    paged = bool(limit or region or prefix)
    result: dict[str, Any] = {
        "Owner": owner(call.scope),
        "Buckets": [_entry(bucket, with_region=paged) for bucket in page],
    }
    if prefix:
        result["Prefix"] = prefix
    if len(page) < len(matching):
        result["ContinuationToken"] = page[-1].name
    return result


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName for a name that no new bucket may have."""
    if (
        _NAME.fullmatch(name)
        and ".." not in name
        and not _is_address(name)
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    ):
        return
    raise Fault(
        "InvalidBucketName", "The specified bucket is not valid.", members={"BucketName": name}
    )


def _check_acl(params: Params) -> None:
    """A new bucket's list may say what holds anyway: that it is the owner's."""
    if params.get("ACL") in (None, "private", "bucket-owner-full-control") and not any(
        params.get(member) for member in GRANT_MEMBERS
    ):
        return
    raise Fault(
        "InvalidBucketAclWithObjectOwnership",
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _region(endpoint: str, constraint: str | None) -> str:
    """The region that a bucket is made in: every region but the first wants it said."""
    if constraint is None:
        if endpoint != FIRST_REGION:
            raise _illegal_constraint("unspecified")
        return FIRST_REGION
    region = OLD_NAMES.get(constraint, constraint)
    if constraint == FIRST_REGION and endpoint != FIRST_REGION:
        raise _illegal_constraint(constraint)
    if constraint == FIRST_REGION or not re.fullmatch(r"[a-z]+(-[a-z]+)+-\d", region):
        raise Fault(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            members={"LocationConstraint": constraint},
        )
    if endpoint not in (FIRST_REGION, region):
        raise _illegal_constraint(constraint)
    return region


def _illegal_constraint(constraint: str) -> Fault:
    return Fault(
        "IllegalLocationConstraintException",
        f"The {constraint} location constraint is incompatible for the region specific endpoint "
        "this request was sent to.",
    )


def _already_owned(name: str) -> Fault:
    return Fault(
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        status=409,
        members={"BucketName": name},
    )


def _entry(bucket: Bucket, *, with_region: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"Name": bucket.name, "CreationDate": bucket.created_at}
    if with_region:
        entry["BucketRegion"] = bucket.region
    return entry
