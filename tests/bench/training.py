"""A training job through the API against the same process bare, in turns."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from tests.bench import bare
from tests.bench.figures import Figure, report, seconds, wait_until
from tests.bench.plane import Plane

ROUNDS = 7
BUCKET = "bench"


def run_job(sagemaker: Any) -> str:
    """Create a job and wait for its end; its name."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
            "TrainingInputMode": "File",
        },
        RoleArn="arn:aws:iam::000000000000:role/SageLocalExecutionRole",
        HyperParameters=bare.HYPERPARAMETERS,
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/train",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )

    def ended() -> bool:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] == "Failed":
            raise RuntimeError(job["FailureReason"])
        return bool(job["TrainingJobStatus"] == "Completed")

    wait_until(ended, 120, step=0.01)
    return name


def measure(plane: Plane, folder: Path) -> str:
    """Print the cost of the API; the name of a finished job for others to use."""
    s3 = plane.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train/data.csv", Body=bare.ROWS.encode())
    sagemaker = plane.client("sagemaker")
    name = run_job(sagemaker)
    through, alone = [], []
    for number in range(ROUNDS):
        base = folder / f"bare-{number}"
        bare.prepare(base)
        alone.append(seconds(lambda base=base: bare.train(base)))  # type: ignore[misc]
        through.append(seconds(lambda: run_job(sagemaker)))
    report(
        "A training job (Linear Learner, 22 rows)",
        [
            Figure("the bare process", alone, "s"),
            Figure("through CreateTrainingJob, until Completed is seen", through, "s"),
            Figure("difference", [a - b for a, b in zip(through, alone, strict=True)], "s", 0.5),
        ],
    )
    return name
