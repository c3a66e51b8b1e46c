"""What users of Hugging Face write: python notebook.py train|failing; JSON comes last."""

import contextlib
import io
import json
import pathlib
import sys
import tarfile

import boto3
import sagemaker
from botocore.exceptions import WaiterError
from sagemaker.huggingface import HuggingFace, HuggingFaceModel

HERE = pathlib.Path(__file__).parent
session = sagemaker.Session()
bucket = session.default_bucket()
role = sagemaker.get_execution_role()
OPENINGS = [f"{a} {b}" for a in ("this", "the") for b in ("film", "story")]
ENDS = {
    "was good": 1,
    "is great": 1,
    "is fine": 1,
    "was bad": 0,
    "is poor": 0,
    "was a bad story": 0,
}
REVIEWS = [f"{opening} {end},{label}" for opening in OPENINGS for end, label in ENDS.items()]


def model(**more):
    return HuggingFaceModel(
        role=role,
        transformers_version="4.26.0",
        pytorch_version="1.13.1",
        py_version="py39",
        sagemaker_session=session,
        **more,
    )


def refused(predictor, body, content_type="application/json"):
    """The status and the words of a request that is not answered."""
    runtime = boto3.client("sagemaker-runtime")
    try:
        runtime.invoke_endpoint(
            EndpointName=predictor.endpoint_name, Body=body, ContentType=content_type
        )
    except runtime.exceptions.ModelError as error:
        return [error.response["OriginalStatusCode"], error.response["OriginalMessage"]]


def train():
    text = "\n".join(["text,label", *REVIEWS]) + "\n"
    session.upload_string_as_file_body(text, bucket, "reviews/reviews.csv")
    trained = HuggingFace(
        entry_point="train.py",
        source_dir=str(HERE / "source"),
        role=role,
        transformers_version="4.26.0",
        pytorch_version="1.13.1",
        py_version="py39",
        instance_type="ml.p3.2xlarge",
        instance_count=1,
        hyperparameters={"epochs": 10, "train_batch_size": 8},
        metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(.*?);"}],
        sagemaker_session=session,
    )
    trained.fit({"train": f"s3://{bucket}/reviews"})
    job = trained.latest_training_job.describe()
    predictor = trained.deploy(1, "ml.g4dn.xlarge")
    report = {
        "image": job["AlgorithmSpecification"]["TrainingImage"],
        "metrics": {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]},
        "one": predictor.predict({"inputs": "this film is great"}),
        "both": predictor.predict({"inputs": "the story was bad", "parameters": {"top_k": 2}}),
        "no parameters": refused(predictor, b'{"inputs": "a", "parameters": 3}'),
        "no json": refused(predictor, b"{"),
        "type": refused(predictor, b"<a/>", "application/xml"),
    }
    predictor.delete_endpoint()
    own = model(
        model_data=trained.model_data,
        entry_point="inference.py",
        source_dir=str(HERE / "source"),
    ).deploy(1, "ml.m5.xlarge")
    report["own"] = own.predict({"texts": ["this film is great", "the story was bad"]})
    own.delete_endpoint()
    return report


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


def configured(architecture):
    """A model that has no weights."""
    config = json.dumps({"architectures": [architecture], "model_type": "bert"})
    return upload(architecture, {"config.json": config.encode()})


def failing():
    nobody = "nobodys/model-of-nobody"
    settings = {
        "hub": {"env": {"HF_MODEL_ID": nobody, "HF_TASK": "fill-mask", "HF_HUB_OFFLINE": "1"}},
        "another framework": {"model_data": upload("other", {"model.joblib": b"\x80\x04N."})},
        "no weights": {"model_data": configured("BertForMaskedLM")},
        "no task": {"model_data": configured("BertModel")},
    }
    for position, more in enumerate(settings.values()):
        model(**more, name=f"failing-{position}").deploy(
            1, "ml.m5.xlarge", endpoint_name=f"failing-{position}", wait=False
        )
    client = boto3.client("sagemaker")
    report = on_tensorflow(client)
    for position, what in enumerate(settings):
        name = f"failing-{position}"
        waiter = client.get_waiter("endpoint_in_service")
        with contextlib.suppress(WaiterError):
            waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
        described = client.describe_endpoint(EndpointName=name)
        report[what] = described.get("FailureReason", described["EndpointStatus"])
    return report


def on_tensorflow(client):
    """What is said of the images that have TensorFlow inside."""
    versions = {"transformers_version": "4.6.1", "tensorflow_version": "2.4.1"}
    common = {"role": role, "py_version": "py37", "sagemaker_session": session, **versions}
    report = {}
    try:
        HuggingFaceModel(model_data=configured("TFBertModel"), **common).deploy(1, "ml.m5.xlarge")
    except Exception as error:
        report["TensorFlow"] = str(error)
    trained = HuggingFace(
        entry_point="train.py",
        source_dir=str(HERE / "source"),
        instance_type="ml.p3.2xlarge",
        instance_count=1,
        **common,
    )
    try:
        trained.fit()
    except Exception as error:
        report["training on TensorFlow"] = str(error)
    return report


# The SDK leaves its progress line open.
print("\n" + json.dumps({"train": train, "failing": failing}[sys.argv[1]]()))
