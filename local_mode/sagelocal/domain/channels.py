"""The channels of a training job: what InputDataConfig asks for, and what of it fits together.

`channels_of_request` reads a request that the service model accepted and raises ValueError, in
words fit for a ValidationException. Which options go together: SageMaker API reference, `Channel`
and `S3DataSource`; developer guide, "Access Training Data" and "Provide Dataset Metadata to
Training Jobs with an Augmented Manifest File".
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sagelocal.domain.names import S3Uri

InputMode = Literal["File", "FastFile", "Pipe"]
DataType = Literal["S3Prefix", "ManifestFile", "AugmentedManifestFile", "Converse"]
Distribution = Literal["FullyReplicated", "ShardedByS3Key"]
Compression = Literal["None", "Gzip"]
RecordWrapper = Literal["None", "RecordIO"]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Channel:
    """One entry of InputDataConfig: objects in S3 that appear below /opt/ml/input/data/NAME."""

    name: str
    uri: S3Uri
    data_type: DataType = "S3Prefix"
    distribution: Distribution = "FullyReplicated"
    input_mode: InputMode = "File"
    content_type: str | None = None
    compression: Compression = "None"
    record_wrapper: RecordWrapper = "None"
    shuffle_seed: int | None = None
    attribute_names: tuple[str, ...] = ()
    instance_groups: tuple[str, ...] = ()


def channels_of_request(request: Mapping[str, Any], default_mode: str) -> tuple[Channel, ...]:
    """The channels of a CreateTrainingJob request. Raises ValueError."""
    channels = tuple(_channel(c, default_mode) for c in request.get("InputDataConfig", ()))
    names = [channel.name for channel in channels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Channel names must be unique; these are given twice: {twice}")
    for channel in channels:
        _check_name(channel)
        _check_options(channel)
    return channels


def check_instance_groups(channels: Sequence[Channel], groups: Sequence[str]) -> None:
    """All channels name instance groups or none does, and only groups that the job has."""
    assigned = [channel.name for channel in channels if channel.instance_groups]
    others = [channel.name for channel in channels if not channel.instance_groups]
    if assigned and others:
        raise ValueError(
            f"Some channels have assigned instance groups: [{', '.join(assigned)}] while others "
            f"not: [{', '.join(others)}]"
        )
    for channel in channels:
        unknown = [name for name in channel.instance_groups if name not in groups]
        if unknown:
            raise ValueError(
                f"Channel {channel.name} names instance groups that ResourceConfig does not have: "
                f"[{', '.join(unknown)}]; it has [{', '.join(groups)}]"
            )


def epoch_order(
    items: Sequence[Item], seed: int | None, epoch: int, index: int = 0, count: int = 1
) -> list[Item]:
    """What host `index` of `count` gets in an epoch, in order.

    With a seed the whole is shuffled anew for each epoch before it is dealt out, so that a host
    gets other items in the next epoch; all hosts agree without asking one another.
    """
    order = list(items)
    if seed is not None:
        random.Random(f"{seed} {epoch}").shuffle(order)
    return order[index::count]


def s3_uri(uri: str) -> S3Uri:
    """Raises ValueError in words for the user."""
    try:
        return S3Uri.parse(uri)
    except ValueError as error:
        raise ValueError(f"Invalid S3 URI {uri!r}; it must look like s3://bucket/key") from error


def _channel(channel: Mapping[str, Any], default_mode: str) -> Channel:
    name = channel["ChannelName"]
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        given = ", ".join(channel["DataSource"]) or "nothing"
        raise ValueError(
            f"Channel {name!r} needs an S3DataSource (it has {given}): file systems and data sets "
            "cannot be read by sagelocal"
        )
    shuffle = channel.get("ShuffleConfig")
    return Channel(
        name=name,
        uri=s3_uri(source["S3Uri"]),
        data_type=source["S3DataType"],
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        input_mode=channel.get("InputMode", default_mode),
        content_type=channel.get("ContentType"),
        compression=channel.get("CompressionType", "None"),
        record_wrapper=channel.get("RecordWrapperType", "None"),
        shuffle_seed=None if shuffle is None else shuffle["Seed"],
        attribute_names=tuple(source.get("AttributeNames", ())),
        instance_groups=tuple(source.get("InstanceGroupNames", ())),
    )


def _check_name(channel: Channel) -> None:
    if not channel.name.strip("."):
        raise ValueError(f"Invalid channel name {channel.name!r}: it cannot be a folder's name")


def _check_options(channel: Channel) -> None:
    mode = channel.input_mode
    if mode != "Pipe" and channel.compression != "None":
        raise ValueError(
            f"Invalid compression type for channel {channel.name}: {mode} mode only supports NONE, "
            f"got {channel.compression} instead"
        )
    if mode != "Pipe" and channel.record_wrapper != "None":
        raise ValueError(
            f"Invalid record wrapper type for channel {channel.name}: {mode} mode only supports "
            f"NONE, got {channel.record_wrapper} instead"
        )
    if channel.data_type == "AugmentedManifestFile":
        _check_augmented(channel)
    elif channel.attribute_names:
        raise ValueError(
            f"Invalid AttributeNames for channel {channel.name}: they are only supported with the "
            f"S3DataType AugmentedManifestFile, got {channel.data_type} instead"
        )


def _check_augmented(channel: Channel) -> None:
    if channel.input_mode != "Pipe":
        raise ValueError(
            f"Invalid S3DataType for channel {channel.name}: AugmentedManifestFile is only "
            f"supported with the input mode Pipe, got {channel.input_mode} instead"
        )
    if not channel.attribute_names:
        raise ValueError(
            f"Invalid AttributeNames for channel {channel.name}: AugmentedManifestFile needs at "
            "least one attribute name"
        )
