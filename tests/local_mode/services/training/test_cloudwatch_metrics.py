"""CloudWatch's metrics of a job, as boto3 asks for them."""

from __future__ import annotations

import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

NAMESPACE = "/aws/sagemaker/TrainingJobs"
SCRIPT = """
for error in (4, 2, 1):
    print(f"error={error};")
"""


@pytest.fixture
def job(training: Any) -> dict[str, Any]:
    """A job that printed an error of 4, 2 and 1, and no accuracy."""
    request = training.request("metrics", SCRIPT)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "error", "Regex": "error=([0-9.]+);"},
        {"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"},
    ]
    training.sagemaker.create_training_job(**request)
    ended: dict[str, Any] = training.await_end("metrics")
    return ended


@pytest.fixture
def cloudwatch(training: Any) -> Any:
    return training.plane.client("cloudwatch")


def asked(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "Namespace": NAMESPACE,
        "MetricName": "error",
        "Dimensions": [{"Name": "TrainingJobName", "Value": "metrics"}],
        "StartTime": now - timedelta(minutes=10),
        "EndTime": now + timedelta(minutes=1),
        "Period": 3600,
        "Statistics": ["Average", "Sum", "Minimum", "Maximum", "SampleCount"],
        **more,
    }


def test_statistics_are_those_of_what_was_printed(job: dict[str, Any], cloudwatch: Any) -> None:
    answer = cloudwatch.get_metric_statistics(**asked())
    points = answer["Datapoints"]

    assert answer["Label"] == "error"
    assert sum(point["SampleCount"] for point in points) == 3
    assert sum(point["Sum"] for point in points) == 7
    assert min(point["Minimum"] for point in points) == 1
    assert max(point["Maximum"] for point in points) == 4
    assert all(point["Timestamp"] <= job["TrainingEndTime"] for point in points)


@pytest.mark.parametrize(
    "change",
    [
        {"MetricName": "accuracy"},
        {"Namespace": "Custom"},
        {"Dimensions": [{"Name": "TrainingJobName", "Value": "other"}]},
        {"Dimensions": []},
    ],
)
def test_what_was_not_printed_has_no_datapoints(
    job: dict[str, Any], cloudwatch: Any, change: dict[str, Any]
) -> None:
    assert cloudwatch.get_metric_statistics(**asked(**change))["Datapoints"] == []


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Period": 7}, "InvalidParameterValue", "Period is 7; it must be 1, 5, 10, 20, 30"),
        ({"Statistics": None}, "InvalidParameterCombination", "Must specify either Statistics"),
        (
            {"Period": 1, "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
            "InvalidParameterCombination",
            "exceeds the limit of 1,440",
        ),
        ({"EndTime": datetime(2020, 1, 1)}, "InvalidParameterValue", "must be less than"),
        ({"ExtendedStatistics": ["p90"]}, "InvalidParameterValue", "is not supported"),
    ],
)
def test_what_cannot_be_asked_says_why(
    cloudwatch: Any, change: dict[str, Any], code: str, words: str
) -> None:
    request = {key: value for key, value in asked(**change).items() if value is not None}
    with pytest.raises(ClientError, match=words) as seen:
        cloudwatch.get_metric_statistics(**request)
    assert seen.value.response["Error"]["Code"] == code


def test_several_metrics_are_had_at_once(job: dict[str, Any], cloudwatch: Any) -> None:
    request = asked()
    metric = {key: request[key] for key in ("Namespace", "MetricName", "Dimensions")}
    query = {"Metric": metric, "Period": 3600, "Stat": "Maximum"}
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "worst", "MetricStat": query},
            {"Id": "unseen", "MetricStat": query, "ReturnData": False},
        ],
        StartTime=request["StartTime"],
        EndTime=request["EndTime"],
    )
    (worst,) = answer["MetricDataResults"]

    assert (worst["Id"], worst["Label"], max(worst["Values"])) == ("worst", "error", 4)
    assert len(worst["Timestamps"]) == len(worst["Values"])


def test_an_expression_is_refused(cloudwatch: Any) -> None:
    request = asked()
    with pytest.raises(ClientError, match="expressions are not supported"):
        cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "e", "Expression": "1 + 1"}],
            StartTime=request["StartTime"],
            EndTime=request["EndTime"],
        )


def test_printed_metrics_are_listed_with_their_job(job: dict[str, Any], cloudwatch: Any) -> None:
    dimension = {"Name": "TrainingJobName", "Value": "metrics"}
    expected = [{"Namespace": NAMESPACE, "MetricName": "error", "Dimensions": [dimension]}]

    assert cloudwatch.list_metrics()["Metrics"] == expected
    assert cloudwatch.list_metrics(Dimensions=[dimension])["Metrics"] == expected
    assert cloudwatch.list_metrics(MetricName="accuracy")["Metrics"] == []
    assert cloudwatch.list_metrics(Namespace="AWS/EC2")["Metrics"] == []


def test_a_running_jobs_metrics_are_there_while_it_runs(training: Any, cloudwatch: Any) -> None:
    script = SCRIPT + "import time; time.sleep(600)"
    request = training.request("metrics", script)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "error", "Regex": "error=([0-9.]+);"}
    ]
    training.sagemaker.create_training_job(**request)
    training.await_line("metrics", "error=1;")

    assert [m["MetricName"] for m in cloudwatch.list_metrics()["Metrics"]] == ["error"]
    assert cloudwatch.get_metric_statistics(**asked())["Datapoints"]
    training.sagemaker.stop_training_job(TrainingJobName="metrics")
    training.await_end("metrics")


def test_a_client_of_the_query_protocol_is_answered_in_xml(
    job: dict[str, Any], training: Any
) -> None:
    form = b"Action=ListMetrics&Version=2010-08-01&Dimensions.member.1.Name=TrainingJobName"
    with urllib.request.urlopen(training.plane.url, data=form, timeout=30) as response:
        answer = response.read().decode()

    assert "<ListMetricsResponse " in answer
    assert "<MetricName>error</MetricName>" in answer
