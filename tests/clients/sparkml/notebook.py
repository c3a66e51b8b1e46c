"""What users of Spark ML write: python notebook.py; the report is JSON on the last line."""

import io
import json
import tarfile
import tempfile
from pathlib import Path

import boto3
import joblib
import numpy as np
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sagemaker.sklearn import SKLearnModel
from sagemaker.sparkml.model import SparkMLModel
from sklearn.linear_model import LinearRegression

session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
schema = {
    "input": [{"name": "sex", "type": "string"}, {"name": "length", "type": "double"}],
    "output": {"name": "features", "type": "double", "struct": "vector"},
}


def upload(files, name):
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for path, content in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return session.upload_data(str(archive), bucket, name)


def node(name, op, attributes, inputs, outputs):
    shape = {
        "inputs": [{"name": column, "port": port} for port, column in inputs.items()],
        "outputs": [{"name": column, "port": "output"} for column in outputs],
    }
    return {
        f"root/{name}.node/model.json": {"op": op, "attributes": attributes},
        f"root/{name}.node/node.json": {"name": name, "shape": shape},
    }


# What MLeap's serializeToBundle writes, unpacked.
stages = {"type": "list", "string": ["indexer", "assembler"]}
bundle = {
    "bundle.json": {"uid": "1", "name": "pipeline", "format": "json", "version": "0.20.0"},
    "root/model.json": {"op": "pipeline", "attributes": {"nodes": stages}},
    "root/node.json": {"name": "pipeline", "shape": {"inputs": [], "outputs": []}},
    **node(
        "indexer",
        "string_indexer",
        {"labels": {"type": "list", "string": ["M", "F"]}},
        {"input": "sex"},
        ["index"],
    ),
    **node(
        "assembler", "vector_assembler", {}, {"input0": "index", "input1": "length"}, ["features"]
    ),
}
data = upload({path: json.dumps(text).encode() for path, text in bundle.items()}, "sparkml")
report = {}

spark = SparkMLModel(
    data,
    role,
    spark_version="2.4",
    sagemaker_session=session,
    env={"SAGEMAKER_SPARKML_SCHEMA": json.dumps(schema)},
)
report["image"] = spark.image_uri
predictor = spark.deploy(1, "ml.c5.large")
report["csv"] = predictor.predict("F,0.5").decode()
lines = Predictor(predictor.endpoint_name, session, JSONSerializer())
one = schema | {"output": {"name": "index", "type": "double"}}
report["one"] = lines.predict({"schema": one, "data": ["F", 0.5]}).decode()
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(
    EndpointName=predictor.endpoint_name,
    ContentType="text/csv",
    Accept="application/jsonlines;data=text",
    Body=b"M,2.0",
)
report["text"] = [answer["ContentType"], answer["Body"].read().decode()]
try:
    predictor.predict("X,0.5")
except ClientError as error:
    report["error"] = [error.response["OriginalStatusCode"], error.response["OriginalMessage"]]
predictor.delete_endpoint()

# In front of another model: its CSV goes into the next container.
fitted = LinearRegression().fit(np.array([[0, 1], [1, 1], [0, 2]]), [1.0, 11.0, 2.0])
stream = io.BytesIO()
joblib.dump(fitted, stream)
sklearn = SKLearnModel(
    upload({"model.joblib": stream.getvalue()}, "second"),
    role,
    entry_point=None,
    framework_version="1.2-1",
    sagemaker_session=session,
)
pipeline = PipelineModel([spark, sklearn], role, sagemaker_session=session)
pipeline.deploy(1, "ml.c5.large", endpoint_name="spark-then-sklearn")
both = Predictor("spark-then-sklearn", session, CSVSerializer())
report["pipeline"] = json.loads(both.predict("F,3.0"))
both.delete_endpoint()

# The SDK leaves its progress line open.
print("\n" + json.dumps(report))
