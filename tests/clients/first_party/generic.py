"""A built-in algorithm by the SDK's generic estimator, from a pipe and from a wrong file.

    python generic.py FAMILY '{"feature_dim": 64, ...}' CONTENT_TYPE

The pipe brings records; the wrong file is of the content type.

Prints one line of JSON at the end: what the job says, and what a job with a broken row says.
"""

import io
import json
import sys
import uuid

import boto3
import numpy as np
import sagemaker
from sagemaker.amazon.common import write_numpy_to_dense_tensor
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sklearn.datasets import load_digits

family, given, content_type = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
RECORDS = "application/x-recordio-protobuf"
features, labels = load_digits(return_X_y=True)
labels = labels.astype("float32")
session = sagemaker.Session()
bucket, prefix = session.default_bucket(), uuid.uuid4().hex
s3 = boto3.client("s3")


def records(*parts: np.ndarray) -> bytes:
    content = io.BytesIO()
    for part in parts:
        write_numpy_to_dense_tensor(content, part.astype("float32"), labels[: len(part)])
    return content.getvalue()


s3.put_object(Bucket=bucket, Key=f"{prefix}/good/rows.pbr", Body=records(features))
if content_type == RECORDS:
    bad = records(features[:6], features[6:7, :3], features[7:20])
    s3.put_object(Bucket=bucket, Key=f"{prefix}/bad/rows.pbr", Body=bad)
else:
    lines = [",".join(map(str, row)) for row in features[:20].tolist()]
    lines[6] = "1,2,3"
    s3.put_object(Bucket=bucket, Key=f"{prefix}/bad/rows.csv", Body="\n".join(lines).encode())


def channel(folder: str, content_type: str) -> TrainingInput:
    uri = f"s3://{bucket}/{prefix}/{folder}"
    return TrainingInput(uri, distribution="ShardedByS3Key", content_type=content_type)


def estimator(mode: str) -> Estimator:
    made = Estimator(
        sagemaker.image_uris.retrieve(family, "us-east-1", "1"),
        sagemaker.get_execution_role(),
        instance_count=1,
        instance_type="ml.m5.large",
        input_mode=mode,
        output_path=f"s3://{bucket}/{prefix}/output",
        sagemaker_session=session,
    )
    made.set_hyperparameters(**given)
    return made


good = estimator("Pipe")
good.fit({"train": channel("good", RECORDS)})
told = ""
try:
    estimator("File").fit({"train": channel("bad", content_type)}, logs=False)
except sagemaker.exceptions.UnexpectedStatusException as error:
    told = str(error)
print(
    "\n"
    + json.dumps({"status": good.latest_training_job.describe()["TrainingJobStatus"], "told": told})
)
