"""A built-in algorithm by the SDK's generic estimator, from a pipe and from a wrong file.

    python generic.py FAMILY '{"feature_dim": 64, ...}'

Prints one line of JSON at the end: what the job says, and what a job with a broken row says.
"""

import io
import json
import sys
import uuid

import boto3
import sagemaker
from sagemaker.amazon.common import write_numpy_to_dense_tensor
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sklearn.datasets import load_digits

family, given = sys.argv[1], json.loads(sys.argv[2])
features, labels = load_digits(return_X_y=True)
session = sagemaker.Session()
bucket, prefix = session.default_bucket(), uuid.uuid4().hex
records = io.BytesIO()
write_numpy_to_dense_tensor(records, features.astype("float32"), labels.astype("float32"))
s3 = boto3.client("s3")
s3.put_object(Bucket=bucket, Key=f"{prefix}/good/rows.pbr", Body=records.getvalue())
lines = [",".join(map(str, row)) for row in features[:20].tolist()]
lines[6] = "1,2,3"
s3.put_object(Bucket=bucket, Key=f"{prefix}/bad/rows.csv", Body="\n".join(lines).encode())


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
content_type = "application/x-recordio-protobuf"
good.fit({"train": TrainingInput(f"s3://{bucket}/{prefix}/good", content_type=content_type)})
bad = estimator("File")
told = ""
try:
    content_type = "text/csv;label_size=" + ("1" if family == "knn" else "0")
    channel = TrainingInput(f"s3://{bucket}/{prefix}/bad", content_type=content_type)
    bad.fit({"train": channel}, logs=False)
except sagemaker.exceptions.UnexpectedStatusException as error:
    told = str(error)
print(
    "\n"
    + json.dumps({"status": good.latest_training_job.describe()["TrainingJobStatus"], "told": told})
)
