"""What a notebook does with the SDK's class of a built-in algorithm, on scikit-learn's digits.

    python dedicated.py CLASS FOLDER '{"num_components": 5, ...}'

Trains on two instances with a test channel, deploys, asks in two ways, and unpacks the artifact
into FOLDER. Prints one line of JSON at the end.
"""

import json
import sys
import tarfile
import tempfile

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.serializers import CSVSerializer
from sklearn.datasets import load_digits

kind, folder, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
features, labels = load_digits(return_X_y=True)
features, labels = features.astype("float32"), labels.astype("float32")
if kind == "RandomCutForest":  # Labels say which rows are anomalies: here some digits' negatives.
    labels = (np.arange(len(labels)) % 50 == 0).astype("float32")
    features[labels > 0] = 16 - features[labels > 0]
session = sagemaker.Session()
estimator = getattr(sagemaker, kind)(
    role=sagemaker.get_execution_role(),
    instance_count=2,
    instance_type="ml.m5.large",
    output_path=f"s3://{session.default_bucket()}/{kind}",
    sagemaker_session=session,
    **given,
)
estimator.fit(
    [
        estimator.record_set(features, labels),
        estimator.record_set(
            features[:100], labels[:100], channel="test", distribution="FullyReplicated"
        ),
    ]
)
job = estimator.latest_training_job.describe()

with tempfile.TemporaryFile() as file:
    bucket, _, key = estimator.model_data.removeprefix("s3://").partition("/")
    boto3.client("s3").download_fileobj(bucket, key, file)
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        archive.extractall(folder, filter="data")

predictor = estimator.deploy(1, "ml.m5.large")
records = predictor.predict(features[:5])
predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
answer = predictor.predict(features[:2])
predictor.delete_model()
predictor.delete_endpoint()
print(
    "\n"
    + json.dumps(
        {
            "status": job["TrainingJobStatus"],
            "image": job["AlgorithmSpecification"]["TrainingImage"],
            "metrics": {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]},
            "records": [
                {name: list(value.float32_tensor.values) for name, value in record.label.items()}
                for record in records
            ],
            "answer": answer,
        }
    )
)
