"""DeepAR as its notebooks use it: nothing in it knows of sagelocal.

    python notebook.py

Prints what it saw as the last line, in JSON.
"""

import io
import json
import math
import random
import tarfile
import uuid

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import JSONSerializer

session = sagemaker.Session()
bucket, prefix = session.default_bucket(), f"deepar-{uuid.uuid4().hex}"
image = sagemaker.image_uris.retrieve("forecasting-deepar", session.boto_region_name)
random.seed(0)
freq, prediction_length, context_length = "H", 12, 12


def series(category):
    level = 10 * (1 + category)
    values = [
        level * (1 + 0.3 * math.sin(hour * 2 * math.pi / 24)) + random.gauss(0, 0.05 * level)
        for hour in range(120)
    ]
    return {"start": "2016-01-01 00:00:00", "target": values, "cat": [category]}


def upload(name, records):
    body = "\n".join(json.dumps(record) for record in records)
    return S3Uploader.upload_string_as_file_body(body, f"s3://{bucket}/{prefix}/{name}/data.json")


test = [series(number % 2) for number in range(10)]
train = [{**record, "target": record["target"][:-prediction_length]} for record in test]
channels = {"train": upload("train", train), "test": upload("test", test)}
estimator = Estimator(
    image,
    sagemaker.get_execution_role(),
    instance_count=1,
    instance_type="ml.c5.xlarge",
    output_path=f"s3://{bucket}/{prefix}/output",
    base_job_name="deepar-notebook",
    sagemaker_session=session,
)
estimator.set_hyperparameters(
    time_freq=freq,
    context_length=str(context_length),
    prediction_length=str(prediction_length),
    num_cells="8",
    num_layers="1",
    likelihood="gaussian",
    epochs="3",
    mini_batch_size="16",
    learning_rate="0.01",
    early_stopping_patience="2",
    cardinality="auto",
)
estimator.fit(channels, logs="Training")
job = estimator.latest_training_job.describe()
metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}

key = estimator.model_data.split("/", 3)[3]
body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
with tarfile.open(fileobj=io.BytesIO(body)) as archive:
    files = sorted(member.name for member in archive if member.isfile())

predictor = estimator.deploy(
    1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer()
)
answer = predictor.predict(
    {
        "instances": train[:2],
        "configuration": {
            "num_samples": 50,
            "output_types": ["quantiles", "mean"],
            "quantiles": ["0.1", "0.5", "0.9"],
        },
    }
)
try:
    predictor.predict({"instances": [{**train[0], "cat": [7]}]})
    told = ""
except Exception as error:
    told = str(error)
predictor.delete_model()
predictor.delete_endpoint()
print(
    "\n"
    + json.dumps(
        {
            "status": job["TrainingJobStatus"],
            "image": job["AlgorithmSpecification"]["TrainingImage"],
            "metrics": metrics,
            "files": files,
            "answer": answer["predictions"],
            "told": told,
        }
    )
)
