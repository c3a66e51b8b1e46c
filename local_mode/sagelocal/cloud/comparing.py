"""How two jobs differ, whichever accounts they are of.

A job is taken as facts: tables of plain values. Where something is (a bucket, a registry) differs
between accounts by nature, so such differences are told apart from those in what ran.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagelocal.account import Account, CloudError, NotThere
from sagelocal.cloud.downloading import download
from sagelocal.cloud.following import describe
from sagelocal.cloud.resolving import image_digest
from sagelocal.domain.names import S3Uri

Facts = Mapping[str, Mapping[str, Any]]

# Facts that say where something is, not what.
_PLACES = frozenset({"reference", "source", "role", "output", "archive"})
_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same; None where a job does not have it."""

    section: str
    key: str
    left: Any
    right: Any

    @property
    def is_place(self) -> bool:
        """Whether only the place differs."""
        return self.key.rpartition(" ")[2] in _PLACES


def differences(left: Facts, right: Facts) -> list[Difference]:
    """Every fact of either that the other has otherwise, or has not."""
    found = []
    for section in dict.fromkeys((*left, *right)):
        here, there = left.get(section, {}), right.get(section, {})
        for key in dict.fromkeys((*here, *there)):
            if here.get(key) != there.get(key):
                found.append(Difference(section, key, here.get(key), there.get(key)))
    return found


def facts_of(account: Account, name: str, *, artifact: bool = True) -> Facts:
    """What is known of a training job; with `artifact` the model is downloaded and looked into.

    Raises CloudError.
    """
    try:
        job = describe(account, "training", name)
    except NotThere as error:
        where = "on this machine's plane" if account.is_here else "in AWS"
        raise CloudError(
            f"there is no training job {name!r} {where} in {account.region}"
        ) from error
    algorithm, resources = job["AlgorithmSpecification"], job["ResourceConfig"]
    image = algorithm.get("TrainingImage", algorithm.get("AlgorithmName"))
    return {
        "image": {"reference": image, "digest": image_digest(account, image)},
        "hyperparameters": job.get("HyperParameters", {}),
        "environment": job.get("Environment", {}),
        "channels": dict(_channels(account, job)),
        "instance": {
            "type": resources.get("InstanceType"),
            "count": resources.get("InstanceCount"),
            "volume_gb": resources.get("VolumeSizeInGB"),
        },
        "settings": {
            "input mode": algorithm["TrainingInputMode"],
            "max run seconds": job["StoppingCondition"].get("MaxRuntimeInSeconds"),
            "spot": job.get("EnableManagedSpotTraining", False),
            "network isolation": job.get("EnableNetworkIsolation", False),
            "role": job.get("RoleArn"),
            "output": job["OutputDataConfig"]["S3OutputPath"],
        },
        "outcome": {
            "status": job["TrainingJobStatus"],
            "failure reason": job.get("FailureReason"),
        },
        "metrics": {
            each["MetricName"]: round(float(each["Value"]), 6)
            for each in job.get("FinalMetricDataList", ())
        },
        "artifact": dict(_artifact(account, job)) if artifact else {},
    }


def _channels(account: Account, job: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each channel's settings, and how much lies at its source now."""
    for channel in job.get("InputDataConfig", ()):
        name = channel["ChannelName"]
        source = channel["DataSource"].get("S3DataSource", {})
        yield f"{name} source", source.get("S3Uri")
        yield f"{name} content type", channel.get("ContentType")
        yield f"{name} input mode", channel.get("InputMode")
        yield f"{name} distribution", source.get("S3DataDistributionType", "FullyReplicated")
        if source.get("S3DataType") == "S3Prefix":
            yield from _amount(account, name, S3Uri.parse(source["S3Uri"]))


def _amount(account: Account, name: str, uri: S3Uri) -> Iterator[tuple[str, Any]]:
    count = size = 0
    token: dict[str, str] = {}
    while True:
        try:
            page = account.call("s3", "list_objects_v2", Bucket=uri.bucket, Prefix=uri.key, **token)
        except CloudError:
            return  # Gone, or not the caller's to see.
        count += len(page.get("Contents", ()))
        size += sum(each["Size"] for each in page.get("Contents", ()))
        if not page.get("IsTruncated"):
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    yield f"{name} objects", count
    yield f"{name} bytes", size


def _artifact(account: Account, job: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The archive's place, and each file in it with its size and SHA-256."""
    url = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if url is None:
        return
    yield "archive", url
    if url.endswith("/"):
        return
    with tempfile.TemporaryDirectory(prefix="sagelocal-") as folder:
        archive = Path(folder, "model.tar.gz")
        try:
            download(account, S3Uri.parse(url), archive)
            yield from _members(archive)
        except NotThere:
            yield "content", "not there any more"
        except (tarfile.TarError, EOFError, zlib.error) as error:
            yield "content", f"not a complete archive: {error}"


def _members(archive: Path) -> Iterator[tuple[str, Any]]:
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                digest = hashlib.sha256()
                while block := content.read(_BLOCK):
                    digest.update(block)
                name = member.name.removeprefix("./")
                yield f"{name}", f"{member.size} bytes, sha256:{digest.hexdigest()}"
