"""What a job left, from S3 to folders of this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sagelocal.account import Account, CloudError, NotThere, Refused, is_denial
from sagelocal.domain.names import S3Uri
from sagelocal.engine.extraction import BadArchive, extract

# What `sagelocal train` leaves too: either may replace the other's results.
MARKER = ".sagelocal-train"


def check_folder(folder: Path) -> None:
    """Raises CloudError if the folder holds what no launch, and no `sagelocal train`, put there."""
    if folder.exists() and not folder.is_dir():
        raise CloudError(f"the output folder {folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise CloudError(
            f"the output folder {folder} holds files that are not from sagelocal; name another "
            "one (output.folder in the spec, or --output), or empty it"
        )


def download_job(account: Account, job: Mapping[str, Any], folder: Path) -> list[str]:
    """`model/` and `data/` of a training job, in place of an earlier one's; which there are.

    Raises CloudError.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    uri = f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"
    compressed = job["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
    found = []
    for name, below in (("model", "model"), ("data", "output")):
        shutil.rmtree(folder / name, ignore_errors=True)
        try:
            if compressed:
                unpack(account, S3Uri.parse(f"{uri}/{below}.tar.gz"), folder / name)
            else:
                download_prefix(account, S3Uri.parse(f"{uri}/{below}/"), folder / name)
        except NotThere:
            continue
        except Refused as error:
            # Who may not list a bucket is not told that an object is not there. Of these two only
            # the model of a job that worked has to be.
            if not is_denial(error) or (name, job["TrainingJobStatus"]) == ("model", "Completed"):
                raise
            continue
        found.append(name)
    return found


def download(account: Account, uri: S3Uri, to: Path) -> None:
    """One object as a file. Raises CloudError, NotThere."""
    to.parent.mkdir(parents=True, exist_ok=True)
    client = account.client("s3")
    try:
        client.download_file(uri.bucket, uri.key, str(to))
    except (BotoCoreError, ClientError) as error:
        raise account.explained(error, "s3") from error
    except OSError as error:
        raise CloudError(f"{uri} cannot be written to {to}: {error.strerror}") from error


def download_prefix(account: Account, uri: S3Uri, folder: Path) -> int:
    """Every object below a prefix as a file below the folder; how many.

    Raises CloudError, and NotThere if there is none.
    """
    count = 0
    for key in keys(account, uri):
        name = key.removeprefix(uri.key).lstrip("/")
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise CloudError(f"the key {key!r} in {uri.bucket} leads out of {folder}")
        download(account, S3Uri(uri.bucket, key), target)
        count += 1
    if not count:
        raise NotThere("NoSuchKey", f"there is nothing below {uri}")
    return count


def unpack(account: Account, uri: S3Uri, folder: Path) -> None:
    """An archive's content in a new folder. Raises CloudError, NotThere."""
    with tempfile.TemporaryDirectory(prefix="sagelocal-") as temporary:
        archive = Path(temporary, "archive.tar.gz")
        download(account, uri, archive)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with archive.open("rb") as file:
                extract(file, folder)
        except BadArchive as error:
            raise CloudError(f"{uri} cannot be unpacked: {error}") from error


def keys(account: Account, uri: S3Uri) -> Iterator[str]:
    """The keys of the objects below a prefix; folders that the console made are none."""
    token: dict[str, str] = {}
    while True:
        page = account.call("s3", "list_objects_v2", Bucket=uri.bucket, Prefix=uri.key, **token)
        for each in page.get("Contents", ()):
            if not each["Key"].endswith("/"):
                yield each["Key"]
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}
