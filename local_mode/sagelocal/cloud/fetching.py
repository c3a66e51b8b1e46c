"""A job or an endpoint brought to a folder: what it is, its models, and spec files to run it.

    NAME/description.json   what the API says of it
    NAME/model.tar.gz       the model, or model/ where it is kept unpacked
    NAME/job.toml           a training job, to be launched again
    NAME/endpoint.toml      an endpoint that serves the model

An endpoint with several variants or containers has a folder for each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagelocal.account import Account, CloudError, NotThere
from sagelocal.cloud.describing import endpoint_toml, left_out, training_toml
from sagelocal.cloud.downloading import download, download_prefix
from sagelocal.cloud.following import describe
from sagelocal.domain.models import (
    MODEL_FOLDER,
    Container,
    InvalidModel,
    ModelData,
    containers,
)
from sagelocal.domain.names import S3Uri

DESCRIPTION = "description.json"
JOB = "job.toml"
ENDPOINT = "endpoint.toml"


@dataclass(frozen=True)
class FetchedModel:
    """One container of what was fetched. `model` is a file or folder, None if it has none."""

    image: str
    model: Path | None
    environment: Mapping[str, str] = field(repr=False)
    spec: Path
    multi_model: bool = False


@dataclass(frozen=True)
class Fetched:
    """What lies in the folder now; `left_out` are members that the spec files do not say."""

    folder: Path
    models: tuple[FetchedModel, ...]
    left_out: tuple[str, ...] = ()


def fetch(account: Account, name: str, folder: Path) -> Fetched:
    """A training job's or an endpoint's. Raises CloudError.

    Files of an earlier fetch are replaced; a folder with other things in it is refused.
    """
    if folder.exists() and not folder.is_dir():
        raise CloudError(f"{folder} is a file; name a folder with --output")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DESCRIPTION).exists():
        raise CloudError(
            f"{folder} holds files that were not fetched; name another folder with --output"
        )
    job = _described(account, name)
    return (
        _fetch_endpoint(account, name, folder) if job is None else _fetch_job(account, job, folder)
    )


def _described(account: Account, name: str) -> dict[str, Any] | None:
    try:
        return describe(account, "training", name)
    except NotThere:
        return None


def _fetch_job(account: Account, job: dict[str, Any], folder: Path) -> Fetched:
    name = job["TrainingJobName"]
    tags = tags_of(account, job["TrainingJobArn"])
    _write(folder, {"DescribeTrainingJob": job})
    _private(folder / JOB, training_toml(job, tags))
    uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if uri is None:
        return Fetched(folder, (), tuple(left_out(job)))
    model = _fetch_files(account, S3Uri.parse(uri), folder)
    image = job["AlgorithmSpecification"].get("TrainingImage")
    if image is None:
        algorithm = job["AlgorithmSpecification"].get("AlgorithmName")
        raise CloudError(
            f"the model is in {model}, and there is no {ENDPOINT} for it: the job was of the "
            f"algorithm {algorithm}, whose image is not told"
        )
    text = endpoint_toml(
        name, image, model=model.name, environment={}, role=job.get("RoleArn"), variant={}
    )
    _private(folder / ENDPOINT, text)
    found = FetchedModel(image, model, {}, folder / ENDPOINT)
    return Fetched(folder, (found,), tuple(left_out(job)))


def _fetch_endpoint(account: Account, name: str, folder: Path) -> Fetched:
    try:
        endpoint = describe(account, "endpoint", name)
    except NotThere as error:
        raise CloudError(
            f"there is neither a training job nor an endpoint named {name!r} in {account.region}"
        ) from error
    config = account.call(
        "sagemaker", "describe_endpoint_config", EndpointConfigName=endpoint["EndpointConfigName"]
    )
    variants = config["ProductionVariants"]
    for each in variants:
        if "ModelName" not in each:
            raise CloudError(
                f"the variant {each['VariantName']} has no model of its own (its inference "
                "components have); fetch the training job that made the model"
            )
    models = {
        each["ModelName"]: account.call("sagemaker", "describe_model", ModelName=each["ModelName"])
        for each in variants
    }
    _write(
        folder,
        {
            "DescribeEndpoint": endpoint,
            "DescribeEndpointConfig": config,
            "DescribeModel": list(models.values()),
        },
    )
    found: list[FetchedModel] = []
    for variant in variants:
        model = models[variant["ModelName"]]
        below = folder / variant["VariantName"] if len(variants) > 1 else folder
        parts = _containers(model)
        for number, part in enumerate(parts, start=1):
            place = below / str(number) if len(parts) > 1 else below
            found.append(_fetch_container(account, name, part, model, variant, place))
    return Fetched(folder, tuple(found))


def _containers(model: Mapping[str, Any]) -> tuple[Container, ...]:
    try:
        return containers(model)
    except InvalidModel as error:
        raise CloudError(f"the model {model['ModelName']} cannot be fetched: {error}") from error


def _fetch_container(
    account: Account,
    name: str,
    container: Container,
    model: Mapping[str, Any],
    variant: Mapping[str, Any],
    folder: Path,
) -> FetchedModel:
    folder.mkdir(parents=True, exist_ok=True)
    data = next((each for each in container.data if each.target == MODEL_FOLDER), container.models)
    files = _fetch_files(account, _place(data), folder) if data else None
    text = endpoint_toml(
        name,
        container.image,
        model=files.name if files else None,
        environment=container.environment,
        role=model.get("ExecutionRoleArn"),
        variant=variant,
    )
    spec = folder / ENDPOINT
    _private(spec, text)
    return FetchedModel(container.image, files, container.environment, spec, container.multi_model)


def _place(data: ModelData) -> S3Uri:
    """Of model data that the client may have written as https, and a prefix without its slash."""
    location = data.location
    return S3Uri(location.bucket, data.prefix) if data.layout == "prefix" else location


def _fetch_files(account: Account, uri: S3Uri, folder: Path) -> Path:
    """An archive or another object under its name, a prefix as a folder. Raises CloudError."""
    name = uri.key.rstrip("/").rpartition("/")[2] or "model"
    try:
        if uri.key and not uri.key.endswith("/"):
            download(account, uri, folder / name)
            return folder / name
        download_prefix(account, uri, folder / name)
    except NotThere as error:
        raise CloudError(f"the model {uri} is not there any more") from error
    return folder / name


def tags_of(account: Account, arn: str) -> dict[str, str]:
    """The tags of a resource. Raises CloudError."""
    found = account.call("sagemaker", "list_tags", ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for tag in found["Tags"] if not tag["Key"].startswith("aws:")}


def _write(folder: Path, document: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(document, default=str))
    for each in plain.values():
        for answer in each if isinstance(each, list) else [each]:
            answer.pop("ResponseMetadata", None)
    _private(folder / DESCRIPTION, json.dumps(plain, indent=2) + "\n")


def _private(path: Path, text: str) -> None:
    """For its owner only: environments hold secrets."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
