"""An image of one's own through the API: python by_boto3.py IMAGE. One line of JSON at the end."""

import json
import sys
import time

import boto3

image = sys.argv[1]
s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
s3.create_bucket(Bucket="byoc")
s3.put_object(Bucket="byoc", Key="train/rows.csv", Body=b"1,a\n2,b\n6,c\n")
ROLE = "arn:aws:iam::000000000000:role/Any"


def start(name, mode):
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters={"mode": mode},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://byoc/train/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://byoc/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )


def until_ended(name):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            return job
        time.sleep(0.1)
    raise TimeoutError(job)


def log_of(name):
    logs = boto3.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name + "/")
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [
        event["message"]
        for stream in streams["logStreams"]
        for event in logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


for mode in ("plain", "fail", "silent", "wait"):
    start(f"byoc-{mode}", mode)
deadline = time.monotonic() + 120
while "waiting" not in log_of("byoc-wait") and time.monotonic() < deadline:
    time.sleep(0.1)
sagemaker.stop_training_job(TrainingJobName="byoc-wait")
jobs = {mode: until_ended(f"byoc-{mode}") for mode in ("plain", "fail", "silent", "wait")}

sagemaker.create_model(
    ModelName="byoc",
    PrimaryContainer={
        "Image": image,
        "ModelDataUrl": jobs["plain"]["ModelArtifacts"]["S3ModelArtifacts"],
    },
    ExecutionRoleArn=ROLE,
)
variant = {"VariantName": "all", "ModelName": "byoc", "InstanceType": "ml.m5.large"}
sagemaker.create_endpoint_config(
    EndpointConfigName="byoc", ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
)
sagemaker.create_endpoint(EndpointName="byoc", EndpointConfigName="byoc")
sagemaker.get_waiter("endpoint_in_service").wait(
    EndpointName="byoc", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
)
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(EndpointName="byoc", ContentType="text/csv", Body=b"3,5")
try:
    runtime.invoke_endpoint(EndpointName="byoc", ContentType="text/csv", Body=b"three")
    refused = None
except runtime.exceptions.ModelError as error:
    refused = error.response["OriginalStatusCode"]
sagemaker.delete_endpoint(EndpointName="byoc")

print(
    json.dumps(
        {
            "status": {mode: job["TrainingJobStatus"] for mode, job in jobs.items()},
            "reason": {mode: job.get("FailureReason") for mode, job in jobs.items()},
            "log": {mode: log_of(f"byoc-{mode}") for mode in jobs},
            "objects": [each["Key"] for each in s3.list_objects_v2(Bucket="byoc")["Contents"]],
            "answer": answer["Body"].read().decode(),
            "refused": refused,
        }
    )
)
