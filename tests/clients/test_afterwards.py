"""What a notebook asks of a job that another cell, or another day, has started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Terminal

pytestmark = [pytest.mark.clients, pytest.mark.slow]

START = """
import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput

session = sagemaker.Session()
rows = "".join(f"{985 + 8 * months},{months}\\n" for months in range(7, 95, 3))
data = f"s3://{session.default_bucket()}/rows.csv"
sagemaker.s3.S3Uploader.upload_string_as_file_body(rows, data)
estimator = Estimator(
    sagemaker.image_uris.retrieve("linear-learner", "us-east-1", "1"),
    sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge",
    hyperparameters={"predictor_type": "regressor", "mini_batch_size": 4, "use_bias": True},
)
channel = TrainingInput(data, content_type="text/csv")
estimator.fit({"train": channel, "validation": channel}, wait=False)
print("\\n" + estimator.latest_training_job.name)
"""

ATTACH = """
import contextlib, io, json, sys
import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator

name = sys.argv[1]
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    estimator = Estimator.attach(name)
    estimator.logs()
frame = TrainingJobAnalytics(name, ["train:objective_loss", "validation:rmse"]).dataframe()
print("\\n" + json.dumps({
    "printed": printed.getvalue(),
    "hyperparameters": estimator.hyperparameters(),
    "model_data": estimator.model_data,
    "metrics": sorted(set(frame["metric_name"])),
    "losses": list(frame[frame["metric_name"] == "train:objective_loss"]["value"]),
}))
"""

DEPLOY = """
import json, sys
import boto3
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer, JSONLinesDeserializer
from sagemaker.estimator import Estimator
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer, JSONLinesSerializer, JSONSerializer

estimator = Estimator.attach(sys.argv[1])
first = estimator.deploy(1, "ml.m5.large", endpoint_name="first", serializer=CSVSerializer())
second = estimator.deploy(1, "ml.m5.large", endpoint_name="second", serializer=CSVSerializer())
forms = {
    "csv": (CSVSerializer(), CSVDeserializer(), [[42]]),
    "json": (JSONSerializer(), JSONDeserializer(), {"instances": [{"features": [42]}]}),
    "jsonl": (JSONLinesSerializer(), JSONLinesDeserializer(), [{"features": [42]}]),
}
answers = {
    form: Predictor("first", serializer=write, deserializer=read).predict(data)
    for form, (write, read, data) in forms.items()
}
first.update_endpoint(initial_instance_count=2, instance_type="ml.c5.large")
(variant,) = boto3.client("sagemaker").describe_endpoint(EndpointName="first")["ProductionVariants"]
for predictor in (first, second):
    predictor.delete_model()
    predictor.delete_endpoint()
print("\\n" + json.dumps({"answers": answers, "count": variant["CurrentInstanceCount"]}))
"""


@pytest.fixture(scope="module")
def job(terminal: Terminal) -> str:
    """The name of a job that was started and not waited for."""
    return terminal.python(START).strip().splitlines()[-1]


def _last(printed: str) -> Any:
    return json.loads(printed.strip().splitlines()[-1])


def test_the_log_is_followed_to_the_end_of_the_job(terminal: Terminal, job: str) -> None:
    followed = terminal.sagelocal("logs", "-f", job)

    assert "Docker entrypoint called with argument(s): train" in followed
    assert '"totaltime"' in followed.splitlines()[-1]
    assert terminal.sagelocal("logs", job) == followed


def test_a_job_is_attached_to_with_its_log_and_its_metrics(terminal: Terminal, job: str) -> None:
    terminal.sagelocal("logs", "-f", job)
    seen = _last(terminal.python(ATTACH, job))

    assert "Completed - Training job completed" in seen["printed"]
    assert "#quality_metric: host=algo-1, epoch=0" in seen["printed"]
    assert seen["hyperparameters"]["use_bias"] == "True"
    assert seen["model_data"].endswith(f"/{job}/output/model.tar.gz")
    assert seen["metrics"] == ["train:objective_loss", "validation:rmse"]
    assert all(loss >= 0 for loss in seen["losses"])


def test_it_is_deployed_twice_asked_in_every_form_and_updated(terminal: Terminal, job: str) -> None:
    terminal.sagelocal("logs", "-f", job)
    seen = _last(terminal.python(DEPLOY, job))
    scores = [
        float(seen["answers"]["csv"][0][0]),
        seen["answers"]["json"]["predictions"][0]["score"],
        seen["answers"]["jsonl"][0]["score"],
    ]

    assert scores == pytest.approx([985 + 8 * 42] * 3, rel=0.01)
    assert seen["count"] == 2
