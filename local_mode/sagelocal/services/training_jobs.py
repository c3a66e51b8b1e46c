"""Training jobs: create, describe, list, stop, delete (SageMaker API reference).

What changes a job that is there already: `training_updates`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagelocal.domain.channels import Channel
from sagelocal.domain.training import KIND, TrainingJob, Transition
from sagelocal.domain.training_spec import DEFAULT_MAX_RUNTIME_SECONDS, TrainingSpec
from sagelocal.domain.warm_pools import warm_pool_of
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.paging import page_of, query_of
from sagelocal.services.tags import tags_from
from sagelocal.services.training_updates import (
    has_available_pool,
    job_of,
    take_over_warm_pool,
    update_training_job,
)
from sagelocal.store.resources import AlreadyExists

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

# Members of the request that DescribeTrainingJob gives back only if they were given.
_GIVEN_BACK = (
    "RoleArn",
    "VpcConfig",
    "CheckpointConfig",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
    "MlflowConfig",
)
_FLAGS = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)


def create_training_job(plane: Plane, call: Call, params: Params) -> Result:
    """Check what can be checked at once, record the job, and let the engine run it."""
    name: str = params["TrainingJobName"]
    arn = call.scope.sagemaker_arn(KIND, name)
    spec = _spec(params)
    tags = tags_from(params)
    if plane.resources.get(arn) is not None:
        raise _name_taken(arn)
    for channel in spec.channels:
        _require_objects(plane, call, channel, params["RoleArn"])
    request = _with_metrics_of_family(plane, params)
    job = TrainingJob.created(arn, call.scope.region, name, request, time.time())
    try:
        plane.training.records.add(job, tags)
    except AlreadyExists as error:
        raise _name_taken(arn) from error
    take_over_warm_pool(plane, job)
    plane.training.submit(arn)
    return {"TrainingJobArn": arn}


def describe_training_job(plane: Plane, call: Call, params: Params) -> Result:
    """Everything that is known of a job, in AWS's shape."""
    job = job_of(plane, call, params)
    return description_of(job, job.billable_seconds(plane.settings.spot_price_ratio))


def list_training_jobs(plane: Plane, call: Call, params: Params) -> Result:
    """A page of jobs, newest first unless asked otherwise.

    As documented, StatusEquals picks from the page: a page may have fewer jobs than MaxResults,
    even none, and still be followed by another. So does WarmPoolStatusEquals here.
    """
    if "TrainingPlanArnEquals" in params:
        raise validation("TrainingPlanArnEquals is not supported: sagelocal has no training plans")
    query = replace(query_of(KIND, call.scope.region, params), status=None)
    jobs, more = page_of(query, plane.training.records.list(query))
    wanted, pool = params.get("StatusEquals"), params.get("WarmPoolStatusEquals")
    summaries = [_summary(job) for job in jobs if wanted in (None, job.status)]
    if pool is not None:
        summaries = [s for s in summaries if s.get("WarmPoolStatus", {}).get("Status") == pool]
    return {"TrainingJobSummaries": summaries, **more}


def stop_training_job(plane: Plane, call: Call, params: Params) -> Result:
    """Ask a job to stop; asking again is no error, asking an ended job is."""
    job = job_of(plane, call, params)
    if job.finished:
        raise validation(
            f"The request was rejected because the training job is in status {job.status}."
        )
    plane.training.stop(job.arn)
    return {}


def delete_training_job(plane: Plane, call: Call, params: Params) -> Result:
    """Forget an ended job; its name is free again, its logs and artifacts stay."""
    job = job_of(plane, call, params)
    if not job.finished:
        raise Fault(
            "ResourceInUse",
            f"Training job {job.arn} is in status {job.status}; only a job that is Completed, "
            "Failed or Stopped can be deleted.",
        )
    if has_available_pool(job, time.time()):
        raise Fault(
            "ResourceInUse",
            f"Training job {job.arn} retains an Available warm pool; update its "
            "KeepAlivePeriodInSeconds to 0 before it is deleted.",
        )
    plane.resources.delete(job.arn)
    return {}


def description_of(job: TrainingJob, billable_seconds: int | None) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    request = job.request
    moments = {
        "CreationTime": job.created_at,
        "TrainingStartTime": job.started_at,
        "TrainingEndTime": job.ended_at,
        "LastModifiedTime": job.modified_at,
        "TrainingTimeInSeconds": job.training_seconds,
        "BillableTimeInSeconds": billable_seconds,
        "FailureReason": job.failure_reason,
    }
    described: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": str(job.status),
        "SecondaryStatus": str(job.secondary_status),
        "HyperParameters": request.get("HyperParameters", {}),
        "AlgorithmSpecification": {
            "EnableSageMakerMetricsTimeSeries": False,
            **request["AlgorithmSpecification"],
        },
        "OutputDataConfig": {
            "KmsKeyId": "",
            "CompressionType": "GZIP",
            **request["OutputDataConfig"],
        },
        "ResourceConfig": request["ResourceConfig"],
        "StoppingCondition": {
            "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_SECONDS,
            **request.get("StoppingCondition", {}),
        },
        "SecondaryStatusTransitions": [_transition(t) for t in job.transitions],
        "ProfilingStatus": "Disabled",
        **_warm_pool(job),
        **{name: request.get(name, False) for name in _FLAGS},
        **{name: request[name] for name in _GIVEN_BACK if request.get(name)},
        **{name: value for name, value in moments.items() if value is not None},
    }
    if request.get("InputDataConfig"):
        described["InputDataConfig"] = [_channel(c) for c in request["InputDataConfig"]]
    if job.model_artifacts:
        described["ModelArtifacts"] = {"S3ModelArtifacts": job.model_artifacts}
    if job.metrics:
        described["FinalMetricDataList"] = [
            {"MetricName": m.name, "Value": m.value, "Timestamp": m.timestamp} for m in job.metrics
        ]
    return described


def _with_metrics_of_family(plane: Plane, params: Params) -> dict[str, Any]:
    """The request to keep: a built-in algorithm brings the metrics that its log is known to have.

    One of the request takes the place of the family's of the same name.
    """
    request = {key: value for key, value in params.items() if key != "Tags"}
    family = plane.images.resolve(request["AlgorithmSpecification"]["TrainingImage"])
    if family is None or not family.metrics:
        return request
    algorithm = request["AlgorithmSpecification"]
    given = algorithm.get("MetricDefinitions", [])
    names = {definition["Name"] for definition in given}
    brought = [
        {"Name": name, "Regex": regex}
        for name, regex in family.metrics.items()
        if name not in names
    ]
    return {
        **request,
        "AlgorithmSpecification": {**algorithm, "MetricDefinitions": [*given, *brought]},
    }


def _spec(params: Params) -> TrainingSpec:
    try:
        spec = TrainingSpec.of(params)
    except ValueError as error:
        raise validation(str(error)) from error
    _refuse_what_is_not_here(params, spec)
    return spec


def _refuse_what_is_not_here(params: Params, spec: TrainingSpec) -> None:
    """What the cloud has and sagelocal has not, rather than a job that quietly does less."""
    for member in ("ServerlessJobConfig", "ModelPackageConfig"):
        if member in params:
            raise validation(
                f"{member} is not supported by this version of sagelocal; leave it out"
            )
    for channel in spec.channels:
        if channel.data_type == "Converse":
            raise validation(
                f"S3DataType Converse of channel {channel.name!r} is not supported by sagelocal; "
                "use S3Prefix, ManifestFile or AugmentedManifestFile"
            )


def _name_taken(arn: str) -> Fault:
    return Fault(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job "
        f"with this name already exists ({arn})",
    )


def _require_objects(plane: Plane, call: Call, channel: Channel, role: str) -> None:
    """What the service looks up before it takes a job: is there anything to train on?"""
    uri = channel.uri
    if plane.objects.has_bucket(uri.bucket):
        if channel.data_type in ("ManifestFile", "AugmentedManifestFile"):
            found = plane.objects.head(uri.bucket, uri.key) is not None
        else:
            found = len(plane.objects.list(uri.bucket, uri.key, limit=1)) > 0
        if found:
            return
    raise validation(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({call.scope.region}), that objects exist under "
        f'that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket '
        f'"{uri.bucket}".'
    )


def _summary(job: TrainingJob) -> dict[str, Any]:
    summary: dict[str, Any] = {
        **_warm_pool(job),
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
        "TrainingJobStatus": str(job.status),
        "SecondaryStatus": str(job.secondary_status),
    }
    return summary if job.ended_at is None else {**summary, "TrainingEndTime": job.ended_at}


def _warm_pool(job: TrainingJob) -> dict[str, Any]:
    """`{"WarmPoolStatus": ...}`, or nothing for a job without a pool."""
    pool = warm_pool_of(job, time.time())
    if pool is None:
        return {}
    described: dict[str, Any] = {
        "Status": str(pool.status),
        "ResourceRetainedBillableTimeInSeconds": pool.retained_seconds,
        "ReusedByJob": pool.reused_by,
    }
    return {"WarmPoolStatus": {k: v for k, v in described.items() if v is not None}}


def _channel(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel as it was given, with what the service fills in."""
    source = channel["DataSource"]
    if "S3DataSource" in source:
        filled = {"S3DataDistributionType": "FullyReplicated", **source["S3DataSource"]}
        source = {**source, "S3DataSource": filled}
    return {"CompressionType": "None", "RecordWrapperType": "None", **channel, "DataSource": source}


def _transition(transition: Transition) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Status": str(transition.status),
        "StartTime": transition.started_at,
        "StatusMessage": transition.message,
    }
    if transition.ended_at is None:
        return described
    return {**described, "EndTime": transition.ended_at}


OPERATIONS: OperationTable = {
    ("sagemaker", "CreateTrainingJob"): create_training_job,
    ("sagemaker", "DescribeTrainingJob"): describe_training_job,
    ("sagemaker", "ListTrainingJobs"): list_training_jobs,
    ("sagemaker", "StopTrainingJob"): stop_training_job,
    ("sagemaker", "UpdateTrainingJob"): update_training_job,
    ("sagemaker", "DeleteTrainingJob"): delete_training_job,
}
