"""What a model is made of: containers, and the files each of them finds.

A model is kept as the CreateModel request that made it; the functions here read that request.
Refusals are `InvalidModel`, in words for whoever sent it.

Sources: the botocore shapes ContainerDefinition and S3ModelDataSource; the developer guide pages
"Use Your Own Inference Code with Hosting Services" and "Deploy uncompressed models".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from sagelocal.domain.names import S3Uri

MODEL_FOLDER = "/opt/ml/model"
MODELS_FOLDER = "/opt/ml/models"
ADDITIONAL_FOLDER = "/opt/ml/additional-model-data-sources"
LARGEST_PIPELINE = 15
# What an image says that can have many models.
MULTI_MODEL_LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"

Layout = Literal["archive", "object", "prefix"]

_VIRTUAL_HOST = re.compile(r"^(?P<bucket>.+)\.s3[.-][a-z0-9.-]*amazonaws\.com(\.cn)?$")
_PATH_HOST = re.compile(r"^s3[.-][a-z0-9.-]*amazonaws\.com(\.cn)?$")


class InvalidModel(ValueError):
    """A model definition that cannot be accepted; the text says which part and why."""


@dataclass(frozen=True)
class ModelData:
    """Files that a container finds in the folder `target`.

    `archive` is one model.tar.gz that is extracted there, `object` one object that is put there
    under its own name, `prefix` every object below a prefix. `url` is what the client wrote.
    """

    url: str
    layout: Layout
    target: str = MODEL_FOLDER

    @property
    def location(self) -> S3Uri:
        """Where it is. Raises InvalidModel."""
        return s3_location(self.url)

    @property
    def prefix(self) -> str:
        """What the keys of a `prefix` begin with; a folder's slash is added where it is missing."""
        key = self.location.key
        return key if not key or key.endswith("/") else f"{key}/"

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        return cls(**document)


@dataclass(frozen=True)
class Container:
    """One container of a model. `label` is what error messages call it, `hostname` its DNS name.

    One that is `multi_model` has the archives below a prefix as its models, each loaded when it is
    called; with `keep_models` they stay in memory after that.
    """

    label: str
    image: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    data: tuple[ModelData, ...] = ()
    hostname: str | None = None
    multi_model: bool = False
    keep_models: bool = True

    @property
    def models(self) -> ModelData | None:
        """The prefix with the archives of a multi-model container."""
        return self.data[0] if self.multi_model else None

    @property
    def files(self) -> tuple[ModelData, ...]:
        """What lies in the container's folders from its start."""
        return self.data[1:] if self.multi_model else self.data

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`, through JSON."""
        data = tuple(ModelData.from_document(each) for each in document["data"])
        return cls(**{**document, "data": data})


def s3_location(url: str) -> S3Uri:
    """The object or prefix behind an s3:// or https:// URL of S3. Raises InvalidModel."""
    if url.startswith("s3://"):
        try:
            return S3Uri.parse(url)
        except ValueError as error:
            raise InvalidModel(f"Invalid model data location: {error}") from error
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    host = parts.hostname or ""
    if _PATH_HOST.match(host) and path:
        bucket, _, key = path.partition("/")
        return S3Uri(bucket, key)
    if virtual := _VIRTUAL_HOST.match(host):
        return S3Uri(virtual["bucket"], path)
    raise InvalidModel(
        f"Model data location {url!r} does not name an object in S3: "
        "use s3://bucket/key or https://s3.REGION.amazonaws.com/bucket/key"
    )


def containers(model: Mapping[str, Any]) -> tuple[Container, ...]:
    """The containers of a CreateModel request, in calling order. Raises InvalidModel."""
    primary, chain = model.get("PrimaryContainer"), model.get("Containers")
    if bool(primary) == bool(chain):
        raise InvalidModel("Exactly one of PrimaryContainer and Containers must be given")
    definitions: Sequence[Mapping[str, Any]] = [primary] if primary else chain or ()
    if len(definitions) > LARGEST_PIPELINE:
        raise InvalidModel(
            f"A model has at most {LARGEST_PIPELINE} containers, not {len(definitions)}"
        )
    parsed = tuple(
        _container(each, "primary" if primary else f"container-{number}")
        for number, each in enumerate(definitions, start=1)
    )
    labels = [each.label for each in parsed]
    if repeated := {label for label in labels if labels.count(label) > 1}:
        raise InvalidModel(f"ContainerHostname must be unique, {min(repeated)!r} is given twice")
    return parsed


def is_direct(model: Mapping[str, Any]) -> bool:
    """Whether each call names one container, instead of passing through all of them."""
    return bool(model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct")


def _container(definition: Mapping[str, Any], position: str) -> Container:
    image = definition.get("Image")
    if definition.get("ModelPackageName"):
        raise InvalidModel(
            f"ModelPackageName {definition['ModelPackageName']!r}: there are no model packages "
            "here; give Image and ModelDataUrl instead"
        )
    if not image:
        raise InvalidModel(f"The container {position!r} has no Image")
    hostname = definition.get("ContainerHostname")
    multi_model = definition.get("Mode") == "MultiModel"
    data = _data(definition)
    if multi_model and not (data and data[0].layout == "prefix"):
        raise InvalidModel(
            f"The container {hostname or position!r} in Mode MultiModel has no ModelDataUrl; give "
            "the S3 prefix below which its model archives are"
        )
    return Container(
        label=hostname or position,
        image=image,
        environment=dict(definition.get("Environment", {})),
        data=data,
        hostname=hostname,
        multi_model=multi_model,
        keep_models=definition.get("MultiModelConfig", {}).get("ModelCacheSetting") != "Disabled",
    )


def _data(definition: Mapping[str, Any]) -> tuple[ModelData, ...]:
    url = definition.get("ModelDataUrl")
    source = definition.get("ModelDataSource", {}).get("S3DataSource")
    found = []
    if url:
        # A client that describes a model and creates it again sends both, and they agree.
        if source and source["S3Uri"] != url:
            raise InvalidModel("ModelDataUrl and ModelDataSource must not both be given")
        layout: Layout = "prefix" if definition.get("Mode") == "MultiModel" else "archive"
        found.append(ModelData(url, layout))
    elif source:
        found.append(_source(source, MODEL_FOLDER))
    for additional in definition.get("AdditionalModelDataSources", ()):
        target = f"{ADDITIONAL_FOLDER}/{additional['ChannelName']}"
        found.append(_source(additional["S3DataSource"], target))
    for each in found:
        if not each.location.key and each.layout != "prefix":
            raise InvalidModel(f"Model data location {each.url!r} names no object")
    return tuple(found)


def _source(source: Mapping[str, Any], target: str) -> ModelData:
    for member in ("ManifestS3Uri", "HubAccessConfig"):
        if source.get(member):
            raise InvalidModel(f"S3DataSource.{member} is not supported here; name the S3Uri only")
    kind, compression = source["S3DataType"], source["CompressionType"]
    layouts: Mapping[tuple[str, str], Layout] = {
        ("S3Object", "Gzip"): "archive",
        ("S3Object", "None"): "object",
        ("S3Prefix", "None"): "prefix",
    }
    if (kind, compression) not in layouts:
        raise InvalidModel(
            f"S3DataType {kind} cannot have CompressionType {compression}: "
            "a prefix holds uncompressed files"
        )
    return ModelData(source["S3Uri"], layouts[kind, compression], target)
