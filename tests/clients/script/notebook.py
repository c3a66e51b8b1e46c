"""What a user of script mode writes: python notebook.py estimator|mxnet ENTRY_POINT SOURCE [deploy]

Prints one line of JSON at the end.
"""

import json
import sys
import tarfile
import tempfile

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.mxnet import MXNet
from sagemaker.serializers import JSONSerializer

kind, entry_point, source, *rest = sys.argv[1:]
session = sagemaker.Session()
bucket = session.default_bucket()
data = session.upload_string_as_file_body("1\n2\n3.5\n", bucket, "script/data/rows.csv")
common = {
    "entry_point": entry_point,
    "source_dir": source,
    "role": sagemaker.get_execution_role(),
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "hyperparameters": {"epochs": 3, "name": "you and me"},
    "sagemaker_session": session,
}
if kind == "mxnet":
    estimator = MXNet(framework_version="1.9.0", py_version="py38", **common)
else:
    estimator = Estimator(image_uri="sagelocal/base:1", **common)
if "isolated" in rest:
    estimator._enable_network_isolation = True
    estimator.enable_network_isolation = lambda: True

report = {"bucket": bucket}
try:
    estimator.fit({"training": f"s3://{bucket}/script/data"})
except sagemaker.exceptions.UnexpectedStatusException as error:
    report["error"] = str(error)
job = estimator.latest_training_job.describe()
report["status"] = job["TrainingJobStatus"]
report["hyperparameters"] = job["HyperParameters"]
if report["status"] == "Completed":
    with tempfile.TemporaryFile() as file:
        where = estimator.model_data.removeprefix("s3://").partition("/")
        boto3.client("s3").download_fileobj(where[0], where[2], file)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            report["model"] = {
                m.name: archive.extractfile(m).read().decode() for m in archive if m.isfile()
            }
if "deploy" in rest:
    model = estimator.create_model(entry_point="inference.py", source_dir=source)
    predictor = model.deploy(
        1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer()
    )
    report["answer"] = predictor.predict([10, 20])
    predictor.delete_endpoint()
print(json.dumps(report))
