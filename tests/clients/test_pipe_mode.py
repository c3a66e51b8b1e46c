"""Linear Learner trained by the SageMaker SDK with input_mode="Pipe", as in notebooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Terminal

pytestmark = [pytest.mark.clients, pytest.mark.slow]

TRAIN = """
import gzip, io, json, sys, uuid
import boto3, numpy, sagemaker
from sagemaker.amazon.common import write_numpy_to_dense_tensor
from sagemaker.estimator import Estimator
from sagemaker.inputs import ShuffleConfig, TrainingInput

session = sagemaker.Session()
bucket, prefix = session.default_bucket(), uuid.uuid4().hex
compression = sys.argv[1]
random = numpy.random.default_rng(0)
for part in range(3):
    features = random.normal(size=(200, 2)).astype("float32")
    labels = (features @ numpy.array([3.0, -2.0]) + 1).astype("float32")
    records = io.BytesIO()
    write_numpy_to_dense_tensor(records, features, labels)
    body = records.getvalue() if compression == "None" else gzip.compress(records.getvalue())
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/train/{part}", Body=body)
estimator = Estimator(
    sagemaker.image_uris.retrieve("linear-learner", "us-east-1", "1"),
    sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge",
    input_mode="Pipe", output_path=f"s3://{bucket}/{prefix}/output", sagemaker_session=session)
estimator.set_hyperparameters(feature_dim=2, predictor_type="regressor", mini_batch_size=10)
estimator.fit({"train": TrainingInput(
    f"s3://{bucket}/{prefix}/train", content_type="application/x-recordio-protobuf",
    compression=compression, shuffle_config=ShuffleConfig(1))}, logs=False)
job = session.sagemaker_client.describe_training_job(
    TrainingJobName=estimator.latest_training_job.name)
metrics = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
print("\\n" + json.dumps([job["AlgorithmSpecification"]["TrainingInputMode"],
    job["InputDataConfig"][0]["ShuffleConfig"], metrics["train:objective_loss"]]))
"""


@pytest.mark.parametrize("compression", ["None", "Gzip"])
def test_linear_learner_trains_from_a_pipe(terminal: Terminal, compression: str) -> None:
    last = terminal.python(TRAIN, compression).strip().splitlines()[-1]
    mode, shuffle, loss = json.loads(last)
    assert (mode, shuffle) == ("Pipe", {"Seed": 1})
    assert loss < 0.1
