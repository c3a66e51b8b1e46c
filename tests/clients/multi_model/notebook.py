"""What a user of multi-model endpoints writes: python notebook.py. One line of JSON at the end."""

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
region = session.boto_region_name
image = sagemaker.image_uris.retrieve("linear-learner", region)
runtime = boto3.client("sagemaker-runtime")
report: dict[str, Any] = {}


def train(slope: int) -> str:
    """A Linear Learner for y = slope * x; its archive in S3."""
    x = np.linspace(0, 10, 200)
    rows = "".join(f"{slope * value},{value}\n" for value in x)
    data = session.upload_string_as_file_body(rows, bucket, f"mme/data/{slope}/rows.csv")
    estimator = Estimator(
        image,
        role,
        1,
        "ml.m5.large",
        sagemaker_session=session,
        hyperparameters={"predictor_type": "regressor", "epochs": 10, "mini_batch_size": 20},
    )
    estimator.fit({"train": TrainingInput(data, content_type="text/csv")}, logs=False)
    return str(estimator.model_data)


def score(predictor: Predictor, target: str) -> float:
    answer = predictor.predict([4.0], target_model=target)
    return float(answer["predictions"][0]["score"])


# Two trained models below a prefix, one endpoint, and a third model that comes later.
prefix = f"s3://{bucket}/mme/models/"
first, second = train(2), train(5)
model = Model(image, model_data=prefix, role=role, sagemaker_session=session)
model.predictor_cls = Predictor
many = MultiDataModel("mme", prefix, model=model, sagemaker_session=session)
report["added"] = many.add_model(first, "two.tar.gz")
predictor = many.deploy(
    1, "ml.m5.large", serializer=CSVSerializer(), deserializer=JSONDeserializer()
)
report["scores"] = [score(predictor, "two.tar.gz")]
with tempfile.TemporaryDirectory() as folder:
    local = Path(folder) / "five.tar.gz"
    boto3.client("s3").download_file(bucket, second.removeprefix(f"s3://{bucket}/"), str(local))
    many.add_model(str(local))
report["listed"] = sorted(many.list_models())
report["scores"] += [score(predictor, name) for name in ("five.tar.gz", "two.tar.gz")]

# The same by the AWS CLI, and what boto3 is told of mistakes.
with tempfile.TemporaryDirectory() as folder:
    body, answer = Path(folder) / "body.csv", Path(folder) / "answer.json"
    body.write_text("4.0")
    subprocess.run(
        [
            *(Path(sys.executable).with_name("aws"), "sagemaker-runtime", "invoke-endpoint"),
            *("--endpoint-name", "mme", "--target-model", "five.tar.gz"),
            *("--content-type", "text/csv", "--body", f"fileb://{body}", answer),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    report["cli"] = json.loads(answer.read_text())["predictions"][0]["score"]
report["refusals"] = []
for target in ({}, {"TargetModel": "nobody.tar.gz"}):
    try:
        runtime.invoke_endpoint(EndpointName="mme", ContentType="text/csv", Body=b"1", **target)
    except ClientError as error:
        report["refusals"].append(error.response["Error"])
predictor.delete_endpoint()

# Scripts as models: each archive brings its own inference.py and modules.
scripts = f"s3://{bucket}/mme/scripts/"
for name in ("ant", "bee"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, text in {
            "code/inference.py": "from words import NAME\n"
            "def model_fn(model_dir): return NAME\n"
            "def transform_fn(model, body, content_type, accept): return f'{model} {body}', accept",
            "code/words.py": f"NAME = {name!r}",
        }.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    boto3.client("s3").put_object(
        Bucket=bucket, Key=f"mme/scripts/{name}.tar.gz", Body=packed.getvalue()
    )
scripted = MultiDataModel(
    "mme-scripts",
    scripts,
    image_uri="sagelocal/base:1",
    role=role,
    sagemaker_session=session,
    predictor_cls=Predictor,
)
predictor = scripted.deploy(1, "ml.m5.large", serializer=CSVSerializer())
report["scripts"] = [
    predictor.predict("1,2", target_model=f"{name}.tar.gz").decode() for name in ("ant", "bee")
]
predictor.delete_endpoint()
print(json.dumps(report))
