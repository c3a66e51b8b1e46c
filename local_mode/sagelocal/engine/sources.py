"""Which objects a channel means: those below a prefix, or those that a manifest names.

Forms: SageMaker API reference, `S3DataSource`; developer guide, "Provide Dataset Metadata to
Training Jobs with an Augmented Manifest File".

    ManifestFile            [{"prefix": "s3://bucket/folder/"}, "key", "deep/key", ...]
    AugmentedManifestFile   {"image-ref": "s3://bucket/a.jpg", "label": 1}   one object to a line
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sagelocal.domain.channels import Channel
from sagelocal.domain.names import S3Uri
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectInfo, ObjectStore

# An attribute of this ending is the URI of an object, whose bytes take its place.
REFERENCE_SUFFIX = "-ref"


class InputDataError(Exception):
    """A channel's data is not there or cannot be given to a job; fit for a FailureReason."""


@dataclass(frozen=True)
class Source:
    """An object, and the prefix that it was found below."""

    info: ObjectInfo
    prefix: str

    @property
    def path(self) -> PurePosixPath:
        """Where it lies below its channel. Raises InputDataError."""
        return relative_path(self.info.key, self.prefix)


# One line of an augmented manifest: texts, and objects in the place of references.
Record = tuple[str | ObjectInfo, ...]


def find_objects(objects: ObjectStore, channel: Channel) -> Sequence[Source]:
    """Every object of a channel, in the order of keys or of the manifest.

    Raises InputDataError if there is none.
    """
    try:
        if channel.data_type == "ManifestFile":
            return _of_manifest(objects, channel)
        sources = _of_prefix(objects, channel.uri)
    except NoSuchBucket as error:
        raise InputDataError(_not_found(channel.uri) + f" ({error})") from error
    if not sources:
        raise InputDataError(_not_found(channel.uri))
    return sources


def find_manifest(objects: ObjectStore, channel: Channel) -> ObjectInfo:
    """The manifest, of either kind, that a channel names. Raises InputDataError."""
    try:
        return objects.get(channel.uri.bucket, channel.uri.key)
    except (NoSuchBucket, NoSuchKey) as error:
        raise InputDataError(_not_found(channel.uri)) from error


def find_records(objects: ObjectStore, channel: Channel) -> Sequence[Record]:
    """Every line of an augmented manifest, as what its attributes stand for, in their order.

    Raises InputDataError, naming the line.
    """
    text = _read(objects, channel.uri)
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"The augmented manifest {channel.uri} is not UTF-8: {error}"
        ) from None
    return [
        _record(objects, channel, f"Line {number} of the augmented manifest {channel.uri}", line)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def relative_path(key: str, prefix: str) -> PurePosixPath:
    """Where an object lies below its channel.

    >>> relative_path("data/train/a.csv", "data/train")
    PurePosixPath('a.csv')
    >>> relative_path("data/train.csv", "data/tr")
    PurePosixPath('train.csv')
    """
    folder = prefix if prefix.endswith("/") else prefix.rpartition("/")[0]
    if key.startswith(prefix + "/"):
        folder = prefix
    rest = key.removeprefix(folder) if folder else key
    path = PurePosixPath(rest.lstrip("/"))
    if ".." in path.parts or path == PurePosixPath():
        raise InputDataError(f"The key {key!r} cannot be the name of a file below a channel")
    return path


def _of_prefix(objects: ObjectStore, uri: S3Uri) -> Sequence[Source]:
    return [
        Source(info, uri.key)
        for info in objects.list(uri.bucket, uri.key)
        if not info.key.endswith("/")
    ]


def _of_manifest(objects: ObjectStore, channel: Channel) -> Sequence[Source]:
    content = _read(objects, channel.uri)
    try:
        prefix, names = _parse_manifest(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise InputDataError(
            f'The manifest {channel.uri} is not of the form [{{"prefix": "s3://bucket/folder/"}}, '
            f'"key", ...]: {error}'
        ) from error
    at = f"The manifest {channel.uri} of channel {channel.name!r}"
    return [
        Source(_named(objects, S3Uri(prefix.bucket, prefix.key + name), at), prefix.key)
        for name in names
    ]


def _parse_manifest(manifest: Any) -> tuple[S3Uri, Sequence[str]]:
    head, *names = manifest
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not a string")
    return S3Uri.parse(head["prefix"]), names


def _record(objects: ObjectStore, channel: Channel, at: str, line: str) -> Record:
    try:
        attributes = json.loads(line)
    except ValueError as error:
        raise InputDataError(f"{at} is not JSON: {error}") from error
    if not isinstance(attributes, dict):
        raise InputDataError(f"{at} is no JSON object but {line.strip()[:80]!r}")
    missing = [name for name in channel.attribute_names if name not in attributes]
    if missing:
        raise InputDataError(
            f"{at} has no attribute {missing[0]!r}, which AttributeNames of channel "
            f"{channel.name!r} asks for; it has {', '.join(map(repr, attributes)) or 'none'}"
        )
    return tuple(
        _item(objects, f"{at}, attribute {name!r},", name, attributes[name])
        for name in channel.attribute_names
    )


def _item(objects: ObjectStore, at: str, name: str, value: Any) -> str | ObjectInfo:
    if name.endswith(REFERENCE_SUFFIX):
        try:
            uri = S3Uri.parse(str(value))
        except ValueError as error:
            raise InputDataError(f"{at} is {error}") from error
        return _named(objects, uri, at)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(objects: ObjectStore, uri: S3Uri, at: str) -> ObjectInfo:
    """The object that a manifest names."""
    try:
        return objects.get(uri.bucket, uri.key)
    except (NoSuchBucket, NoSuchKey) as error:
        raise InputDataError(f"{at} names {uri}, which does not exist") from error


def _read(objects: ObjectStore, uri: S3Uri) -> bytes:
    try:
        _, stream = objects.read(uri.bucket, uri.key)
    except (NoSuchBucket, NoSuchKey) as error:
        raise InputDataError(_not_found(uri)) from error
    with stream:
        return stream.read()


def _not_found(uri: S3Uri) -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists and that objects exist under that S3 prefix."
    )
