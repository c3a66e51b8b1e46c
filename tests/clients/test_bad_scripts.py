"""What a user is told of code and archives that cannot be used: FailureReason of the job or of the
endpoint, with the next step. All run at once, on the smallest image.

Models of other frameworks and what SavedModels lack stand in the frameworks' own tests.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = """
import io, json, tarfile, time
import boto3

s3, sm = boto3.client("s3"), boto3.client("sagemaker")
s3.create_bucket(Bucket="bad-scripts")
IMAGE, ROLE = "sagelocal/base:1", "arn:aws:iam::000000000000:role/R"
BROKEN = "def main(:\\n"


def archive(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def upload(name, body):
    s3.put_object(Bucket="bad-scripts", Key=f"{name}.tar.gz", Body=body)
    return f"s3://bad-scripts/{name}.tar.gz"


jobs = {
    "no-entry-point": archive(**{"main.py": "", "helpers/a.py": ""}),
    "syntax-error": archive(**{"train.py": BROKEN}),
    "raises": archive(**{"train.py": "raise ValueError('no rows in train.csv')"}),
    "no-archive": b"import torch",
    "escapes": archive(**{"train.py": "", "../../evil.py": ""}),
}
for name, body in jobs.items():
    sm.create_training_job(
        TrainingJobName=name, RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"sagemaker_program": "train.py",
                         "sagemaker_submit_directory": upload("job-" + name, body)},
        OutputDataConfig={"S3OutputPath": "s3://bad-scripts/output"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 300})
endpoints = {
    "no-model-fn": archive(**{"code/inference.py": "def transform_fn(m, b, c, a): ..."}),
    "syntax-error": archive(**{"code/inference.py": BROKEN}),
    "no-entry-point": archive(**{"code/serve.py": ""}),
    "no-archive": b"weights",
    "escapes": archive(**{"model.bin": "", "../../evil.py": ""}),
}
for name, body in endpoints.items():
    program = {"SAGEMAKER_PROGRAM": "predict.py"} if name == "no-entry-point" else {}
    sm.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={
        "Image": IMAGE, "ModelDataUrl": upload("model-" + name, body), "Environment": program})
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{
        "VariantName": "all", "ModelName": name, "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large"}])
    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)


def ended(describe, status, running):
    while (found := describe())[status] == running:
        time.sleep(0.2)
    return [found[status], found.get("FailureReason")]


print(json.dumps({
    "jobs": {name: ended(lambda: sm.describe_training_job(TrainingJobName=name),
                         "TrainingJobStatus", "InProgress") for name in jobs},
    "endpoints": {name: ended(lambda: sm.describe_endpoint(EndpointName=name),
                              "EndpointStatus", "Creating") for name in endpoints}}))
"""


@pytest.fixture(scope="module")
def told(terminal: Any) -> dict[str, dict[str, list[str]]]:
    """Status and FailureReason of every job and every endpoint."""
    printed = terminal.python(NOTEBOOK)
    found: dict[str, dict[str, list[str]]] = json.loads(printed.strip().splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("no-entry-point", "The entry point 'train.py' is not in /opt/ml/code, which holds: "),
        ("no-entry-point", "helpers/, main.py. Name a file of the source in SAGEMAKER_PROGRAM"),
        ("syntax-error", "SyntaxError: "),
        ("syntax-error", 'train.py", line 1'),
        ("raises", "ExecuteUserScriptError:"),
        ("raises", "ValueError: no rows in train.csv"),
        ("no-archive", "job-no-archive.tar.gz is not a usable source archive"),
        ("no-archive", "it must be a .tar.gz with the entry point at its top"),
        ("escapes", "'../../evil.py' would be written or lead outside of its folder"),
    ],
)
def test_a_job_says_what_is_wrong_with_its_source(told: Any, job: str, words: str) -> None:
    status, reason = told["jobs"][job]

    assert status == "Failed"
    assert words in reason


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("no-model-fn", "inference.py defines no model_fn, and this image has no default for it"),
        ("no-model-fn", "define it there"),
        ("syntax-error", "SyntaxError: invalid syntax (inference.py, line 1)"),
        ("no-entry-point", "There is no predict.py (SAGEMAKER_PROGRAM) in"),
        ("no-entry-point", "Pack it into the folder code of model.tar.gz"),
        ("no-archive", "Please ensure that the object located at the URL is a valid tar.gz"),
        ("no-archive", "pack it by `tar -czf model.tar.gz -C FOLDER .`"),
        ("escapes", "its member '../../evil.py' points outside the archive"),
        ("escapes", "pack it by `tar -czf model.tar.gz -C FOLDER .`"),
    ],
)
def test_an_endpoint_says_what_is_wrong_with_its_model(
    told: Any, endpoint: str, words: str
) -> None:
    status, reason = told["endpoints"][endpoint]

    assert status == "Failed"
    assert words in reason


def test_nothing_was_written_outside_of_its_folder(terminal: Any, told: Any) -> None:
    assert told["jobs"]["escapes"][0] == "Failed"
    assert list(terminal.data.parent.rglob("evil.py")) == []
