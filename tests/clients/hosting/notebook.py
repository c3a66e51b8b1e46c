"""What a user of streams and pipelines writes: python notebook.py. One line of JSON at the end."""

import io
import json
import tarfile

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.iterators import LineIterator
from sagemaker.model import Model
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()

COUNTING = """
def model_fn(model_dir): return None
def input_fn(body, content_type): return int(body)
def predict_fn(number, model): return (f"line {n}\\n" for n in range(number))
def output_fn(lines, accept): return lines, accept
"""
TRIMMING = """
def model_fn(model_dir): return None
def input_fn(body, content_type): return [line.split(",") for line in body.splitlines()]
def predict_fn(rows, model): return [row[1:] for row in rows]
def output_fn(rows, accept):
    return "".join(",".join(row) + "\\n" for row in rows), "text/csv; charset=utf-8"
"""


def packed(script: str, name: str) -> str:
    """A model.tar.gz with one script; its place in S3."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(script.encode())
        tar.addfile(member, io.BytesIO(script.encode()))
    session.boto_session.client("s3").put_object(Bucket=bucket, Key=name, Body=archive.getvalue())
    return f"s3://{bucket}/{name}"


def script_model(script: str, name: str) -> Model:
    return Model("sagelocal/base:1", packed(script, name), role, sagemaker_session=session)


report = {}

counting = script_model(COUNTING, "counting/model.tar.gz")
counting.predictor_cls = Predictor
predictor = counting.deploy(1, "ml.m5.large")
parts = predictor.predict_stream(
    "3", {"ContentType": "text/csv", "Accept": "text/plain"}, iterator=LineIterator
)
report["lines"] = [line.decode() for line in parts]
predictor.delete_endpoint()

rows = "".join(f"{10 + 2 * x},{x}\n" for x in range(200))
data = session.upload_string_as_file_body(rows, bucket, "line/rows.csv")
line = Estimator(
    sagemaker.image_uris.retrieve("linear-learner", session.boto_region_name),
    role,
    1,
    "ml.m5.large",
    hyperparameters={"predictor_type": "regressor", "feature_dim": 1, "epochs": 3},
    sagemaker_session=session,
)
line.fit({"train": sagemaker.inputs.TrainingInput(data, content_type="text/csv")}, logs=False)
pipeline = PipelineModel(
    [script_model(TRIMMING, "trimming/model.tar.gz"), line.create_model()],
    role,
    predictor_cls=Predictor,
    sagemaker_session=session,
)
predictor = pipeline.deploy(1, "ml.m5.large")
predictor.serializer = CSVSerializer()
report["answer"] = json.loads(predictor.predict("a,0\nb,50", {"Accept": "application/json"}))
try:
    predictor.predict("a,no number")
except session.sagemaker_runtime_client.exceptions.ModelError as error:
    report["refusal"] = error.response["Error"]["Message"]
predictor.delete_endpoint()
print(json.dumps(report))
