"""Transform jobs: create, describe, list, stop (SageMaker API reference)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagelocal.domain.deployments import Instance, Variant, copies_for
from sagelocal.domain.models import containers
from sagelocal.domain.transform import KIND, TransformJob
from sagelocal.domain.transform_spec import TransformSpec
from sagelocal.engine.transform_records import NoSuchTransformJob
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.models import require_model
from sagelocal.services.paging import page_of, query_of
from sagelocal.services.tags import tags_from
from sagelocal.store.resources import AlreadyExists

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

# What the containers of a job are told apart by from those of endpoints.
_VARIANT = "transform"
# Members of the request that DescribeTransformJob gives back only if they were given.
_GIVEN_BACK = (
    "ModelClientConfig",
    "MaxConcurrentTransforms",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "DataCaptureConfig",
    "ExperimentConfig",
)


def create_transform_job(plane: Plane, call: Call, params: Params) -> Result:
    """Check what can be checked at once, record the job, and let the engine run it."""
    name: str = params["TransformJobName"]
    arn = call.scope.sagemaker_arn(KIND, name)
    try:
        spec = TransformSpec.of(params)
    except ValueError as error:
        raise validation(str(error)) from error
    if params.get("DataCaptureConfig"):
        raise validation(
            "DataCaptureConfig is not supported for transform jobs by this version of sagelocal; "
            "leave it out"
        )
    tags = tags_from(params)
    model = require_model(plane, call, spec.model_name).document
    request = {key: value for key, value in params.items() if key != "Tags"}
    now = time.time()
    variant = _variant(spec, model)
    job = TransformJob(arn, call.scope.region, name, request, variant, now, now)
    try:
        plane.transforms.records.add(job, tags)
    except AlreadyExists as error:
        raise Fault(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a job with this name "
            f"already exists ({arn})",
        ) from error
    plane.transforms.submit(arn)
    return {"TransformJobArn": arn}


def describe_transform_job(plane: Plane, call: Call, params: Params) -> Result:
    """Everything that is known of a job, in AWS's shape."""
    job = _job_of(plane, call, params)
    request = job.request
    moments = {
        "TransformStartTime": job.started_at,
        "TransformEndTime": job.ended_at,
        "FailureReason": job.failure_reason,
    }
    return {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "TransformJobStatus": str(job.status),
        "ModelName": request["ModelName"],
        "TransformInput": {
            "CompressionType": "None",
            "SplitType": "None",
            **request["TransformInput"],
        },
        "TransformOutput": {"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
        "TransformResources": request["TransformResources"],
        "CreationTime": job.created_at,
        "DataProcessing": {
            "InputFilter": "$",
            "OutputFilter": "$",
            "JoinSource": "None",
            **request.get("DataProcessing", {}),
        },
        **{name: request[name] for name in _GIVEN_BACK if name in request},
        **{name: value for name, value in moments.items() if value is not None},
    }


def list_transform_jobs(plane: Plane, call: Call, params: Params) -> Result:
    """A page of jobs, newest first unless asked otherwise."""
    query = query_of(KIND, call.scope.region, params)
    jobs, more = page_of(query, plane.transforms.records.list(query))
    return {"TransformJobSummaries": [_summary(job) for job in jobs], **more}


def stop_transform_job(plane: Plane, call: Call, params: Params) -> Result:
    """Ask a job to stop; asking again is no error, asking an ended job is."""
    job = _job_of(plane, call, params)
    if job.finished:
        raise validation(
            f"The request was rejected because the transform job is in status {job.status}."
        )
    plane.transforms.stop(job.arn)
    return {}


def _variant(spec: TransformSpec, model: Mapping[str, Any]) -> Variant:
    """The model's containers, told of the job, on its instances."""
    chain = tuple(
        replace(each, environment={**each.environment, **spec.variables, **spec.environment})
        for each in containers(model)
    )
    if any(each.multi_model for each in chain):
        raise validation(
            f"The model {spec.model_name!r} has many models (MultiModel); a transform job calls "
            "one: create a model of one of them"
        )
    copies = copies_for(spec.instance_count)
    return Variant(
        name=_VARIANT,
        containers=chain,
        instances=tuple(Instance.new(len(chain)) for _ in range(copies)),
        weight=1,
        count=spec.instance_count,
        direct=False,
        network_isolation=model.get("EnableNetworkIsolation", False),
        instance_type=spec.instance_type,
    )


def _job_of(plane: Plane, call: Call, params: Params) -> TransformJob:
    """Raises Fault."""
    name: str = params["TransformJobName"]
    try:
        return plane.transforms.records.get(call.scope.sagemaker_arn(KIND, name))
    except NoSuchTransformJob as error:
        raise Fault(
            "ResourceNotFound", f"Could not find requested job with name: {name}"
        ) from error


def _summary(job: TransformJob) -> dict[str, Any]:
    summary = {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": job.created_at,
        "TransformEndTime": job.ended_at,
        "LastModifiedTime": job.modified_at,
        "TransformJobStatus": str(job.status),
        "FailureReason": job.failure_reason,
    }
    return {name: value for name, value in summary.items() if value is not None}


OPERATIONS: OperationTable = {
    ("sagemaker", "CreateTransformJob"): create_transform_job,
    ("sagemaker", "DescribeTransformJob"): describe_transform_job,
    ("sagemaker", "ListTransformJobs"): list_transform_jobs,
    ("sagemaker", "StopTransformJob"): stop_transform_job,
}
