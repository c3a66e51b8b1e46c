"""Every operation there is here. What is not in this table is answered as unknown."""

from __future__ import annotations

from sagelocal.services import (
    async_invocations,
    cloudwatch_logs,
    cloudwatch_metrics,
    ecr,
    endpoint_configs,
    endpoints,
    iam,
    invocations,
    models,
    s3,
    sts,
    tags,
    training_jobs,
    transform_jobs,
)
from sagelocal.services.calls import OperationTable

OPERATIONS: OperationTable = {
    **training_jobs.OPERATIONS,
    **transform_jobs.OPERATIONS,
    **models.OPERATIONS,
    **endpoint_configs.OPERATIONS,
    **endpoints.OPERATIONS,
    **tags.OPERATIONS,
    **invocations.OPERATIONS,
    **async_invocations.OPERATIONS,
    **s3.OPERATIONS,
    **sts.OPERATIONS,
    **iam.OPERATIONS,
    **cloudwatch_logs.OPERATIONS,
    **cloudwatch_metrics.OPERATIONS,
    **ecr.OPERATIONS,
}
