"""What users of scikit-learn write: python notebook.py script|saved|failing; JSON comes last."""

import contextlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile

import boto3
import joblib
import numpy as np
import pandas as pd
import sagemaker
from botocore.exceptions import WaiterError
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sagemaker.sklearn import SKLearn, SKLearnModel
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HERE = pathlib.Path(__file__).parent
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
features, species = load_iris(return_X_y=True)


def estimator(entry_point, source_dir, **hyperparameters):
    return SKLearn(
        entry_point=entry_point,
        source_dir=str(source_dir),
        role=role,
        framework_version="1.2-1",
        instance_type="ml.m5.large",
        instance_count=1,
        hyperparameters=hyperparameters,
        sagemaker_session=session,
        metric_definitions=[{"Name": "accuracy", "Regex": "ACCURACY=(.*?);"}],
    )


def upload(files):
    """A model.tar.gz of these files, in S3."""
    with tempfile.TemporaryDirectory() as folder:
        archive = pathlib.Path(folder) / "model.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return session.upload_data(str(archive), bucket, f"models/{len(files)}-{next(iter(files))}")


def dumped(model):
    stream = io.BytesIO()
    joblib.dump(model, stream)
    return stream.getvalue()


def script():
    rows = pd.DataFrame(np.column_stack([species, features]))
    text = rows.to_csv(header=False, index=False)
    session.upload_string_as_file_body(text, bucket, "iris/iris.csv")
    trained = estimator("iris.py", HERE / "source", **{"max-iter": 500, "penalty-strength": 2.0})
    trained.fit({"train": f"s3://{bucket}/iris"})
    job = trained.latest_training_job.describe()
    predictor = trained.deploy(initial_instance_count=1, instance_type="ml.m5.large")
    report = {
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "metrics": {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]},
        "npy": predictor.predict(features[[0, 50, 100]]).tolist(),
    }
    rows = Predictor(predictor.endpoint_name, session, CSVSerializer(), CSVDeserializer())
    report["csv"] = rows.predict(features[[0, 100]].tolist())
    predictor.delete_model()
    predictor.delete_endpoint()
    return report


def saved():
    iris = LogisticRegression(max_iter=500).fit(features, species)
    people = pd.DataFrame({"age": [25, 32, 47, 51], "city": ["Oslo", "Rome", "Oslo", "Rome"]})
    rents = make_pipeline(
        make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["city"])),
        LinearRegression(),
    ).fit(people, [10.0, 20.0, 12.0, 22.0])
    plain = SKLearnModel(
        model_data=upload({"model.joblib": dumped(iris)}),
        role=role,
        framework_version="0.20.0",
        sagemaker_session=session,
    ).deploy(1, "ml.m5.large")
    named = Model(
        image_uri=sagemaker.image_uris.retrieve("sklearn", session.boto_region_name, "1.2-1"),
        model_data=upload({"rents.pkl": dumped(rents)}),
        role=role,
        sagemaker_session=session,
        predictor_cls=Predictor,
        env={"MODEL_SERVER_PREDICT_METHOD": "predict"},
    ).deploy(1, "ml.m5.large", serializer=JSONSerializer(), deserializer=JSONDeserializer())
    report = {
        "plain": plain.predict(features).tolist() == iris.predict(features).tolist(),
        "named": named.predict(people.to_dict(orient="records")),
        "names": rents.predict(people).tolist(),
        "endpoint": named.endpoint_name,
    }
    runtime = boto3.client("sagemaker-runtime")
    for body, kind in (("1,2", "text/csv"), ("<a/>", "application/xml"), ("1\n2,3", "text/csv")):
        try:
            runtime.invoke_endpoint(
                EndpointName=plain.endpoint_name, ContentType=kind, Body=body.encode()
            )
        except runtime.exceptions.ModelError as error:
            answer = error.response
            report[f"{kind} {body}"] = [answer["OriginalStatusCode"], answer["OriginalMessage"]]
    plain.delete_endpoint()
    return report


def failing():
    report = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "raising.py").write_text("raise ValueError('the third row has no label')\n")
        (folder / "broken.py").write_text("def train(:\n")
        started = {}
        for entry_point in ("raising.py", "broken.py"):
            started[entry_point] = estimator(entry_point, folder)
            started[entry_point].fit(wait=False)
        # The SDK itself looks for the entry point; a request of another client need not.
        request = started["broken.py"].latest_training_job.describe()
        client = boto3.client("sagemaker")
        client.create_training_job(
            TrainingJobName="missing",
            HyperParameters={**request["HyperParameters"], "sagemaker_program": '"absent.py"'},
            **{
                key: request[key]
                for key in (
                    "AlgorithmSpecification",
                    "RoleArn",
                    "OutputDataConfig",
                    "ResourceConfig",
                    "StoppingCondition",
                )
            },
        )
        jobs = {name: each.latest_training_job.name for name, each in started.items()}
        for name, job in {**jobs, "absent.py": "missing"}.items():
            waiter = client.get_waiter("training_job_completed_or_stopped")
            with contextlib.suppress(WaiterError):
                waiter.wait(TrainingJobName=job, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
            report[name] = client.describe_training_job(TrainingJobName=job)["FailureReason"]
    iris = dumped(LogisticRegression(max_iter=500).fit(features, species))
    archives = {
        "no model": {"notes.md": b"", "weights.bin": b""},
        "syntax error": {"model.joblib": iris, "code/inference.py": b"def model_fn(:\n"},
        "raising": {"model.joblib": iris, "code/inference.py": b"def model_fn(d):\n    1 / 0\n"},
    }
    for position, files in enumerate(archives.values()):
        name = f"failing-{position}"
        image = sagemaker.image_uris.retrieve("sklearn", session.boto_region_name, "1.0-1")
        model = Model(image, upload(files), role, name=name, sagemaker_session=session)
        model.deploy(1, "ml.m5.large", endpoint_name=name, wait=False)
    for position, what in enumerate(archives):
        waiter = client.get_waiter("endpoint_in_service")
        with contextlib.suppress(WaiterError):
            waiter.wait(
                EndpointName=f"failing-{position}", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
            )
        described = client.describe_endpoint(EndpointName=f"failing-{position}")
        report[what] = described.get("FailureReason", described["EndpointStatus"])
    return report


print(json.dumps({"script": script, "saved": saved, "failing": failing}[sys.argv[1]]()))
