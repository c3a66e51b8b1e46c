"""Channels of a request: which options go together, and who gets what in which order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.channels import epoch_order
from sagelocal.domain.training_spec import TrainingSpec

KEYS = st.lists(st.integers(), unique=True)


def channel(name: str = "train", source: dict[str, Any] | None = None, **more: Any) -> Any:
    data = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data", **(source or {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": data}, **more}


def spec_of(*channels: Any, groups: tuple[str, ...] = ()) -> TrainingSpec:
    resources: dict[str, Any] = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    if groups:
        group = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
        resources = {"InstanceGroups": [{"InstanceGroupName": name, **group} for name in groups]}
    return TrainingSpec.of(
        {
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket"},
            "ResourceConfig": resources,
            "InputDataConfig": list(channels),
        }
    )


AUGMENTED = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["a"]}


@pytest.mark.parametrize(
    ("given_channel", "words"),
    [
        (
            channel(CompressionType="Gzip"),
            "Invalid compression type for channel train: File mode only supports NONE, got Gzip "
            "instead",
        ),
        (
            channel(CompressionType="Gzip", InputMode="FastFile"),
            "Invalid compression type for channel train: FastFile mode only supports NONE, got "
            "Gzip instead",
        ),
        (
            channel(RecordWrapperType="RecordIO"),
            "Invalid record wrapper type for channel train: File mode only supports NONE, got "
            "RecordIO instead",
        ),
        (
            channel(source=AUGMENTED),
            "Invalid S3DataType for channel train: AugmentedManifestFile is only supported with "
            "the input mode Pipe, got File instead",
        ),
        (
            channel(source=AUGMENTED, InputMode="FastFile"),
            "Invalid S3DataType for channel train: AugmentedManifestFile is only supported with "
            "the input mode Pipe, got FastFile instead",
        ),
        (
            channel(source={**AUGMENTED, "AttributeNames": []}, InputMode="Pipe"),
            "Invalid AttributeNames for channel train: AugmentedManifestFile needs at least one "
            "attribute name",
        ),
        (
            channel(source={"AttributeNames": ["a"]}, InputMode="Pipe"),
            "Invalid AttributeNames for channel train: they are only supported with the S3DataType "
            "AugmentedManifestFile, got S3Prefix instead",
        ),
        (
            channel(source={"InstanceGroupNames": ["g"]}),
            "Channel train names instance groups that ResourceConfig does not have: [g]; it has "
            "[homogeneousCluster]",
        ),
        (channel(".."), "Invalid channel name '..': it cannot be a folder's name"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given_channel: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text follows
        spec_of(given_channel)
    assert str(caught.value) == words


def test_all_channels_have_instance_groups_or_none() -> None:
    grouped = channel("a", source={"InstanceGroupNames": ["g"]})
    spec_of(grouped, groups=("g", "h"))
    words = r"Some channels have assigned instance groups: \[a\] while others not: \[b, c\]"
    with pytest.raises(ValueError, match=words):
        spec_of(grouped, channel("b"), channel("c"), groups=("g", "h"))


def test_options_of_pipes_are_read() -> None:
    options = {"CompressionType": "Gzip", "RecordWrapperType": "RecordIO", "InputMode": "Pipe"}
    given_channel = channel(source=AUGMENTED, ShuffleConfig={"Seed": 0}, **options)
    (found,) = spec_of(given_channel).channels
    assert (found.compression, found.record_wrapper, found.input_mode) == (
        "Gzip",
        "RecordIO",
        "Pipe",
    )
    assert (found.shuffle_seed, found.attribute_names) == (0, ("a",))
    assert spec_of(channel()).channels[0].shuffle_seed is None


@given(KEYS, st.none() | st.integers(), st.integers(0, 9), st.integers(1, 9))
def test_hosts_share_out_all_items_evenly_in_every_epoch(
    keys: list[int], seed: int | None, epoch: int, count: int
) -> None:
    parts = [epoch_order(keys, seed, epoch, index, count) for index in range(count)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(KEYS, st.integers(), st.integers(0, 9))
def test_the_order_is_the_seeds_and_the_epochs(keys: list[int], seed: int, epoch: int) -> None:
    assert epoch_order(keys, seed, epoch) == epoch_order(keys, seed, epoch)
    assert epoch_order(keys, None, epoch) == keys


def test_a_host_gets_other_items_in_the_next_epoch() -> None:
    keys = range(100)
    first, second = (set(epoch_order(keys, 1, epoch, 0, 2)) for epoch in (0, 1))
    assert first != second
