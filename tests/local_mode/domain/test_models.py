"""Model definitions: what they mean, and which are refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from sagelocal.domain.models import Container, InvalidModel, ModelData, containers, s3_location

IMAGE = {"Image": "image:1"}


def source(kind: str, compression: str, uri: str = "s3://b/k") -> dict[str, Any]:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a/model.tar.gz",
        "https://s3.us-west-2.amazonaws.com/bucket/a/model.tar.gz",
        "https://s3-us-west-2.amazonaws.com/bucket/a/model.tar.gz",
        "https://bucket.s3.amazonaws.com/a/model.tar.gz",
        "https://bucket.s3.eu-west-1.amazonaws.com/a/model%2Etar.gz",
    ],
)
def test_an_object_of_s3_can_be_named_in_each_of_its_ways(url: str) -> None:
    assert str(s3_location(url)) == "s3://bucket/a/model.tar.gz"


@pytest.mark.parametrize("url", ["https://example.com/model.tar.gz", "s3:///key", "https://"])
def test_what_is_not_in_s3_is_refused(url: str) -> None:
    with pytest.raises(InvalidModel, match=r"[Mm]odel data location"):
        s3_location(url)


def test_a_primary_container_is_called_primary_unless_it_has_a_host_name() -> None:
    assert containers({"PrimaryContainer": IMAGE}) == (Container("primary", "image:1"),)
    (named,) = containers({"PrimaryContainer": {**IMAGE, "ContainerHostname": "host"}})
    assert (named.label, named.hostname) == ("host", "host")


def test_the_containers_of_a_pipeline_are_called_by_their_position() -> None:
    chain = containers({"Containers": [IMAGE, {**IMAGE, "ContainerHostname": "b"}, IMAGE]})
    assert [each.label for each in chain] == ["container-1", "b", "container-3"]


def test_model_data_is_an_archive_an_object_or_a_prefix() -> None:
    def layout(**definition: Any) -> list[tuple[str, str]]:
        (container,) = containers({"PrimaryContainer": {**IMAGE, **definition}})
        return [(data.layout, data.target) for data in container.data]

    model = "/opt/ml/model"
    assert layout(ModelDataUrl="s3://b/k") == [("archive", model)]
    assert layout(ModelDataSource=source("S3Object", "Gzip")) == [("archive", model)]
    assert layout(ModelDataSource=source("S3Object", "None")) == [("object", model)]
    assert layout(ModelDataSource=source("S3Prefix", "None")) == [("prefix", model)]
    assert layout(ModelDataUrl="s3://b/k/", Mode="MultiModel") == [("prefix", model)]
    assert layout(ModelDataUrl="s3://b/k", ModelDataSource=source("S3Object", "Gzip")) == [
        ("archive", model)
    ]
    additional = {"ChannelName": "draft", **source("S3Prefix", "None")}
    assert layout(AdditionalModelDataSources=[additional]) == [
        ("prefix", "/opt/ml/additional-model-data-sources/draft")
    ]


def test_a_multi_model_container_has_its_models_below_a_prefix() -> None:
    def container(**more: Any) -> Container:
        definition = {**IMAGE, "ModelDataUrl": "s3://b/k", "Mode": "MultiModel", **more}
        (found,) = containers({"PrimaryContainer": definition})
        return found

    assert container().models == ModelData("s3://b/k", "prefix")
    assert container().files == ()
    assert container().keep_models
    assert container(MultiModelConfig={"ModelCacheSetting": "Enabled"}).keep_models
    assert not container(MultiModelConfig={"ModelCacheSetting": "Disabled"}).keep_models


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {"PrimaryContainer": {**IMAGE, "Mode": "MultiModel"}},
            "'primary' in Mode MultiModel has no ModelDataUrl",
        ),
        ({}, "Exactly one of PrimaryContainer and Containers"),
        ({"PrimaryContainer": IMAGE, "Containers": [IMAGE]}, "Exactly one of"),
        ({"Containers": [IMAGE] * 16}, "at most 15 containers, not 16"),
        ({"PrimaryContainer": {"ModelDataUrl": "s3://b/k"}}, "'primary' has no Image"),
        (
            {"Containers": [{**IMAGE, "ContainerHostname": "a"}] * 2},
            "ContainerHostname must be unique, 'a'",
        ),
        ({"PrimaryContainer": {"ModelPackageName": "p"}}, "no model packages here"),
        ({"PrimaryContainer": {**IMAGE, "ModelDataUrl": "s3://b"}}, "names no object"),
        (
            {"PrimaryContainer": {**IMAGE, "ModelDataSource": source("S3Prefix", "Gzip")}},
            "S3DataType S3Prefix cannot have CompressionType Gzip",
        ),
        (
            {
                "PrimaryContainer": {
                    **IMAGE,
                    "ModelDataUrl": "s3://b/other",
                    "ModelDataSource": source("S3Object", "Gzip"),
                }
            },
            "must not both be given",
        ),
    ],
)
def test_a_model_that_cannot_be_is_refused(model: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidModel, match=words):
        containers(model)


def test_a_prefix_stands_for_what_is_below_it() -> None:
    assert ModelData("s3://b/tree", "prefix").prefix == "tree/"
    assert ModelData("s3://b/tree/", "prefix").prefix == "tree/"
    assert ModelData("s3://b", "prefix").prefix == ""


def test_a_containers_environment_is_not_shown() -> None:
    assert "secret" not in repr(Container("primary", "image:1", {"TOKEN": "secret"}))


def test_a_container_is_read_back_from_its_document() -> None:
    (container,) = containers({"PrimaryContainer": {**IMAGE, "ModelDataUrl": "s3://b/k"}})
    assert Container.from_document(asdict(container)) == container
