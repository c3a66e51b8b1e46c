"""requirements.txt beside a script, through the plane: installed once, then kept for later jobs and
endpoints, also for those without a network; and what a user is told who names what is not there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import reported
from tests.package_index import make_wheel

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

# A user's notebook: jobs whose source is a channel, and endpoints on the same image.
NOTEBOOK = """
import io, json, sys, tarfile, time, uuid
from pathlib import Path
import boto3

case = json.loads(sys.argv[1])
s3, sm = boto3.client("s3"), boto3.client("sagemaker")
bucket, name = "requirements-" + uuid.uuid4().hex[:8], "job-" + uuid.uuid4().hex[:8]
s3.create_bucket(Bucket=bucket)
IMAGE, ROLE = "sagelocal/base:1", "arn:aws:iam::000000000000:role/R"
PIP = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/input/data/wheels"}


def channel(name, files):
    for file, body in files.items():
        s3.put_object(Bucket=bucket, Key=f"{name}/{file}", Body=body)
    return {"ChannelName": name, "DataSource": {"S3DataSource": {
        "S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{name}"}}}


def train():
    channels = [channel("code", case["code"])]
    if case.get("wheel"):
        wheel = Path(case["wheel"])
        channels.append(channel("wheels", {wheel.name: wheel.read_bytes()}))
    sm.create_training_job(
        TrainingJobName=name, RoleArn=ROLE, InputDataConfig=channels, Environment=PIP,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"sagemaker_program": "train.py",
                         "sagemaker_submit_directory": "/opt/ml/input/data/code"},
        EnableNetworkIsolation=bool(case.get("isolated")),
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 300})
    while (job := sm.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == (
            "InProgress"):
        time.sleep(0.2)
    logs = boto3.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    stream = logs.describe_log_streams(
        logGroupName=group, logStreamNamePrefix=name)["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
    return {"status": job["TrainingJobStatus"], "reason": job.get("FailureReason"),
            "log": "\\n".join(event["message"] for event in events)}


def host():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file, text in case["code"].items():
            member = tarfile.TarInfo(f"code/{file}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=archive.getvalue())
    sm.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={
        "Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz", "Environment": PIP})
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{
        "VariantName": "all", "ModelName": name, "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large"}])
    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    while (found := sm.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        time.sleep(0.2)
    answer = None
    if found["EndpointStatus"] == "InService":
        answer = boto3.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, Body=b"hello")["Body"].read().decode()
    sm.delete_endpoint(EndpointName=name)
    return {"status": found["EndpointStatus"], "reason": found.get("FailureReason"),
            "answer": answer}


print(json.dumps(train() if case["do"] == "train" else host()))
"""
TRAIN = "import wanted\nprint('version', wanted.VERSION)\n"
INFERENCE = """
import wanted


def model_fn(model_dir):
    return wanted.VERSION


def transform_fn(model, body, content_type, accept):
    return "version " + model
"""


def run(place: Any, do: str, code: dict[str, str], **case: Any) -> dict[str, Any]:
    printed = place.python(NOTEBOOK, json.dumps({"do": do, "code": code, **case}))
    found: dict[str, Any] = reported(printed)
    return found


def test_packages_are_installed_once_for_jobs_and_endpoints(place: Any, tmp_path: Path) -> None:
    code = {"train.py": TRAIN, "inference.py": INFERENCE, "requirements.txt": "wanted==2.0\n"}
    wheel = str(make_wheel(tmp_path, "wanted", "2.0"))

    first = run(place, "train", code, wheel=wheel)
    second = run(place, "train", code)
    hosted = run(place, "host", code)
    isolated = run(place, "train", code, isolated=True)

    assert first["status"] == "Completed", first
    assert "Successfully installed wanted-2.0" in first["log"]
    assert second["status"] == "Completed", second
    assert "Nothing to install: these packages are kept in /opt/ml/.packages/" in second["log"]
    assert "\nversion 2.0" in second["log"]
    assert hosted == {"status": "InService", "reason": None, "answer": "version 2.0"}
    # The cloud has nothing to install from either.
    assert isolated["status"] == "Failed"
    assert "InstallRequirementsError" in isolated["reason"]
    assert "wanted" in isolated["reason"]


def test_a_package_that_cannot_be_had_is_the_reason(place: Any) -> None:
    code = {"train.py": TRAIN, "inference.py": INFERENCE, "requirements.txt": "no-such-package\n"}
    said = "'no-such-package' is not in the package index that was asked: correct its name"

    trained = run(place, "train", code)
    hosted = run(place, "host", code)

    assert trained["status"] == hosted["status"] == "Failed"
    assert trained["reason"].startswith("AlgorithmError: InstallRequirementsError:")
    assert said in trained["reason"]
    assert said in hosted["reason"]
