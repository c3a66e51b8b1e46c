"""What users of PyTorch write: python notebook.py script|distributed|failing; JSON comes last."""

import contextlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile

import boto3
import numpy as np
import sagemaker
from botocore.exceptions import WaiterError
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sklearn.datasets import load_iris

HERE = pathlib.Path(__file__).parent
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
runtime = boto3.client("sagemaker-runtime")
features, species = load_iris(return_X_y=True)


def estimator(entry_point, source_dir=HERE / "source", hyperparameters=None, **more):
    settings = {"instance_type": "ml.m5.large", "instance_count": 1, **more}
    return PyTorch(
        entry_point=entry_point,
        source_dir=str(source_dir),
        role=role,
        framework_version="1.13.1",
        py_version="py39",
        hyperparameters=hyperparameters or {},
        sagemaker_session=session,
        metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(.*?);"}],
        **settings,
    )


def refused(endpoint, body, content_type, accept="*/*"):
    """The status and the words of a request that is not answered."""
    try:
        runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType=content_type, Accept=accept
        )
    except runtime.exceptions.ModelError as error:
        return [error.response["OriginalStatusCode"], error.response["OriginalMessage"]]


def script():
    rows = np.column_stack([species, features])
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    session.upload_string_as_file_body(text, bucket, "iris/iris.csv")
    trained = estimator("iris.py", hyperparameters={"epochs": 200, "lr": 0.05})
    trained.fit({"train": f"s3://{bucket}/iris"})
    job = trained.latest_training_job.describe()
    own = PyTorchModel(
        model_data=trained.model_data,
        role=role,
        entry_point="inference.py",
        source_dir=str(HERE / "source"),
        framework_version="2.1.0",
        py_version="py310",
        sagemaker_session=session,
    ).deploy(1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer())
    report = {
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "metrics": {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]},
        "own": own.predict({"inputs": features[[0, 50, 100]].tolist()}),
    }
    own.delete_endpoint()
    image = sagemaker.image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="1.12.1",
        py_version="py38",
        image_scope="inference",
        instance_type="ml.g4dn.xlarge",
    )
    plain = Model(
        image_uri=image,
        model_data=trained.model_data,
        role=role,
        sagemaker_session=session,
        predictor_cls=Predictor,
    ).deploy(1, "ml.g4dn.xlarge")
    name = plain.endpoint_name
    stream = io.BytesIO()
    np.save(stream, features[[0, 100]].astype(np.float32))
    answer = runtime.invoke_endpoint(
        EndpointName=name,
        Body=stream.getvalue(),
        ContentType="application/x-npy",
        Accept="application/x-npy",
    )
    rows = Predictor(name, session, CSVSerializer(), CSVDeserializer())
    lists = Predictor(name, session, JSONSerializer(), JSONDeserializer())
    report |= {
        "npy": np.load(io.BytesIO(answer["Body"].read())).argmax(1).tolist(),
        "csv": np.array(rows.predict(features[[0, 100]]), float).argmax(1).tolist(),
        "json": np.array(lists.predict(features[[0, 100]].tolist())).argmax(1).tolist(),
        "wrong width": refused(name, b"1,2", "text/csv"),
        "wrong type": refused(name, b"<a/>", "application/xml"),
        "text": refused(name, b'["a"]', "application/json"),
        "wrong accept": refused(name, b"1,2,3,4", "text/csv", "application/xml"),
    }
    plain.delete_endpoint()
    return report


def distributed():
    trained = estimator(
        "both.py",
        instance_type="ml.p3.2xlarge",
        instance_count=2,
        distribution={"torch_distributed": {"enabled": True}},
    )
    trained.fit()
    with tempfile.TemporaryDirectory() as folder:
        S3Downloader.download(trained.model_data, folder, sagemaker_session=session)
        with tarfile.open(pathlib.Path(folder) / "model.tar.gz") as archive:
            archive.extractall(folder)
        return json.loads((pathlib.Path(folder) / "weights.json").read_text())


def upload(name, files):
    """A model.tar.gz of these files, in S3."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    boto3.client("s3").put_object(Bucket=bucket, Key=f"{name}.tar.gz", Body=stream.getvalue())
    return f"s3://{bucket}/{name}.tar.gz"


def failing():
    report = {}
    client = boto3.client("sagemaker")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "raising.py").write_text("import torch\ntorch.zeros(2, 3) @ torch.zeros(2, 3)\n")
        (folder / "broken.py").write_text("def train(:\n")
        started = {}
        for entry_point in ("raising.py", "broken.py"):
            started[entry_point] = estimator(entry_point, folder)
            started[entry_point].fit(wait=False)
        for entry_point, each in started.items():
            waiter = client.get_waiter("training_job_completed_or_stopped")
            job = each.latest_training_job.name
            with contextlib.suppress(WaiterError):
                waiter.wait(TrainingJobName=job, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
            report[entry_point] = client.describe_training_job(TrainingJobName=job)["FailureReason"]
    archives = {
        "another framework": {"model.joblib": b"\x80\x04N.", "notes.md": b""},
        "no file of PyTorch": {"model.pt": b"these are no weights"},
        "syntax error": {"model.pt": b"", "code/inference.py": b"def model_fn(:\n"},
    }
    image = sagemaker.image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="1.13.1",
        py_version="py39",
        image_scope="inference",
        instance_type="ml.m5.large",
    )
    for position, files in enumerate(archives.values()):
        name = f"failing-{position}"
        model = Model(image, upload(name, files), role, name=name, sagemaker_session=session)
        model.deploy(1, "ml.m5.large", endpoint_name=name, wait=False)
    for position, what in enumerate(archives):
        name = f"failing-{position}"
        waiter = client.get_waiter("endpoint_in_service")
        with contextlib.suppress(WaiterError):
            waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
        described = client.describe_endpoint(EndpointName=name)
        report[what] = described.get("FailureReason", described["EndpointStatus"])
    return report


print(json.dumps({"script": script, "distributed": distributed, "failing": failing}[sys.argv[1]]()))
