"""A plan made real: files uploaded, calls sent in order, and taken back if one is refused."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from sagelocal.account import Account, CloudError
from sagelocal.cloud.plan import Plan, PlannedCall, Upload
from sagelocal.cloud.resolving import default_bucket, require_bucket
from sagelocal.engine.artifacts import Entry, entries, write_archive

_BUFFER_BYTES = 64 * 1024 * 1024


def files_of(upload: Upload) -> list[tuple[Path, str]]:
    """Every file of an upload that is not packed, and its name below the prefix."""
    if upload.source.is_file():
        return [(upload.source, upload.source.name)]
    files = sorted(path for path in upload.source.rglob("*") if path.is_file())
    return [(path, path.relative_to(upload.source).as_posix()) for path in files]


def send_uploads(account: Account, plan: Plan, tell: Callable[[str], None]) -> None:
    """Put every file where the calls say it is. Raises CloudError.

    The SageMaker SDK's default bucket is made if it is not there; others are the user's to make.
    """
    for bucket in plan.buckets:
        require_bucket(account, bucket, make=bucket == default_bucket(account))
    for upload in plan.uploads:
        tell(f"uploading {upload.source} to {upload.to}")
        with _sources(upload) as sources:
            for source, key in sources:
                _put(account, source, upload.to.bucket, key)


def send_calls(account: Account, plan: Plan, tell: Callable[[str], None]) -> None:
    """Send the calls in order; what earlier ones made is deleted if one is refused.

    Raises CloudError.
    """
    made: list[PlannedCall] = []
    for call in plan.calls:
        try:
            account.call(call.service, _method(call.operation), **call.parameters)
        except CloudError:
            _take_back(account, made)
            raise
        made.append(call)
        tell(f"{call.operation} done")


def _take_back(account: Account, made: list[PlannedCall]) -> None:
    for call in reversed(made):
        if call.undo is not None:
            operation, parameters = call.undo
            # The refusal is what the user has to hear of.
            with contextlib.suppress(CloudError):
                account.call(call.service, _method(operation), **parameters)


@contextlib.contextmanager
def _sources(upload: Upload) -> Iterator[list[tuple[Path, str]]]:
    """The files to send and their keys; an archive lives as long as the context."""
    key = upload.to.key
    if not upload.packed:
        single = not key.endswith("/")
        yield [(path, key if single else key + name) for path, name in files_of(upload)]
        return
    source = upload.source
    members = entries([source]) if source.is_dir() else [Entry(source, source.name)]
    with tempfile.NamedTemporaryFile(prefix="sagelocal-", suffix=".tar.gz") as archive:
        write_archive(archive, members)
        archive.flush()
        yield [(Path(archive.name), key)]


def _put(account: Account, source: Path, bucket: str, key: str) -> None:
    client = account.client("s3")
    try:
        client.upload_file(str(source), bucket, key)
    except (BotoCoreError, ClientError) as error:
        raise account.explained(error, "s3") from error
    except (S3UploadFailedError, OSError) as error:
        raise CloudError(f"{source} could not be uploaded to s3://{bucket}/{key}: {error}") from (
            error
        )


def _method(operation: str) -> str:
    """boto3's method of an operation: `create_training_job`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
