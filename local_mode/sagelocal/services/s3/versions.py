"""Versions: which one a request means, what answers say of it, and whether a bucket keeps any.

A bucket that never was asked to keep versions says nothing of them: its objects are the version
`null`, which only ListObjectVersions tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.services.calls import Call, Params, Result
from sagelocal.services.s3.faults import delete_marker_is_no_object, not_offered
from sagelocal.store.objects import NULL_VERSION, DeleteMarker, ObjectInfo, ObjectStore

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def chosen(objects: ObjectStore, call: Call, params: Params) -> ObjectInfo:
    """The version that a request names, or the newest. Raises Fault, NoSuchKey, NoSuchVersion."""
    version = params.get("VersionId")
    if version is None:
        return objects.get(params["Bucket"], params["Key"])
    found = objects.version(params["Bucket"], params["Key"], version)
    if isinstance(found, DeleteMarker):
        raise delete_marker_is_no_object(call.operation, found)
    return found


def read_members(objects: ObjectStore, info: ObjectInfo) -> dict[str, Any]:
    """`{"VersionId": ...}` for an answer about a version that was there; nothing if unversioned."""
    if info.version == NULL_VERSION and objects.bucket(info.bucket).versioning is None:
        return {}
    return {"VersionId": info.version}


def written_members(info: ObjectInfo) -> dict[str, Any]:
    """The same for a version that was just written, of which S3 does not tell a `null`."""
    return {} if info.version == NULL_VERSION else {"VersionId": info.version}


def get_bucket_versioning(plane: Plane, call: Call, params: Params) -> Result:
    versioning = plane.objects.bucket(params["Bucket"]).versioning
    return {"Status": versioning} if versioning else {}


def put_bucket_versioning(plane: Plane, call: Call, params: Params) -> Result:
    configuration = params["VersioningConfiguration"]
    plane.objects.bucket(params["Bucket"])
    if configuration.get("MFADelete") == "Enabled":
        raise not_offered("x-amz-mfa", "nobody has an MFA device here")
    status = configuration.get("Status")
    if status is None:
        raise Fault(
            "IllegalVersioningConfigurationException", "The Versioning element must be specified"
        )
    if status not in ("Enabled", "Suspended"):
        raise malformed_xml()
    plane.objects.set_versioning(params["Bucket"], status)
    return {}
