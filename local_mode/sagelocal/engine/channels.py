"""Input channels in File mode: objects of S3 as files below /opt/ml/input/data/CHANNEL.

Which objects and where: SageMaker API reference, S3DataSource. A prefix names a folder or the
beginning of keys; what follows the folder is kept as the path below the channel. The bytes share
their disk blocks with the object where the file system can (`ObjectStore.stage`), and a job that
overwrites its input never changes the object.

FastFile is served the same way: with S3 and job on one disk there is nothing to stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from sagelocal.domain.names import S3Uri
from sagelocal.domain.training_spec import Channel, Host, TrainingSpec
from sagelocal.engine.opt_ml import OptMl, channels_of
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectInfo, ObjectStore

Item = TypeVar("Item")


class InputDataError(Exception):
    """A channel's data is not there or cannot be laid out as files; fit for a FailureReason."""


@dataclass(frozen=True)
class Source:
    """An object and its path below the channel."""

    info: ObjectInfo
    path: PurePosixPath


def find_objects(objects: ObjectStore, channel: Channel) -> Sequence[Source]:
    """Every object of a channel, in key order. Raises InputDataError if there is none."""
    try:
        if channel.data_type == "ManifestFile":
            return _of_manifest(objects, channel)
        sources = _of_prefix(objects, channel.uri)
    except NoSuchBucket as error:
        raise InputDataError(_not_found(channel.uri) + f" ({error})") from error
    if not sources:
        raise InputDataError(_not_found(channel.uri))
    return sources


def shard(sources: Sequence[Item], index: int, count: int) -> Sequence[Item]:
    """The part of host `index` of `count`: every object goes to exactly one host."""
    return sources[index::count]


def stage(
    objects: ObjectStore,
    spec: TrainingSpec,
    host: Host,
    opt_ml: OptMl,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Lay out every channel of a host. `check` is called between objects and may raise.

    Raises InputDataError.
    """
    for channel in channels_of(spec, host):
        sources = find_objects(objects, channel)
        if channel.distribution == "ShardedByS3Key":
            peers = [h for h in spec.hosts if channel in channels_of(spec, h)]
            sources = shard(sources, peers.index(host), len(peers))
        folder = opt_ml.channel(channel.name)
        folder.mkdir(parents=True, exist_ok=True)
        if channel.data_type == "ManifestFile":
            manifest = objects.get(channel.uri.bucket, channel.uri.key)
            _stage_one(objects, manifest, opt_ml.data / f"{channel.name}-manifest")
        for source in sources:
            check()
            _stage_one(objects, source.info, folder / source.path)


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
        Source(info, relative_path(info.key, uri.key))
        for info in objects.list(uri.bucket, uri.key)
        if not info.key.endswith("/")
    ]


def _of_manifest(objects: ObjectStore, channel: Channel) -> Sequence[Source]:
    """The objects of `[{"prefix": "s3://b/p/"}, "a", "b/c", ...]`."""
    prefix, names = _read_manifest(objects, channel.uri)
    sources = []
    for name in names:
        key = prefix.key + name
        info = objects.head(prefix.bucket, key)
        if info is None:
            raise InputDataError(
                f"The manifest {channel.uri} of channel {channel.name!r} names "
                f"s3://{prefix.bucket}/{key}, which does not exist"
            )
        sources.append(Source(info, relative_path(key, prefix.key)))
    return sources


def _read_manifest(objects: ObjectStore, uri: S3Uri) -> tuple[S3Uri, Sequence[str]]:
    try:
        info, stream = objects.read(uri.bucket, uri.key)
    except NoSuchKey as error:
        raise InputDataError(_not_found(uri)) from error
    with stream:
        content = stream.read()
    try:
        return _parse_manifest(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise InputDataError(
            f'The manifest {info.bucket}/{info.key} is not of the form [{{"prefix": '
            f'"s3://bucket/folder/"}}, "key", ...]: {error}'
        ) from error


def _parse_manifest(manifest: Any) -> tuple[S3Uri, Sequence[str]]:
    head, *names = manifest
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not a string")
    return S3Uri.parse(head["prefix"]), names


def _stage_one(objects: ObjectStore, info: ObjectInfo, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _stage_newest(objects, info, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputDataError(
            f"s3://{info.bucket}/{info.key} cannot lie beside the other objects of its channel: "
            "a file would have to be a folder too, or two objects have one path"
        ) from error
    except NoSuchKey as error:
        raise InputDataError(
            f"s3://{info.bucket}/{info.key} was deleted while it was downloaded"
        ) from error


def _stage_newest(objects: ObjectStore, info: ObjectInfo, target: Path) -> None:
    while True:
        try:
            return objects.stage(info, target)
        except NoSuchKey:
            # Replaced since it was listed: take what is there now.
            newer = objects.get(info.bucket, info.key)
            if newer.file == info.file:
                raise
            info = newer


def _not_found(uri: S3Uri) -> str:
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists and that objects exist under that S3 prefix."
    )
