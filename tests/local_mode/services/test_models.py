"""Models and endpoint configurations through boto3: what is kept, and the words of refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/Test"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/mine:1"


@pytest.fixture
def sagemaker(aws: Callable[..., Any]) -> Any:
    return aws("sagemaker")


def refused(operation: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        operation(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


def create_model(sagemaker: Any, name: str = "Model", **more: Any) -> None:
    request: dict[str, Any] = {"PrimaryContainer": {"Image": IMAGE}, **more}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **request)


def variant(model: str = "Model", **more: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        **more,
    }


def test_a_model_is_described_as_it_was_created(sagemaker: Any, aws: Callable[..., Any]) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=b"")
    container = {
        "Image": IMAGE,
        "ModelDataUrl": "s3://models/model.tar.gz",
        "Environment": {"A": "1"},
    }
    sagemaker.create_model(
        ModelName="Model",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        Tags=[{"Key": "team", "Value": "ml"}],
    )
    found = sagemaker.describe_model(ModelName="Model")
    del found["ResponseMetadata"]
    assert found.pop("CreationTime").year > 2000
    assert found == {
        "ModelName": "Model",
        "ModelArn": f"{ARN}:model/model",
        "PrimaryContainer": {"Mode": "SingleModel", **container},
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": False,
    }
    tags = sagemaker.list_tags(ResourceArn=f"{ARN}:model/model")["Tags"]
    assert tags == [{"Key": "team", "Value": "ml"}]


def test_model_data_must_be_there(sagemaker: Any) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://nowhere/model.tar.gz"}
    assert (
        refused(
            sagemaker.create_model,
            ModelName="m",
            ExecutionRoleArn=ROLE,
            PrimaryContainer=container,
        )
        == "Could not find model data at s3://nowhere/model.tar.gz."
    )


def test_a_models_name_can_be_given_once(sagemaker: Any) -> None:
    create_model(sagemaker)
    assert (
        refused(
            sagemaker.create_model,
            ModelName="Model",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE},
        )
        == f'Cannot create already existing model "{ARN}:model/model".'
    )


def test_a_model_that_is_not_there(sagemaker: Any) -> None:
    words = f'Could not find model "{ARN}:model/nobody".'
    assert refused(sagemaker.describe_model, ModelName="nobody") == words
    assert refused(sagemaker.delete_model, ModelName="nobody") == words
    assert (
        refused(
            sagemaker.create_endpoint_config,
            EndpointConfigName="c",
            ProductionVariants=[variant("nobody")],
        )
        == words
    )


def test_models_are_listed_in_pages(sagemaker: Any) -> None:
    for name in ("b-one", "a-two", "c-one"):
        create_model(sagemaker, name)
    pages = sagemaker.get_paginator("list_models").paginate(
        SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [m["ModelName"] for page in pages for m in page["Models"]] == ["a-two", "b-one", "c-one"]
    sagemaker.delete_model(ModelName="b-one")
    found = sagemaker.list_models(NameContains="one")["Models"]
    assert [m["ModelName"] for m in found] == ["c-one"]


def test_a_configuration_is_described_as_it_was_created(sagemaker: Any) -> None:
    create_model(sagemaker)
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": "s3://b/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName="Config", ProductionVariants=[variant()], DataCaptureConfig=capture
    )
    found = sagemaker.describe_endpoint_config(EndpointConfigName="Config")
    del found["ResponseMetadata"], found["CreationTime"]
    assert found == {
        "EndpointConfigName": "Config",
        "EndpointConfigArn": f"{ARN}:endpoint-config/config",
        "ProductionVariants": [variant(InitialVariantWeight=1.0)],
        "DataCaptureConfig": capture,
        "EnableNetworkIsolation": False,
    }
    (listed,) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert listed["EndpointConfigName"] == "Config"


def test_what_is_not_run_here_is_kept_and_refused_at_deployment(sagemaker: Any) -> None:
    create_model(sagemaker)
    shadow = variant(VariantName="shadow")
    sagemaker.create_endpoint_config(
        EndpointConfigName="later",
        ProductionVariants=[variant()],
        ShadowProductionVariants=[shadow],
    )
    found = sagemaker.describe_endpoint_config(EndpointConfigName="later")
    assert [each["VariantName"] for each in found["ShadowProductionVariants"]] == ["shadow"]
    assert refused(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="later") == (
        'The endpoint configuration "later" asks for ShadowProductionVariants, which is not run '
        "here yet. Use a configuration without it."
    )
    assert sagemaker.list_endpoints()["Endpoints"] == []


def test_a_configurations_name_can_be_given_once_and_is_free_when_deleted(sagemaker: Any) -> None:
    create_model(sagemaker)
    request = {"EndpointConfigName": "c", "ProductionVariants": [variant()]}
    sagemaker.create_endpoint_config(**request)
    assert refused(sagemaker.create_endpoint_config, **request) == (
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".'
    )
    sagemaker.delete_endpoint_config(EndpointConfigName="c")
    sagemaker.create_endpoint_config(**request)


def test_a_configuration_or_endpoint_that_is_not_there(sagemaker: Any) -> None:
    words = f'Could not find endpoint configuration "{ARN}:endpoint-config/nobody".'
    for operation in (sagemaker.describe_endpoint_config, sagemaker.delete_endpoint_config):
        assert refused(operation, EndpointConfigName="nobody") == words
    assert (
        refused(sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="nobody") == words
    )
    for operation in (sagemaker.describe_endpoint, sagemaker.delete_endpoint):
        assert refused(operation, EndpointName="nobody") == (
            f'Could not find endpoint "{ARN}:endpoint/nobody".'
        )


def test_a_configuration_that_cannot_be_is_refused(sagemaker: Any) -> None:
    create_model(sagemaker)
    assert "neither InstanceType nor ServerlessConfig" in refused(
        sagemaker.create_endpoint_config,
        EndpointConfigName="c",
        ProductionVariants=[{"VariantName": "v", "ModelName": "Model"}],
    )
