"""What users of XGBoost write: python notebook.py DATA STEP ...

DATA holds train.csv, validation.csv, rows.csv, rows.libsvm and model.tar.gz. Each STEP reports what
it saw; all of it is printed as one line of JSON at the end.
"""

import contextlib
import json
import sys
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.image_uris import retrieve
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, LibSVMSerializer
from sagemaker.xgboost import XGBoost

data = Path(sys.argv[1])
here = Path(__file__).parent
session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
for name in ("train.csv", "validation.csv"):
    session.upload_data(str(data / name), bucket, f"xgboost/{Path(name).stem}")
for part in sorted(data.glob("part-*.csv")):
    session.upload_data(str(part), bucket, "xgboost/sharded")


def channel(name, distribution="FullyReplicated"):
    uri = f"s3://{bucket}/xgboost/{name}"
    return TrainingInput(uri, content_type="csv", distribution=distribution)


def built_in(version, instance_count=1):
    estimator = Estimator(
        retrieve("xgboost", session.boto_region_name, version),
        role,
        instance_count,
        "ml.m5.xlarge",
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(
        objective="binary:logistic", num_round=6, max_depth=3, eta=0.4, eval_metric="auc,logloss"
    )
    return estimator


def predictions(text):
    return [float(line) for line in text.split()]


def algorithm():
    """Train, deploy, predict from CSV, libsvm and with JSON as the answer."""
    estimator = built_in("1.7-1")
    estimator.fit({"train": channel("train"), "validation": channel("validation")})
    job = estimator.latest_training_job.describe()
    predictor = estimator.deploy(1, "ml.m5.large", serializer=CSVSerializer())
    rows = [[float(v) for v in line.split(",")] for line in (data / "rows.csv").open()]
    report = {
        "metrics": {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]},
        "csv": predictions(predictor.predict(rows).decode()),
        "one": predictions(predictor.predict((data / "rows.csv").read_text().split()[0]).decode()),
    }
    predictor.serializer = LibSVMSerializer()
    libsvm = (data / "rows.libsvm").read_text()
    report["libsvm"] = predictions(predictor.predict(libsvm).decode())
    predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
    report["json"] = [entry["score"] for entry in predictor.predict(rows)["predictions"]]
    predictor.delete_endpoint()
    return report


def classic():
    """What notebooks do with the versions of their time: split at commas, later at lines."""
    model = built_in("1.2-1")
    model.fit({"train": channel("train")})
    held, _, key = model.model_data.removeprefix("s3://").partition("/")
    boto3.client("s3").download_file(held, key, str(data / "classic.tar.gz"))
    rows = (data / "rows.csv").read_text()
    report = {}
    for version, mark in (("latest", ","), ("1.2-1", ","), ("1.2-2", "\n")):
        image = retrieve("xgboost", session.boto_region_name, version)
        again = Model(
            image, model.model_data, role, predictor_cls=Predictor, sagemaker_session=session
        )
        predictor = again.deploy(1, "ml.m5.large", serializer=CSVSerializer())
        answer = predictor.predict(rows).decode()
        predictor.delete_endpoint()
        report[version] = np.fromstring(answer, sep=mark).tolist()
    return report


def trained_elsewhere():
    """A model dumped with joblib in a notebook, tarred and uploaded."""
    uri = session.upload_data(str(data / "model.tar.gz"), bucket, "xgboost/elsewhere")
    image = retrieve("xgboost", session.boto_region_name, "3.0-5", image_scope="inference")
    model = Model(image, uri, role, predictor_cls=Predictor, sagemaker_session=session)
    predictor = model.deploy(
        1, "ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer()
    )
    answer = predictor.predict((data / "rows.csv").read_text())
    predictor.delete_endpoint()
    return [[float(cell) for cell in row] for row in answer]


def script():
    """A training script of one's own, which serves the model, too."""
    estimator = XGBoost(
        entry_point="train.py",
        source_dir=str(here / "source"),
        framework_version="1.7-1",
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"max_depth": 2, "num_round": 3},
        sagemaker_session=session,
    )
    estimator.fit({"train": channel("train")})
    predictor = estimator.deploy(
        1, "ml.m5.large", serializer=CSVSerializer(), deserializer=JSONDeserializer()
    )
    answer = predictor.predict((data / "rows.csv").read_text())
    predictor.delete_endpoint()
    return answer


def two_hosts():
    """One model of two hosts, each with its own part of the rows."""
    estimator = built_in("1.7-1", instance_count=2)
    estimator.fit({"train": channel("sharded", "ShardedByS3Key")})
    job = estimator.latest_training_job.describe()
    return {
        "status": job["TrainingJobStatus"],
        "metrics": {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]},
        "model": estimator.model_data,
    }


def mistake():
    """A hyperparameter out of range."""
    estimator = built_in("1.5-1")
    estimator.set_hyperparameters(objective="binary:logistic", num_round=6, eta=7)
    with contextlib.suppress(sagemaker.exceptions.UnexpectedStatusException):
        estimator.fit({"train": channel("train")})
    return estimator.latest_training_job.describe()["FailureReason"]


STEPS = {f.__name__: f for f in (algorithm, classic, trained_elsewhere, script, two_hosts, mistake)}
print(json.dumps({step: STEPS[step]() for step in sys.argv[2:]}))
