"""S3's errors, in S3's words, and what every operation is checked for before it runs.

Codes and their elements: Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

import errno
import functools
import os
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, Operation, Params, Result
from sagelocal.services.s3.presigned import check_presigned
from sagelocal.store.objects import (
    BucketNotEmpty,
    DeleteMarker,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    is_version_id,
)

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MAX_KEY_BYTES = 1024
# The disk takes no more: full, over quota, or a file over the allowed size.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_such_bucket(bucket: str) -> Fault:
    return Fault(
        "NoSuchBucket",
        "The specified bucket does not exist",
        status=404,
        members={"BucketName": bucket},
    )


def no_such_key(key: str, marker: DeleteMarker | None = None) -> Fault:
    return Fault(
        "NoSuchKey",
        "The specified key does not exist.",
        status=404,
        members={"Key": key},
        headers=_marker_headers(marker) if marker else {},
    )


def no_such_version(key: str, version: str) -> Fault:
    return Fault(
        "NoSuchVersion",
        "The specified version does not exist.",
        status=404,
        members={"Key": key, "VersionId": version},
    )


def delete_marker_is_no_object(operation: str, marker: DeleteMarker) -> Fault:
    """The answer to all that is asked of a delete marker by its version, except to delete it."""
    methods = {"Get": "GET", "Head": "HEAD", "Put": "PUT", "Delete": "DELETE"}
    method = next((m for name, m in methods.items() if operation.startswith(name)), "POST")
    return Fault(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        members={"Method": method, "ResourceType": "DeleteMarker"},
        headers={
            "Allow": "DELETE",
            "Last-Modified": formatdate(marker.modified_at, usegmt=True),
            **_marker_headers(marker),
        },
    )


def _marker_headers(marker: DeleteMarker) -> dict[str, str]:
    return {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version}


def no_such_upload(upload: str) -> Fault:
    return Fault(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
        "been aborted or completed.",
        status=404,
        members={"UploadId": upload},
    )


def bucket_not_empty(bucket: str, *, versioned: bool) -> Fault:
    more = ". You must delete all versions in the bucket." if versioned else ""
    return Fault(
        "BucketNotEmpty",
        f"The bucket you tried to delete is not empty{more}",
        status=409,
        members={"BucketName": bucket},
    )


def invalid_argument(message: str, name: str, value: object) -> Fault:
    return Fault(
        "InvalidArgument", message, members={"ArgumentName": name, "ArgumentValue": str(value)}
    )


def invalid_request(message: str) -> Fault:
    return Fault("InvalidRequest", message)


def precondition_failed(condition: str) -> Fault:
    return Fault(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        status=412,
        members={"Condition": condition},
    )


def not_offered(header: str, meaning: str) -> Fault:
    """A header that S3 gives a meaning which is not to be had here: refused, never ignored."""
    return Fault(
        "NotImplemented",
        f"A header you provided implies functionality that is not implemented: {meaning}",
        members={"Header": header},
    )


def guarded(operation: Operation) -> Operation:
    """The operation behind the checks that all share, with the store's refusals in S3's words."""

    @functools.wraps(operation)
    def run(plane: Plane, call: Call, params: Params) -> Result:
        check_presigned(call.query, call.headers, time.time())
        _check_owner(call, params.get("ExpectedBucketOwner"))
        _check_owner(call, params.get("ExpectedSourceBucketOwner"))
        _check_key(params.get("Key"))
        check_version(params.get("VersionId"), "versionId")
        try:
            return operation(plane, call, params)
        except NoSuchBucket as error:
            raise no_such_bucket(error.bucket) from error
        except NoSuchKey as error:
            raise no_such_key(error.key, error.marker) from error
        except NoSuchVersion as error:
            raise no_such_version(error.key, error.version) from error
        except NoSuchUpload as error:
            raise no_such_upload(error.upload) from error
        except BucketNotEmpty as error:
            raise bucket_not_empty(error.bucket, versioned=error.versioned) from error
        except OSError as error:
            if error.errno in DISK_FULL:
                raise _disk_full(plane, error) from error
            raise

    return run


def _disk_full(plane: Plane, error: OSError) -> Fault:
    """S3 has no word for it. 507 is WebDAV's, and no client repeats it for long seconds."""
    reason = os.strerror(error.errno or 0)
    return Fault(
        "InsufficientStorage",
        f"The data directory {plane.settings.data_dir} takes no more bytes ({reason}). Delete what "
        "is not needed, or start the plane with --data on a larger disk.",
        status=507,
    )


def _check_owner(call: Call, expected: str | None) -> None:
    """Every bucket belongs to the account of this plane."""
    if expected is not None and expected != call.scope.account:
        raise Fault("AccessDenied", "Access Denied", status=403)


def _check_key(key: str | None) -> None:
    size = len(key.encode("utf-8", "surrogatepass")) if key else 0
    if size > MAX_KEY_BYTES:
        raise Fault(
            "KeyTooLongError",
            "Your key is too long",
            members={"Size": size, "MaxSizeAllowed": MAX_KEY_BYTES},
        )


def check_version(version: str | None, name: str) -> None:
    """Raise the Fault for what cannot be the id of a version."""
    if version == "":
        raise invalid_argument("Version id cannot be the empty string", name, version)
    if version is not None and not is_version_id(version):
        raise invalid_argument("Invalid version id specified", name, version)
