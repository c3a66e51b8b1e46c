"""What a user of the SDK is told when the job cannot be done: the reason, in the SDK's own words.

Every case trains the built-in Linear Learner; nothing hangs, and the plane lives on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clients.conftest import Terminal

pytestmark = [pytest.mark.clients, pytest.mark.slow]

GOOD_ROWS = "1000,7\n1100,20\n1200,33\n1300,40\n1400,52\n1500,66\n"
TRAIN = """
import json, sys, uuid
import boto3, sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput

case = json.loads(sys.argv[1])
session = sagemaker.Session()
bucket = session.default_bucket()
prefix = uuid.uuid4().hex
if case.get("rows") is not None:
    boto3.client("s3").put_object(
        Bucket=bucket, Key=f"{prefix}/train/rows.csv", Body=case["rows"].encode("latin-1"))
image = case.get("image") or sagemaker.image_uris.retrieve("linear-learner", "us-east-1", "1")
estimator = Estimator(
    image, sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.xlarge",
    output_path=f"s3://{bucket}/{prefix}/output", sagemaker_session=session)
estimator.set_hyperparameters(**{"predictor_type": "regressor", "mini_batch_size": 2,
                                 **case.get("hyperparameters", {})})
data = case.get("data") or f"s3://{bucket}/{prefix}/train"
try:
    estimator.fit({"train": TrainingInput(data, content_type="text/csv")}, logs=False)
    print("\\nCompleted")
except Exception as error:
    print("\\n" + json.dumps(str(error)))
"""


def told(terminal: Terminal, **case: object) -> str:
    """What the SDK's exception says of the job; `Completed` if there was none."""
    last = terminal.python(TRAIN, json.dumps(case)).strip().splitlines()[-1]
    return last if last == "Completed" else str(json.loads(last))


def test_good_input_completes(terminal: Terminal) -> None:
    assert told(terminal, rows=GOOD_ROWS) == "Completed"


def test_an_unknown_image_is_told_with_the_known_names_and_the_next_step(
    terminal: Terminal,
) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/no-such-image:1"
    text = told(terminal, rows=GOOD_ROWS, image=image)

    assert "no-such-image:1" in text
    assert "linear-learner" in text
    assert "sagelocal build" in text or "docker build" in text or "--runtime docker" in text


def test_a_missing_bucket_is_named(terminal: Terminal) -> None:
    assert "s3://no-such-bucket/train" in told(terminal, data="s3://no-such-bucket/train")


def test_a_prefix_without_objects_is_named(terminal: Terminal) -> None:
    text = told(terminal, rows=GOOD_ROWS, data="s3://sagemaker-us-east-1-000000000000/nothing")

    assert "s3://sagemaker-us-east-1-000000000000/nothing" in text


def test_every_wrong_hyperparameter_is_told_at_once(terminal: Terminal) -> None:
    wrong = {"mini_batch_siz": 4, "epochs": "many", "predictor_type": "regresor"}
    text = told(terminal, rows=GOOD_ROWS, hyperparameters=wrong)

    for word in ("mini_batch_siz", "many", "regresor"):
        assert word in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1000,7\n1100,2o\n1200,33\n", ("rows.csv", "2", "2o")),
        ("1000,7\n1100\n1200,33\n", ("rows.csv", "2")),
        ("salary,months\n1000,7\n1100,20\n", ("rows.csv", "salary")),
        ("", ("train",)),
        ("1000,7\n\xff\xfe,20\n", ("rows.csv", "2")),
    ],
    ids=["not a number", "short row", "header", "empty", "not UTF-8"],
)
def test_an_unreadable_csv_is_told_with_file_line_and_value(
    terminal: Terminal, rows: str, words: tuple[str, ...]
) -> None:
    text = told(terminal, rows=rows)

    for word in words:
        assert word in text


def test_the_plane_lives_on_after_all_of_it(terminal: Terminal) -> None:
    assert terminal.sagelocal("status").startswith("up at ")
    assert told(terminal, rows=GOOD_ROWS) == "Completed"
