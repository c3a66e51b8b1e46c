"""What users of TensorFlow write: python notebook.py; the report is JSON on the last line."""

import contextlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from botocore.exceptions import ClientError, WaiterError
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.tensorflow import TensorFlow, TensorFlowModel, TensorFlowPredictor

HERE = Path(__file__).parent
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
client = boto3.client("sagemaker")
report = {}

points = np.random.default_rng(0).normal(size=(64, 2))
rows = np.column_stack([points @ [2.0, -1.0] + 0.5, points])
with tempfile.TemporaryDirectory() as folder:
    np.savetxt(Path(folder) / "points.csv", rows, delimiter=",")
    inputs = session.upload_data(str(Path(folder) / "points.csv"), bucket, "points")
estimator = TensorFlow(
    entry_point="train.py",
    source_dir=str(HERE / "source"),
    role=role,
    framework_version="2.12.0",
    py_version="py310",
    instance_count=1,
    instance_type="ml.c5.xlarge",
    hyperparameters={"epochs": 60, "learning-rate": 0.1},
    metric_definitions=[{"Name": "loss", "Regex": "loss: ([0-9.]+)"}],
    sagemaker_session=session,
)
estimator.fit(inputs.rpartition("/")[0])
job = estimator.latest_training_job.describe()
report["image"] = job["AlgorithmSpecification"]["TrainingImage"]
report["loss"] = job["FinalMetricDataList"][0]["Value"]
report["model_dir"] = json.loads(job["HyperParameters"]["model_dir"])

# The estimator's own model, without a script.
predictor = estimator.deploy(1, "ml.c5.xlarge")
name = predictor.endpoint_name
report["predictor"] = type(predictor).__name__
report["default"] = predictor.predict({"instances": [1.0, 2.0, 5.0]})
plane = TensorFlowPredictor(name, session, model_name="plane", model_version="1")
report["plane"] = plane.predict([[0.0, 0.0], [1.0, 1.0]])["predictions"]
report["array"] = plane.predict(np.array([[1.0, 0.0]]))["predictions"]
csv = TensorFlowPredictor(name, session, CSVSerializer(), model_name="plane")
report["csv"] = csv.predict("0,0\n1,1")["predictions"]
runtime = boto3.client("sagemaker-runtime")
for what, call in {
    "signature": lambda: predictor.predict({"signature_name": "absent", "instances": [1.0]}),
    "shape": lambda: plane.predict([[1.0, 2.0, 3.0]]),
    "regress": lambda: predictor.regress({"examples": [{"x": 1.0}]}),
    "type": lambda: runtime.invoke_endpoint(
        EndpointName=name, ContentType="application/xml", Body=b"<a/>"
    ),
}.items():
    try:
        call()
    except ClientError as error:
        answer = error.response
        report[what] = [answer["OriginalStatusCode"], json.loads(answer["OriginalMessage"])]
predictor.delete_endpoint()

# The same model with a script, and a name for the default.
scripted = TensorFlowModel(
    model_data=estimator.model_data,
    role=role,
    entry_point="inference.py",
    source_dir=str(HERE / "source"),
    framework_version="2.12.0",
    env={"SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "half_plus_two"},
    sagemaker_session=session,
)
deployed = scripted.deploy(1, "ml.c5.xlarge")
lines = Predictor(deployed.endpoint_name, session, CSVSerializer())
report["scripted"] = json.loads(lines.predict("1.0,2.0"))
deployed.delete_endpoint()

# An archive of another framework.
with tempfile.TemporaryDirectory() as folder:
    archive = Path(folder) / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("model.pt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"none"))
    data = session.upload_data(str(archive), bucket, "other")
other = TensorFlowModel(data, role, framework_version="2.8", sagemaker_session=session)
other.deploy(1, "ml.c5.xlarge", endpoint_name="other", wait=False)
waiter = client.get_waiter("endpoint_in_service")
with contextlib.suppress(WaiterError):
    waiter.wait(EndpointName="other", WaiterConfig={"Delay": 1, "MaxAttempts": 240})
report["other"] = client.describe_endpoint(EndpointName="other").get("FailureReason")
client.delete_endpoint(EndpointName="other")

# The SDK leaves its progress line open.
print("\n" + json.dumps(report))
