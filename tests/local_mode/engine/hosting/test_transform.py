"""Transform jobs, through a real plane, real clients and real containers."""

from __future__ import annotations

import gzip
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:sagemaker:us-east-1:000000000000:transform-job"
ENDED = ("Completed", "Failed", "Stopped")


@dataclass
class Transforms:
    """Jobs of one model, all of the name `own`, on what lies in a bucket of that name."""

    hosting: Any
    own: str

    def model(self, **environment: str) -> None:
        self.hosting.sagemaker.create_model(
            ModelName=self.own,
            ExecutionRoleArn="arn:aws:iam::000000000000:role/any",
            PrimaryContainer=self.hosting.container(**environment),
        )

    def put(self, files: Mapping[str, bytes]) -> None:
        self.hosting.s3.create_bucket(Bucket=self.own)
        for key, content in files.items():
            self.hosting.s3.put_object(Bucket=self.own, Key=key, Body=content)

    def create(self, suffix: str = "", **members: Any) -> str:
        """A job; lower-case members are those of TransformInput and TransformOutput."""
        given = {
            "uri": f"s3://{self.own}/in/",
            "type": "S3Prefix",
            "kind": "text/csv",
            "split": "Line",
            "compression": "None",
            "output": f"s3://{self.own}/out",
            "assemble": "Line",
        }
        given |= {key: members.pop(key) for key in list(members) if key.islower()}
        source = {"S3DataType": given["type"], "S3Uri": given["uri"]}
        answer = self.hosting.sagemaker.create_transform_job(
            TransformJobName=self.own + suffix,
            **{
                "ModelName": self.own,
                "TransformInput": {
                    "DataSource": {"S3DataSource": source},
                    "ContentType": given["kind"],
                    "SplitType": given["split"],
                    "CompressionType": given["compression"],
                },
                "TransformOutput": {
                    "S3OutputPath": given["output"],
                    "AssembleWith": given["assemble"],
                },
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
                **members,
            },
        )
        arn: str = answer["TransformJobArn"]
        return arn

    def describe(self, suffix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.hosting.sagemaker.describe_transform_job(
            TransformJobName=self.own + suffix
        )
        return found

    def end(self, suffix: str = "", seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (found := self.describe(suffix))["TransformJobStatus"] not in ENDED:
            assert time.monotonic() < deadline, self.hosting.plane.log()
            time.sleep(0.02)
        return found

    def run(self, suffix: str = "", **members: Any) -> dict[str, Any]:
        self.create(suffix, **members)
        return self.end(suffix)

    def outputs(self) -> dict[str, bytes]:
        s3 = self.hosting.s3
        return {
            each["Key"]: s3.get_object(Bucket=self.own, Key=each["Key"])["Body"].read()
            for each in s3.list_objects_v2(Bucket=self.own, Prefix="out/").get("Contents", [])
        }

    def said(self) -> str:
        """All lines of the job's data log."""
        logs = self.hosting.plane.client("logs")
        group = "/aws/sagemaker/TransformJobs"
        (stream,) = (
            each["logStreamName"]
            for each in logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=self.own)[
                "logStreams"
            ]
            if each["logStreamName"].endswith("/data-log")
        )
        events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
        return "\n".join(event["message"] for event in events)


@pytest.fixture
def transforms(echoes: Any) -> Transforms:
    return Transforms(echoes, f"own-{secrets.token_hex(4)}")


def test_every_file_below_the_prefix_has_its_answers_in_its_order(transforms: Transforms) -> None:
    files = {f"in/{name}.csv": b"".join(b"%d\n" % n for n in range(400)) for name in ("a", "sub/b")}
    transforms.put(files | {"in/": b"", "inside/not.csv": b"1\n"})
    transforms.model()

    job = transforms.run(BatchStrategy="SingleRecord", MaxConcurrentTransforms=4)

    assert job["TransformJobStatus"] == "Completed", job
    assert transforms.outputs() == {
        "out/a.csv.out": files["in/a.csv"],
        "out/sub/b.csv.out": files["in/sub/b.csv"],
    }
    assert transforms.said().endswith(
        "[sagemaker logs]: MaxConcurrentTransforms=4, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD"
    )


def test_describe_and_list_tell_what_was_asked_and_what_became_of_it(
    transforms: Transforms,
) -> None:
    transforms.put({"in/a.csv": b"1\n"})
    transforms.model()

    arn = transforms.create("-Job", Tags=[{"Key": "team", "Value": "red"}])
    job = transforms.end("-Job")

    name = job["TransformJobName"]
    assert name == transforms.own + "-Job"
    assert arn == job["TransformJobArn"] == f"{ARN}/{name.lower()}"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert job["TransformInput"]["SplitType"] == "Line"
    assert job["TransformOutput"]["KmsKeyId"] == ""
    assert job["DataProcessing"] == {
        "InputFilter": "$",
        "OutputFilter": "$",
        "JoinSource": "None",
    }
    assert "FailureReason" not in job
    sagemaker = transforms.hosting.sagemaker
    query = {"StatusEquals": "Completed", "NameContains": transforms.own}
    (listed,) = sagemaker.list_transform_jobs(**query)["TransformJobSummaries"]
    assert (listed["TransformJobName"], listed["TransformJobStatus"]) == (name, "Completed")
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "red"}]
    with pytest.raises(ClientError, match="Job name must be unique"):
        transforms.create("-Job")


def test_records_are_filtered_and_joined_with_their_answers(transforms: Transforms) -> None:
    transforms.put({"in/a.csv": b"id1,1,2\nid2,3,4\n"})
    transforms.model()

    transforms.run(
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )

    assert transforms.outputs() == {"out/a.csv.out": b"id1,2\nid2,4\n"}


def test_gzipped_files_and_manifests_are_read(transforms: Transforms) -> None:
    manifest = [{"prefix": f"s3://{transforms.own}/in/"}, "a.gz"]
    transforms.put(
        {
            "in/a.gz": gzip.compress(b"1\n2\n"),
            "in/b.gz": gzip.compress(b"3\n"),
            "manifest": json.dumps(manifest).encode(),
        }
    )
    transforms.model()

    transforms.run(compression="Gzip", uri=f"s3://{transforms.own}/manifest", type="ManifestFile")

    assert transforms.outputs() == {"out/a.gz.out": b"1\n2\n"}


def test_a_file_that_is_not_split_is_one_request(transforms: Transforms) -> None:
    transforms.put({"in/a.bin": b"\x00\n\xff"})
    transforms.model()

    uri = f"s3://{transforms.own}/in/a.bin"
    transforms.run(kind="image/png", split="None", assemble="None", uri=uri)

    assert transforms.outputs() == {"out/a.bin.out": b"\x00\n\xff"}


def test_a_container_is_told_of_the_job(transforms: Transforms) -> None:
    names = ("SAGEMAKER_BATCH", "SAGEMAKER_BATCH_STRATEGY", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "COLOUR")
    transforms.put({f"in/{name}": f"environment {name}".encode() for name in names})
    transforms.model(COLOUR="blue")

    transforms.run(split="None", BatchStrategy="MultiRecord", Environment={"COLOUR": "red"})

    assert transforms.outputs() == {
        "out/SAGEMAKER_BATCH.out": b"true\n",
        "out/SAGEMAKER_BATCH_STRATEGY.out": b"MULTI_RECORD\n",
        "out/SAGEMAKER_MAX_PAYLOAD_IN_MB.out": b"\n",
        "out/COLOUR.out": b"red\n",
    }


def test_a_container_says_how_it_wants_to_be_called(transforms: Transforms) -> None:
    told = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
    transforms.put({"in/a.csv": b"1\n2\n"})
    transforms.model(PARAMETERS=json.dumps(told), MODEL_TAG="model")

    transforms.run(MaxPayloadInMB=1)

    assert transforms.outputs() == {"out/a.csv.out": b"model:1\nmodel:2\n"}
    said = "MaxConcurrentTransforms=3, MaxPayloadInMB=1, BatchStrategy=SINGLE_RECORD"
    assert transforms.said().endswith(said)


def test_a_file_that_fails_fails_the_job_and_no_other_file(transforms: Transforms) -> None:
    transforms.put({"in/bad": b"status 415 I cannot read this", "in/good": b"fine"})
    transforms.model()

    job = transforms.run(split="None")

    assert job["TransformJobStatus"] == "Failed"
    reason = "Bad HTTP status received from algorithm: 415. Message: I cannot read this"
    file = f"{transforms.own}/in/bad"
    assert job["FailureReason"] == (
        f"ClientError: {file}: {reason}. See job logs for more information."
    )
    assert f"{file}: {reason}" in transforms.said()
    assert transforms.outputs() == {"out/good.out": b"fine\n"}


def test_a_request_that_the_server_fails_is_tried_again(transforms: Transforms) -> None:
    transforms.put({"in/bad": b"status 500 broken"})
    transforms.model()

    job = transforms.run(
        split="None",
        ModelClientConfig={"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 5},
    )

    file = f"{transforms.own}/in/bad"
    assert job["FailureReason"].startswith(f"AlgorithmError: {file}: Bad HTTP status")
    transforms.put({"in/bad": b"die"})
    dead = transforms.run("-dead", split="None", ModelClientConfig={"InvocationsMaxRetries": 1})
    assert "The algorithm gave no answer" in dead["FailureReason"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"START": "exit"}, "did not pass the ping health check"),
        ({"PARAMETERS": "[]"}, r"GET /execution-parameters was answered b'\[\]'"),
    ],
)
def test_a_container_that_does_not_come_up_fails_the_job(
    environment: dict[str, str], words: str, transforms: Transforms
) -> None:
    transforms.put({"in/a.csv": b"1\n"})
    transforms.model(**environment)

    job = transforms.run()

    assert job["TransformJobStatus"] == "Failed"
    assert re.search(words, job["FailureReason"])


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"uri": "s3://elsewhere/in/"}, "s3://elsewhere/in/"),
        ({"output": "s3://nowhere/out"}, "aws s3 mb s3://nowhere"),
        ({"compression": "Gzip"}, "It is no gzip file"),
        ({"split": "RecordIO"}, "Record 1 does not begin as RecordIO does"),
    ],
)
def test_bad_data_is_named(members: dict[str, Any], words: str, transforms: Transforms) -> None:
    transforms.put({"in/a.csv": b"1,2,3,4,5\n"})
    transforms.model()

    job = transforms.run(**members)

    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert words in job["FailureReason"]
    assert transforms.outputs() == {}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"MaxConcurrentTransforms": 50, "MaxPayloadInMB": 6}, "300 MB; it must not be more"),
        ({"uri": "https://elsewhere/in/"}, "not an S3 URI"),
        ({"DataProcessing": {"InputFilter": "$..x"}}, "DataProcessing.InputFilter: the path"),
        (
            {"kind": "image/png", "DataProcessing": {"JoinSource": "Input"}},
            "the ContentType is 'image/png'",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    members: dict[str, Any], words: str, transforms: Transforms
) -> None:
    transforms.model()
    with pytest.raises(ClientError, match=words):
        transforms.create(**members)


def test_a_job_that_is_stopped_ends_soon_and_has_no_output(transforms: Transforms) -> None:
    transforms.put({"in/a": b"sleep 1"} | {f"in/b{n}": b"sleep 1" for n in range(60)})
    transforms.model()
    transforms.create(split="None")
    sagemaker = transforms.hosting.sagemaker

    sagemaker.stop_transform_job(TransformJobName=transforms.own)
    sagemaker.stop_transform_job(TransformJobName=transforms.own)

    assert transforms.end(seconds=20)["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName=transforms.own)
    with pytest.raises(ClientError, match="Could not find requested job with name: own-"):
        transforms.describe("-other")


def test_the_next_plane_ends_what_a_killed_one_began(
    start_hosting: Callable[..., Any],
) -> None:
    hosting = start_hosting()
    transforms = Transforms(hosting, "own")
    transforms.put({"in/a": b"sleep 1", "in/b": b"words"})
    transforms.model()
    transforms.create(split="None")
    while "TransformStartTime" not in transforms.describe():
        time.sleep(0.02)

    hosting.plane.kill()
    hosting.plane.start()

    assert transforms.end()["TransformJobStatus"] == "Completed"
    assert transforms.outputs() == {"out/a.out": b"awake\n", "out/b.out": b"words\n"}
