"""Warm pools and UpdateTrainingJob through boto3: what clients see of a pool's life."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def resources(seconds: int, **more: Any) -> dict[str, Any]:
    return {
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
            "KeepAlivePeriodInSeconds": seconds,
            **more,
        }
    }


def pool(training: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = training.describe(name)["WarmPoolStatus"]
    return found


def listed(training: Any, status: str) -> list[str]:
    answer = training.sagemaker.list_training_jobs(WarmPoolStatusEquals=status)
    names = [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]
    assert all(job["WarmPoolStatus"]["Status"] == status for job in answer["TrainingJobSummaries"])
    return names


def update(training: Any, name: str, **changes: Any) -> None:
    training.sagemaker.update_training_job(TrainingJobName=name, **changes)


def refused(training: Any, name: str, **changes: Any) -> str:
    with pytest.raises(ClientError) as caught:
        update(training, name, **changes)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def test_a_pool_is_in_use_then_available_then_moves_to_the_next_job(training: Any) -> None:
    training.create("first", "signal.pause()", **resources(600))
    assert pool(training, "first") == {"Status": "InUse"}
    assert listed(training, "InUse") == ["first"]
    training.sagemaker.stop_training_job(TrainingJobName="first")
    training.await_end("first")
    assert pool(training, "first")["Status"] == "Available"
    assert listed(training, "Available") == ["first"]

    training.run("other", **resources(0, VolumeSizeInGB=2))
    assert pool(training, "first")["Status"] == "Available"
    training.run("second", **resources(600))
    found = pool(training, "first")
    assert (found["Status"], found["ReusedByJob"]) == ("Reused", "second")
    assert found["ResourceRetainedBillableTimeInSeconds"] >= 0
    assert pool(training, "second")["Status"] == "Available"
    assert listed(training, "Reused") == ["first"]
    assert "WarmPoolStatus" not in training.describe("other")
    assert training.describe("second")["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600


def test_a_pool_ends_with_its_time(training: Any) -> None:
    training.run("job", **resources(1))
    found = training.await_that("job", lambda job: job["WarmPoolStatus"]["Status"] == "Terminated")
    assert found["WarmPoolStatus"]["ResourceRetainedBillableTimeInSeconds"] == 1
    training.run("next", **resources(1))
    assert pool(training, "job")["Status"] == "Terminated"


def test_a_pool_survives_a_job_that_its_container_failed(training: Any) -> None:
    training.run("job", "sys.exit(1)", **resources(600))
    assert pool(training, "job")["Status"] == "Available"


def test_how_long_a_pool_is_kept_can_be_updated(training: Any) -> None:
    training.run("job", **resources(600))
    update(training, "job", ResourceConfig={"KeepAlivePeriodInSeconds": 900})
    assert training.describe("job")["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 900

    with pytest.raises(ClientError, match=r"ResourceInUse.*retains an Available warm pool"):
        training.sagemaker.delete_training_job(TrainingJobName="job")
    update(training, "job", ResourceConfig={"KeepAlivePeriodInSeconds": 0})
    assert pool(training, "job")["Status"] == "Terminated"
    assert "the warm pool is Available; that of training job job is Terminated" in refused(
        training, "job", ResourceConfig={"KeepAlivePeriodInSeconds": 60}
    )
    training.sagemaker.delete_training_job(TrainingJobName="job")


def test_a_pool_in_use_or_none_is_not_updated(training: Any) -> None:
    keep = {"KeepAlivePeriodInSeconds": 60}
    training.create("busy", "signal.pause()", **resources(600))
    assert "that of training job busy is InUse" in refused(training, "busy", ResourceConfig=keep)
    training.run("without")
    assert "without has no warm pool" in refused(training, "without", ResourceConfig=keep)
    assert refused(training, "nobody", ResourceConfig=keep) == "Requested resource not found."
    training.sagemaker.stop_training_job(TrainingJobName="busy")


def test_what_is_profiled_can_be_updated_while_a_job_runs(training: Any) -> None:
    rule = {"RuleConfigurationName": "r", "RuleEvaluatorImage": "image"}
    training.create(
        "job",
        "signal.pause()",
        ProfilerConfig={"S3OutputPath": "s3://bucket/p", "ProfilingIntervalInMilliseconds": 500},
        ProfilerRuleConfigurations=[rule],
    )
    training.await_that("job", lambda job: job["SecondaryStatus"] == "Training")
    update(
        training,
        "job",
        ProfilerConfig={"ProfilingIntervalInMilliseconds": 100},
        ProfilerRuleConfigurations=[
            {**rule, "LocalPath": "/x"},
            {**rule, "RuleConfigurationName": "s"},
        ],
        RemoteDebugConfig={"EnableRemoteDebug": True},
    )
    job = training.describe("job")
    assert job["ProfilerConfig"] == {
        "S3OutputPath": "s3://bucket/p",
        "ProfilingIntervalInMilliseconds": 100,
    }
    assert [r["RuleConfigurationName"] for r in job["ProfilerRuleConfigurations"]] == ["r", "s"]
    assert job["RemoteDebugConfig"] == {"EnableRemoteDebug": True}
    training.sagemaker.stop_training_job(TrainingJobName="job")
    training.await_end("job")
    assert "job is Stopped" in refused(training, "job", ProfilerConfig={"DisableProfiler": True})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                **resources(60),
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 5},
            },
            "Invalid KeepAlivePeriodInSeconds. It is not supported when EnableManagedSpotTraining",
        ),
        (resources(21_601), "less than or equal to 21600"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, "less than or equal to 30"),
        ({"Environment": {f"N{n}": "v" for n in range(101)}}, "1 validation error detected"),
        ({"Environment": {"1st": "v"}}, "1 validation error detected"),
        ({"Environment": {"NAME": "v" * 513}}, "length less than or equal to 512"),
        ({"VpcConfig": {"SecurityGroupIds": [], "Subnets": ["subnet-1"]}}, "greater than or equal"),
    ],
)
def test_limits_are_refused_in_the_services_words(
    training: Any, changes: dict[str, Any], message: str
) -> None:
    client = training.plane.client("sagemaker", parameter_validation=False)
    with pytest.raises(ClientError, match="ValidationException") as caught:
        client.create_training_job(**training.request("job", **changes))
    assert message in caught.value.response["Error"]["Message"]


def test_what_has_no_effect_here_is_described_as_it_was_given(training: Any) -> None:
    given = {
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
        "ExperimentConfig": {"ExperimentName": "e", "TrialComponentDisplayName": "t"},
        "ProfilerConfig": {"S3OutputPath": "s3://bucket/p"},
        "DebugHookConfig": {"S3OutputPath": "s3://bucket/d"},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "Environment": {"NAME": "value"},
        "EnableInterContainerTrafficEncryption": True,
    }
    job = training.run("job", **given)
    assert job["TrainingJobStatus"] == "Completed"
    assert {name: job[name] for name in given} == given
