"""Broken constraints, in the words of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sagelocal.protocol import models, validation
from sagelocal.protocol.faults import Fault

TRAINING_JOB: Mapping[str, Any] = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::000000000000:role/Role",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def refused(service: str, operation: str, parameters: Mapping[str, Any]) -> Fault:
    model = models.load(service)
    assert model is not None
    with pytest.raises(Fault) as caught:
        validation.check(service, model.operation(operation), parameters)
    return caught.value


def accept(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    model = models.load(service)
    assert model is not None
    validation.check(service, model.operation(operation), parameters)


def training_job(**changes: Any) -> str:
    return refused("sagemaker", "CreateTrainingJob", {**TRAINING_JOB, **changes}).message


def test_a_complete_request_is_accepted() -> None:
    accept("sagemaker", "CreateTrainingJob", TRAINING_JOB)


def test_a_name_that_breaks_the_pattern() -> None:
    assert training_job(TrainingJobName="a_b") == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
        "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_name_that_is_too_long_breaks_two_constraints() -> None:
    name = "a" * 64
    assert training_job(TrainingJobName=name) == (
        f"2 validation errors detected: Value '{name}' at 'trainingJobName' failed to satisfy "
        "constraint: Member must have length less than or equal to 63; "
        f"Value '{name}' at 'trainingJobName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_missing_member() -> None:
    fault = refused("sagemaker", "DescribeTrainingJob", {})
    assert fault.code == "ValidationException"
    assert fault.message == (
        "1 validation error detected: Value null at 'trainingJobName' failed to satisfy "
        "constraint: Member must not be null"
    )


def test_a_missing_member_of_an_element_of_a_list() -> None:
    assert training_job(InputDataConfig=[{"ChannelName": "train"}]) == (
        "1 validation error detected: Value null at 'inputDataConfig.1.member.dataSource' failed "
        "to satisfy constraint: Member must not be null"
    )


def test_a_value_out_of_range() -> None:
    stopping = {"MaxRuntimeInSeconds": 0}
    assert training_job(StoppingCondition=stopping) == (
        "1 validation error detected: Value '0' at 'stoppingCondition.maxRuntimeInSeconds' failed "
        "to satisfy constraint: Member must have value greater than or equal to 1"
    )


def test_an_instance_type_that_does_not_exist() -> None:
    resources = {**TRAINING_JOB["ResourceConfig"], "InstanceType": "ml.t2.medium"}
    message = training_job(ResourceConfig=resources)
    assert message.startswith(
        "1 validation error detected: Value 'ml.t2.medium' at 'resourceConfig.instanceType' failed "
        "to satisfy constraint: Member must satisfy enum value set: [ml.m4.xlarge, "
    )


def test_a_list_that_is_too_short() -> None:
    assert training_job(InputDataConfig=[]) == (
        "1 validation error detected: Value '[]' at 'inputDataConfig' failed to satisfy "
        "constraint: Member must have length greater than or equal to 1"
    )


def test_a_value_of_a_map_is_told_of_the_whole_map() -> None:
    value = "x" * 2501
    assert training_job(HyperParameters={"epochs": "1", "labels": value}) == (
        f"1 validation error detected: Value '{{epochs=1, labels={value}}}' at 'hyperParameters' "
        "failed to satisfy constraint: Map value must satisfy constraint: [Member must have length "
        "less than or equal to 2500, Member must have length greater than or equal to 0, Member "
        "must satisfy regular expression pattern: .*]"
    )


def test_a_key_of_a_map_is_told_of_the_whole_map() -> None:
    key = "k" * 257
    assert (
        f"Value '{{{key}=1}}' at 'hyperParameters' failed to satisfy constraint: Map keys must "
        "satisfy constraint: [Member must have length less than or equal to 256, "
    ) in training_job(HyperParameters={key: "1"})


def test_an_element_of_a_plain_list_is_told_of_the_whole_list() -> None:
    network = {"SecurityGroupIds": ["sg-1", "s g"], "Subnets": ["subnet-1"]}
    assert (
        "Value '[sg-1, s g]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: Member "
        "must satisfy constraint: [Member must have length less than or equal to 32, "
    ) in training_job(VpcConfig=network)


def test_each_service_has_its_own_code() -> None:
    assert refused("logs", "GetLogEvents", {}).code == "InvalidParameterException"
    assert refused("sts", "AssumeRole", {}).code == "ValidationError"
    assert refused("sagemaker-runtime", "InvokeEndpoint", {}).code == "ValidationError"


def test_ecr_says_the_first_violation_in_its_own_words() -> None:
    fault = refused("ecr", "ListImages", {"repositoryName": "UPPER"})
    assert fault.code == "InvalidParameterException"
    assert fault.message.startswith(
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular "
        "expression '[a-z0-9]+("
    )
    assert fault.message.endswith("''")


def test_the_size_of_a_body_is_left_to_the_service() -> None:
    body = b"x" * (7 * 1024 * 1024)
    accept("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": body})


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("DeleteObjects", {"Bucket": "b"}, "MissingRequestBodyError"),
        ("DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{}]}}, "MalformedXML"),
    ],
)
def test_s3_has_an_error_of_its_own_for_what_a_body_lacks(
    operation: str, parameters: Mapping[str, Any], code: str
) -> None:
    assert refused("s3", operation, parameters).code == code


def test_s3_checks_nothing_else_here() -> None:
    accept("s3", "GetObject", {"Bucket": "b", "Key": ""})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1.5, "1.5"),
        (["a", 1], "[a, 1]"),
        ({"a": ["b"], "c": {}}, "{a=[b], c={}}"),
        (b"ab", "java.nio.HeapByteBuffer[pos=0 lim=2 cap=2]"),
    ],
)
def test_values_are_shown_as_java_shows_them(value: Any, text: str) -> None:
    assert text == validation.render(value)
