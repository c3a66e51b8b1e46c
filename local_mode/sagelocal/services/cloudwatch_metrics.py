"""CloudWatch's metrics of training jobs, read from the jobs' logs (CloudWatch API reference).

A job's metrics are in the namespace `/aws/sagemaker/TrainingJobs` with the one dimension
`TrainingJobName` (SageMaker developer guide, "Amazon SageMaker AI metrics in CloudWatch"). A log
line that a metric's expression matches is a value, at the time of the line, to the millisecond;
nothing is kept besides the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagelocal.domain.statistics import MOST_DATAPOINTS, STATISTICS, Span, by_period
from sagelocal.domain.training import KIND, LOG_GROUP, TrainingJob
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.metric_reading import every_value, last_values
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.paging import position_of, token_of
from sagelocal.store.resources import Query

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

NAMESPACE = "/aws/sagemaker/TrainingJobs"
DIMENSION = "TrainingJobName"
_METRICS_PER_PAGE = 500
_JOBS_AT_ONCE = 100


@dataclass(frozen=True)
class Metric:
    """Which values: those of one metric of one job, or none that there could be."""

    name: str
    namespace: str
    dimensions: Mapping[str, str]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Metric:
        dimensions = {d["Name"]: d["Value"] for d in document.get("Dimensions", ())}
        return cls(document["MetricName"], document["Namespace"], dimensions)

    @property
    def job_name(self) -> str | None:
        ours = self.namespace == NAMESPACE and self.dimensions.keys() == {DIMENSION}
        return self.dimensions[DIMENSION] if ours else None


def get_metric_statistics(plane: Plane, call: Call, params: Params) -> Result:
    """Statistics of one metric, one datapoint for each period that has values."""
    if "ExtendedStatistics" in params:
        raise _invalid("ExtendedStatistics is not supported by this version of sagelocal")
    wanted = params.get("Statistics")
    if not wanted:
        raise _combination("Must specify either Statistics or ExtendedStatistics")
    span = _span(params["StartTime"], params["EndTime"], params["Period"])
    if span.periods > MOST_DATAPOINTS:
        raise _combination(
            f"You have requested up to {span.periods:,} datapoints, which exceeds the limit of "
            f"{MOST_DATAPOINTS:,}. You may reduce the datapoints requested by increasing Period, "
            "or decreasing the time range."
        )
    found = by_period(_values(plane, call, Metric.of(params)), span)
    datapoints = [
        {
            "Timestamp": beginning,
            **{name: STATISTICS[name](values) for name in wanted},
            "Unit": "None",
        }
        for beginning, values in found.items()
    ]
    return {"Label": params["MetricName"], "Datapoints": datapoints}


def get_metric_data(plane: Plane, call: Call, params: Params) -> Result:
    """One statistic of each of several metrics, newest first unless asked otherwise."""
    newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = [
        _metric_data(plane, call, params, query, newest_first)
        for query in params["MetricDataQueries"]
        if query.get("ReturnData", True)
    ]
    return {"MetricDataResults": results, "Messages": []}


def _metric_data(
    plane: Plane, call: Call, params: Params, query: Mapping[str, Any], newest_first: bool
) -> dict[str, Any]:
    asked = query.get("MetricStat")
    if asked is None:
        raise _invalid(
            f"The query {query['Id']!r} has no MetricStat; expressions are not supported by this "
            "version of sagelocal"
        )
    if asked["Stat"] not in STATISTICS:
        known = ", ".join(STATISTICS)
        raise _invalid(f"Stat is {asked['Stat']!r}; this version of sagelocal knows {known}")
    metric = Metric.of(asked["Metric"])
    span = _span(params["StartTime"], params["EndTime"], asked["Period"])
    found = list(by_period(_values(plane, call, metric), span).items())
    if newest_first:
        found.reverse()
    return {
        "Id": query["Id"],
        "Label": query.get("Label", metric.name),
        "Timestamps": [beginning for beginning, _ in found],
        "Values": [STATISTICS[asked["Stat"]](values) for _, values in found],
        "StatusCode": "Complete",
    }


def list_metrics(plane: Plane, call: Call, params: Params) -> Result:
    """The metrics that jobs have printed, newest job first."""
    filters = {each["Name"]: each.get("Value") for each in params.get("Dimensions", ())}
    start = position_of(params.get("NextToken"))
    end = start + _METRICS_PER_PAGE
    metrics: list[dict[str, Any]] = []
    if params.get("Namespace", NAMESPACE) == NAMESPACE and filters.keys() <= {DIMENSION}:
        for job in _jobs(plane, call, filters.get(DIMENSION)):
            metrics += (
                _described(job, name)
                for name in _printed_metrics(plane, job)
                if params.get("MetricName", name) == name
            )
            if len(metrics) > end:
                break
    answer: dict[str, Any] = {"Metrics": metrics[start:end]}
    return {**answer, "NextToken": token_of(end)} if len(metrics) > end else answer


def _described(job: TrainingJob, name: str) -> dict[str, Any]:
    dimension = {"Name": DIMENSION, "Value": job.name}
    return {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": [dimension]}


def _jobs(plane: Plane, call: Call, name: str | None) -> Iterator[TrainingJob]:
    """The job of that name, or every job of the region."""
    records = plane.training.records
    if name is not None:
        job = records.find(call.scope.region, name)
        yield from (job,) if job else ()
        return
    offset = 0
    while page := records.list(Query(KIND, call.scope.region, offset=offset, limit=_JOBS_AT_ONCE)):
        yield from page
        offset += len(page)


def _printed_metrics(plane: Plane, job: TrainingJob) -> Sequence[str]:
    """What an ended job has the last values of; what a running one has printed so far."""
    definitions = TrainingSpec.of(job.request).metrics
    found = job.metrics if job.finished else last_values(definitions, _logs(plane, job))
    return [metric.name for metric in found]


def _values(plane: Plane, call: Call, metric: Metric) -> Iterable[tuple[float, float]]:
    """Every value of the metric, with its time; none where there is no such metric."""
    name = metric.job_name
    job = plane.training.records.find(call.scope.region, name) if name else None
    if job is None:
        return
    for definition in TrainingSpec.of(job.request).metrics:
        if definition.name == metric.name:
            for each in every_value(definition, _logs(plane, job)):
                yield each.timestamp, each.value


def _logs(plane: Plane, job: TrainingJob) -> Sequence[Path]:
    return [plane.logs.path(LOG_GROUP, stream) for stream in job.log_streams]


def _span(start: datetime, end: datetime, period_seconds: int) -> Span:
    if start >= end:
        raise _invalid("The parameter StartTime must be less than the parameter EndTime.")
    try:
        return Span(start.timestamp(), end.timestamp(), period_seconds)
    except ValueError as error:
        raise _invalid(str(error)) from error


def _invalid(message: str) -> Fault:
    return Fault("InvalidParameterValue", message)


def _combination(message: str) -> Fault:
    return Fault("InvalidParameterCombination", message)


OPERATIONS: OperationTable = {
    ("cloudwatch", "GetMetricStatistics"): get_metric_statistics,
    ("cloudwatch", "GetMetricData"): get_metric_data,
    ("cloudwatch", "ListMetrics"): list_metrics,
}
