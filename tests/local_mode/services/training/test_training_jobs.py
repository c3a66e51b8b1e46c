"""Training jobs as boto3 sees them, on the process runtime."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagelocal.services.paging import token_of


def channel(uri: str, name: str = "train", **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def test_a_job_trains_and_is_described_whole(training: Any) -> None:
    training.put("data/train.csv", b"1,2\n3,4\n")
    arn = training.create(
        "my-job",
        """
        data = (base / "input/data/train/train.csv").read_text()
        (base / "model/weights").write_text(data)
        print("loss=0.5;")
        print("a\\tb")
        """,
        InputDataConfig=[channel("s3://bucket/data/train.csv", ContentType="text/csv")],
        Environment={"STAGE": "test"},
        Tags=[{"Key": "team", "Value": "blue"}],
    )
    job = training.await_end("my-job")

    assert arn == job["TrainingJobArn"]
    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:training-job/my-job"
    assert job["TrainingJobStatus"] == "Completed", training.plane.log()
    assert job["SecondaryStatus"] == "Completed"
    assert "FailureReason" not in job
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == "s3://bucket/out/my-job/output/model.tar.gz"
    assert training.archive(uri) == {"weights": b"1,2\n3,4\n"}
    assert training.lines("my-job") == ["loss=0.5;", "a#011b"]
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all(t["EndTime"] >= t["StartTime"] for t in job["SecondaryStatusTransitions"])
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingEndTime"] == job["LastModifiedTime"]
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:loss", 0.5)
    assert job["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "train:loss", "Regex": r"loss=(\S+);"}
    ]
    assert job["InputDataConfig"] == [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://bucket/data/train.csv",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "ContentType": "text/csv",
            "CompressionType": "None",
            "RecordWrapperType": "None",
        }
    ]
    assert job["OutputDataConfig"]["KmsKeyId"] == ""
    assert job["Environment"] == {"STAGE": "test"}
    assert job["EnableNetworkIsolation"] is False
    assert training.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "team", "Value": "blue"}
    ]


def test_no_structure_is_described_that_was_not_given(training: Any) -> None:
    job = training.run("plain", HyperParameters=None, StoppingCondition=None)
    assert job["TrainingJobStatus"] == "Completed"
    assert job["HyperParameters"] == {}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert not {"VpcConfig", "DebugHookConfig", "ExperimentConfig", "Environment"} & job.keys()
    assert not [key for key, value in job.items() if value == {} and key != "HyperParameters"]


def test_a_failed_job_says_why_in_reason_and_log(training: Any) -> None:
    job = training.run("bad", "print('reading'); raise ValueError('row 3 is odd')")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: Traceback (most recent call last)")
    assert job["FailureReason"].endswith("ValueError: row 3 is odd, exit code: 1")
    assert training.lines("bad")[-1] == "ValueError: row 3 is odd"
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"


def test_a_job_that_takes_too_much_memory_says_so(start_training: Any) -> None:
    training = start_training(max_memory_bytes=128 * 1024**2)
    job = training.run("hungry", "data = bytearray(600 * 1024 ** 2); time.sleep(20)")
    assert job["TrainingJobStatus"] == "Failed"
    assert "use an instance type with more memory" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 137")


def test_an_unknown_image_fails_the_job_with_the_known_ones(training: Any) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nobodys:1"
    job = training.run(
        "lost", AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"}
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert image in job["FailureReason"]
    assert "test-script" in job["FailureReason"]


def test_stop_is_graceful_and_can_be_asked_twice(training: Any) -> None:
    training.create(
        "long",
        """
        def stop(*_):
            (base / "model/saved").write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("up", flush=True)
        time.sleep(600)
        """,
    )
    training.await_line("long", "up")
    training.sagemaker.stop_training_job(TrainingJobName="long")
    job = training.await_end("long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert training.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"saved": b"in time"}
    with pytest.raises(ClientError, match="because the training job is in status Stopped"):
        training.sagemaker.stop_training_job(TrainingJobName="long")


def test_a_job_goes_on_when_the_plane_is_killed(training: Any) -> None:
    training.create(
        "survivor",
        """
        print("up", flush=True)
        time.sleep(1)
        (base / "model/w").write_text("w")
        print("done")
        """,
    )
    training.await_line("survivor", "up")
    training.plane.restart()
    job = training.await_end("survivor")
    assert job["TrainingJobStatus"] == "Completed"
    assert training.lines("survivor") == ["up", "done"]


def refused(training: Any, **changes: Any) -> str:
    with pytest.raises(ClientError) as error:
        training.sagemaker.create_training_job(**training.request("job", **changes))
    answer = error.value.response["Error"]
    return f"{answer['Code']}: {answer['Message']}"


def test_a_name_is_taken_once(training: Any) -> None:
    training.create("job")
    assert refused(training) == (
        "ResourceInUse: Training job names must be unique within an AWS account and region, and a "
        "training job with this name already exists "
        "(arn:aws:sagemaker:us-east-1:000000000000:training-job/job)"
    )


@pytest.mark.parametrize("uri", ["s3://bucket/nothing", "s3://no-bucket/x"])
def test_data_that_is_not_there_is_refused_at_once(training: Any, uri: str) -> None:
    bucket = uri.split("/")[2]
    assert refused(training, InputDataConfig=[channel(uri)]) == (
        f'ValidationException: No S3 objects found under S3 URL "{uri}" given in input data '
        "source. Please ensure that the bucket exists in the selected region (us-east-1), that "
        "objects exist under that S3 prefix, and that the role "
        '"arn:aws:iam::000000000000:role/Test" has "s3:ListBucket" permissions on bucket '
        f'"{bucket}".'
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"HyperParameters": {"k": "v" * 2501}}, "ValidationException: 1 validation error"),
        (
            {"HyperParameters": {str(n): "v" for n in range(101)}},
            "ValidationException: 1 validation",
        ),
        ({"RoleArn": "nobody-at-all-is-this-role"}, "ValidationException: 1 validation error"),
        (
            {"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "checkpoints"}},
            "Invalid LocalPath 'checkpoints' of CheckpointConfig",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/opt/ml/input/data/c"}},
            '"LocalPath" of "CheckpointConfig" cannot start with the following reserved path: '
            "[/opt/ml/input]",
        ),
        (
            {
                "TensorBoardOutputConfig": {
                    "S3OutputPath": "s3://bucket/t",
                    "LocalPath": "/opt/ml/checkpoints/tb",
                }
            },
            '"LocalPath" of "TensorBoardOutputConfig" cannot start with the following reserved '
            "path: [/opt/ml, /tmp, /usr/local/nvidia]",
        ),
        (
            {"TensorBoardOutputConfig": {"S3OutputPath": "s3://bucket/t", "LocalPath": "logs"}},
            "Invalid LocalPath 'logs' of TensorBoardOutputConfig",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "https://bucket/c"}},
            "Invalid S3 URI 'https://bucket/c'",
        ),
        (
            {"EnableManagedSpotTraining": True},
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to",
        ),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 4},
            },
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 5, "MaxWaitTimeInSeconds": 5}},
            "ValidationException: Invalid MaxWaitTimeInSeconds. It is only supported when",
        ),
        (
            {"Tags": [{"Key": "aws:x", "Value": ""}]},
            "Tag keys that begin with aws: are reserved",
        ),
    ],
)
def test_a_request_that_cannot_be_run_is_refused_at_once(
    training: Any, changes: dict[str, Any], message: str
) -> None:
    assert message in refused(training, **changes)
    assert training.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


@pytest.mark.parametrize("operation", ["describe", "stop", "delete"])
def test_a_job_that_is_not_there_is_not_found(training: Any, operation: str) -> None:
    call = getattr(training.sagemaker, f"{operation}_training_job")
    with pytest.raises(
        ClientError, match=r"\(ValidationException\).*Requested resource not found\."
    ):
        call(TrainingJobName="nobody")


def test_an_ended_job_can_be_deleted_and_its_name_used_again(training: Any) -> None:
    training.create("job", "time.sleep(600)")
    with pytest.raises(ClientError, match="ResourceInUse"):
        training.sagemaker.delete_training_job(TrainingJobName="job")
    training.sagemaker.stop_training_job(TrainingJobName="job")
    training.await_end("job")
    training.sagemaker.delete_training_job(TrainingJobName="job")
    assert training.run("job")["TrainingJobStatus"] == "Completed"


def names(answer: dict[str, Any]) -> list[str]:
    return [summary["TrainingJobName"] for summary in answer["TrainingJobSummaries"]]


def test_lists_filter_sort_and_page(training: Any) -> None:
    order = ["beta-1", "alpha-2", "gamma-1", "delta-2", "eta-1"]
    for name in order:
        script = "sys.exit(1)" if name.endswith("2") else "pass"
        assert training.run(name, script)["TrainingJobStatus"] in ("Completed", "Failed")
    listing = training.sagemaker.list_training_jobs

    assert names(listing()) == order[::-1]
    assert names(listing(SortOrder="Ascending")) == order
    assert names(listing(SortBy="Name", SortOrder="Ascending")) == sorted(order)
    assert names(listing(NameContains="ETA")) == ["eta-1", "beta-1"]
    assert names(listing(StatusEquals="Failed")) == ["delta-2", "alpha-2"]
    by_status = names(listing(SortBy="Status", SortOrder="Ascending"))
    assert sorted(by_status[3:]) == ["alpha-2", "delta-2"]
    middle = training.describe("gamma-1")["CreationTime"]
    moment = datetime.timedelta(milliseconds=5)
    assert names(listing(CreationTimeAfter=middle + moment)) == ["eta-1", "delta-2"]
    assert names(listing(CreationTimeBefore=middle - moment)) == ["alpha-2", "beta-1"]
    for size in (1, 2, 5, 100):
        pages = training.sagemaker.get_paginator("list_training_jobs").paginate(
            PaginationConfig={"PageSize": size}
        )
        assert [name for page in pages for name in names(page)] == order[::-1]
    (failed,) = listing(NameContains="alpha")["TrainingJobSummaries"]
    assert failed["TrainingEndTime"] >= failed["CreationTime"]


@pytest.mark.parametrize("token", ["made-up", token_of(-1), token_of(2**63)])
def test_a_token_that_no_list_gave_is_refused(training: Any, token: str) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*Invalid NextToken"):
        training.sagemaker.list_training_jobs(NextToken=token)


def test_a_job_reaches_the_plane_it_runs_on(training: Any) -> None:
    script = """
        import os, urllib.request
        url = os.environ["AWS_ENDPOINT_URL"] + "/bucket/greeting"
        print(urllib.request.urlopen(url).read().decode())
        print(sorted(name for name in os.environ if name.startswith("AWS_")))
    """
    training.put("greeting", b"hello job")

    assert training.run("reaching", script)["TrainingJobStatus"] == "Completed"

    assert training.lines("reaching")[-2:] == [
        "hello job",
        "['AWS_ACCESS_KEY_ID', 'AWS_EC2_METADATA_DISABLED', 'AWS_ENDPOINT_URL', 'AWS_REGION', "
        "'AWS_SECRET_ACCESS_KEY']",
    ]


def test_the_jobs_own_settings_win_over_the_planes(training: Any) -> None:
    script = "import os; print(os.environ['AWS_ENDPOINT_URL'])"
    own = {"AWS_ENDPOINT_URL": "https://example.com"}

    training.run("own-address", script, Environment=own)

    assert training.lines("own-address")[-1] == "https://example.com"


def test_an_isolated_job_is_told_of_no_address(training: Any) -> None:
    script = "import os; print([name for name in os.environ if 'ENDPOINT' in name])"

    training.run("isolated", script, EnableNetworkIsolation=True)

    assert training.lines("isolated")[-1] == "[]"
