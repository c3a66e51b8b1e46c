"""An endpoint's life, through a real plane, real clients and real containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT_ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def test_a_deployed_model_answers_with_the_bytes_it_was_given(hosting: Any) -> None:
    hosting.deploy("echo")
    body = bytes(range(256)) * 10
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo", Body=body, ContentType="application/x-recordio-protobuf"
    )
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "application/x-recordio-protobuf"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_model_data_lies_in_opt_ml_model(hosting: Any) -> None:
    hosting.deploy("echo")
    assert hosting.invoke("echo", b"file weights") == b"\x00\x01\xff"


def test_a_prefix_of_uncompressed_files_lies_in_opt_ml_model(hosting: Any) -> None:
    for key in ("tree/a", "tree/code/inference.py", "tree-not/b"):
        hosting.s3.put_object(Bucket="models", Key=key, Body=key.encode())
    source = {"S3Uri": "s3://models/tree/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {**hosting.container(), "ModelDataSource": {"S3DataSource": source}}
    del container["ModelDataUrl"]
    hosting.deploy("echo", container)
    assert json.loads(hosting.invoke("echo", b"files ")) == ["a", "code/inference.py"]
    assert hosting.invoke("echo", b"file a") == b"tree/a"


def test_a_container_is_told_its_environment_and_region(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(COLOUR="blue"))
    assert hosting.invoke("echo", b"environment COLOUR") == b"blue"
    assert hosting.invoke("echo", b"environment AWS_REGION") == b"us-east-1"


def test_describe_endpoint_tells_what_is_deployed(hosting: Any) -> None:
    hosting.create("Echo")
    assert hosting.describe("Echo")["EndpointStatus"] == "Creating"
    found = hosting.await_status("Echo", "InService")
    assert found["EndpointArn"] == f"{ACCOUNT_ARN}:endpoint/echo"
    assert found["EndpointConfigName"] == "Echo"
    (variant,) = found["ProductionVariants"]
    assert variant.pop("DeployedImages")[0]["SpecifiedImage"] == "sagelocal/test-echo:1"
    assert variant == {
        "VariantName": "AllTraffic",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }
    for absent in ("FailureReason", "DataCaptureConfig", "PendingDeploymentSummary"):
        assert absent not in found


def test_containers_log_to_a_stream_of_their_instance(hosting: Any) -> None:
    hosting.deploy("echo")
    ((stream, lines),) = hosting.log_lines("echo").items()
    assert stream.startswith("AllTraffic/i-")
    assert lines[0] == "starting with"
    assert lines[1].startswith("healthy at ")


def test_a_deleted_endpoint_is_gone_at_once_and_its_name_is_free(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.sagemaker.delete_endpoint(EndpointName="echo")
    with pytest.raises(ClientError, match=r"Endpoint echo of account 000000000000 not found\."):
        hosting.invoke("echo")
    assert hosting.await_gone("echo", seconds=5).endswith(
        f'Could not find endpoint "{ACCOUNT_ARN}:endpoint/echo".'
    )
    assert not list((hosting.plane.data_dir / "endpoints").glob("*/*"))
    hosting.sagemaker.create_endpoint(EndpointName="echo", EndpointConfigName="echo")
    hosting.await_status("echo", "InService")


def test_an_endpoint_outlives_its_model_and_configuration(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName="echo")
    hosting.sagemaker.delete_model(ModelName="echo")
    assert hosting.describe("echo")["EndpointConfigName"] == "echo"
    assert hosting.invoke("echo") == b"hello"


def test_a_container_that_ends_at_its_start_fails_the_endpoint_at_once(hosting: Any) -> None:
    hosting.create("broken", hosting.container(START="exit"))
    reason = hosting.await_status("broken", "Failed", seconds=10)["FailureReason"]
    assert reason.startswith(
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint. The container ended with exit "
        "code 7 before it answered."
    )
    assert "the model is broken" in reason


def test_a_container_that_says_that_it_failed_is_not_waited_for(hosting: Any) -> None:
    hosting.create("broken", hosting.container(START="failed:there is no model"))
    reason = hosting.await_status("broken", "Failed", seconds=60)["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert "The container says: there is no model" in reason


def test_a_container_that_takes_too_much_memory_fails_the_endpoint(
    start_hosting: Callable[..., Any],
) -> None:
    hosting = start_hosting(max_memory_bytes=128 * 1024**2)
    hosting.create("hungry", hosting.container(START="hungry:600"))
    reason = hosting.await_status("hungry", "Failed", seconds=15)["FailureReason"]
    assert "The container was killed because it ran out of memory before it answered" in reason


@pytest.mark.parametrize(
    ("start", "problem"), [("sick", "it answered 503"), ("mute", "did not answer within 0.3")]
)
def test_a_container_that_is_never_healthy_fails_the_endpoint(
    start_hosting: Callable[..., Any], start: str, problem: str
) -> None:
    hosting = start_hosting(ping_timeout_seconds=0.3, startup_timeout_seconds=1.5)
    hosting.create("never", hosting.container(START=start))
    reason = hosting.await_status("never", "Failed", seconds=15)["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert problem in reason


def test_a_failed_endpoint_can_only_be_deleted(hosting: Any) -> None:
    hosting.create("broken", hosting.container(START="exit"))
    hosting.await_status("broken", "Failed")
    with pytest.raises(ClientError, match=r"in status Failed. Delete it and create it again\."):
        hosting.sagemaker.update_endpoint(EndpointName="broken", EndpointConfigName="broken")
    with pytest.raises(ClientError, match=r"Endpoint broken of account 000000000000 not found"):
        hosting.invoke("broken")
    hosting.sagemaker.delete_endpoint(EndpointName="broken")
    hosting.await_gone("broken")


def test_model_data_that_was_deleted_fails_the_endpoint(hosting: Any) -> None:
    hosting.configure("lost", hosting.container())
    hosting.s3.delete_object(Bucket="models", Key="m/model.tar.gz")
    hosting.sagemaker.create_endpoint(EndpointName="lost", EndpointConfigName="lost")
    assert hosting.await_status("lost", "Failed")["FailureReason"] == (
        'Failed to download model data for container "primary" from URL: '
        '"s3://models/m/model.tar.gz". Please ensure that there is an object located at the URL '
        "and that the role passed to CreateModel has permissions to download the object."
    )


def test_model_data_that_is_no_archive_fails_the_endpoint(hosting: Any) -> None:
    hosting.s3.put_object(Bucket="models", Key="m/model.tar.gz", Body=b"not an archive")
    hosting.create("bad")
    reason = hosting.await_status("bad", "Failed")["FailureReason"]
    assert reason.startswith(
        'Failed to extract model data archive for container "primary" from URL '
        '"s3://models/m/model.tar.gz". Please ensure that the object located at the URL is a '
        "valid tar.gz archive."
    )


def test_an_unknown_image_fails_the_endpoint_and_says_which_are_known(hosting: Any) -> None:
    hosting.create("unknown", hosting.container(image="nobody/knows:1"))
    reason = hosting.await_status("unknown", "Failed")["FailureReason"]
    assert "nobody/knows:1" in reason
    assert "test-echo" in reason


def test_an_endpoint_that_is_being_created_cannot_be_changed(hosting: Any) -> None:
    hosting.create("echo", hosting.container(START="slow:3"))
    refusal = f'Cannot update in-progress endpoint "{ACCOUNT_ARN}:endpoint/echo"\\.'
    with pytest.raises(ClientError, match=refusal):
        hosting.sagemaker.delete_endpoint(EndpointName="echo")
    with pytest.raises(ClientError, match=refusal):
        hosting.sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName="echo")
    with pytest.raises(ClientError, match=r"Endpoint echo of account 000000000000 not found\."):
        hosting.invoke("echo")
    hosting.await_status("echo", "InService")


def test_a_name_can_be_given_once(hosting: Any) -> None:
    hosting.deploy("echo")
    for name in ("echo", "ECHO"):
        with pytest.raises(ClientError) as refused:
            hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="echo")
        assert refused.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": f'Cannot create already existing endpoint "{ACCOUNT_ARN}:endpoint/echo".',
        }


def test_endpoints_are_listed_by_name_status_and_age_in_pages(hosting: Any) -> None:
    for name in ("b-one", "a-two", "c-one"):
        hosting.deploy(name)
    hosting.create("broken", hosting.container(START="exit"))
    hosting.await_status("broken", "Failed")

    def names(**query: Any) -> list[str]:
        pages = hosting.sagemaker.get_paginator("list_endpoints").paginate(**query)
        return [each["EndpointName"] for page in pages for each in page["Endpoints"]]

    assert names() == ["broken", "c-one", "a-two", "b-one"]
    assert names(SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 1}) == [
        "a-two",
        "b-one",
        "broken",
        "c-one",
    ]
    assert names(NameContains="one") == ["c-one", "b-one"]
    assert names(StatusEquals="Failed") == ["broken"]
    assert names(LastModifiedTimeBefore=0) == []


def test_a_container_that_dies_is_started_again(hosting: Any) -> None:
    hosting.deploy("echo")
    with pytest.raises(ClientError):
        hosting.invoke("echo", b"die")
    assert hosting.invoke_until_served("echo") == b"hello"
    assert hosting.describe("echo")["EndpointStatus"] == "InService"
    (lines,) = hosting.log_lines("echo").values()
    assert [line for line in lines if line.startswith(("starting", "about"))] == [
        "starting with",
        "about to die",
        "starting with",
    ]


def test_two_instances_take_requests_in_turn_and_stand_in_for_each_other(hosting: Any) -> None:
    hosting.deploy("echo", InitialInstanceCount=2)
    assert len(hosting.log_lines("echo")) == 2
    with pytest.raises(ClientError):
        hosting.invoke("echo", b"die")
    answers = {hosting.invoke_until_served("echo") for _ in range(4)}
    assert answers == {b"hello"}


def test_more_instances_than_two_are_reported_but_two_run(hosting: Any) -> None:
    hosting.deploy("echo", InitialInstanceCount=5)
    (variant,) = hosting.describe("echo")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 5
    assert len(hosting.log_lines("echo")) == 2


def test_a_serverless_variant_is_served(hosting: Any) -> None:
    hosting.configure("echo", hosting.container())
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "echo",
        "ServerlessConfig": serverless,
    }
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="serverless", ProductionVariants=[variant]
    )
    hosting.sagemaker.create_endpoint(EndpointName="echo", EndpointConfigName="serverless")
    found = hosting.await_status("echo", "InService")
    assert found["ProductionVariants"][0]["CurrentServerlessConfig"] == serverless
    assert "CurrentInstanceCount" not in found["ProductionVariants"][0]
    assert hosting.invoke("echo") == b"hello"


def test_another_version_is_said_in_the_first_line_of_the_log_and_the_plane_s(hosting: Any) -> None:
    asked = "763104351884.dkr.ecr.us-east-1.amazonaws.com/test-echo-training:2.0.0-cpu-py3"
    hosting.deploy("echo", hosting.container(asked))

    note = (
        f"The image {asked} asks for test-echo 2.0.0; sagelocal/test-echo:1, which runs in its "
        "place, has test-echo 2.1.0"
    )
    (lines,) = hosting.log_lines("echo").values()
    assert [line for line in lines if "asks for" in line] == [note]
    assert lines[0] == note
    assert hosting.plane.log().count(note) == 1
