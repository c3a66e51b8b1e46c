"""Interruptions of managed spot jobs: what the cloud does of its own accord, here on demand.

AWS has no operation for it, so it is a path of our own: the body of
`POST /_sagelocal/training-jobs/NAME/interruption` is `{"Region": ...}`, or `{}` where the name is
in use in one region only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagelocal.domain.training import KIND, NotInterruptible
from sagelocal.engine.training_records import NoSuchJob
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Params

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def interrupt_training_job(plane: Plane, name: str, params: Params) -> dict[str, Any]:
    """Take the job's instances away; it stops, and begins again from its checkpoints."""
    region = params.get("Region")
    found = [r for r in plane.resources.named(KIND, name) if region in (None, r.region)]
    if not found:
        raise Fault("ResourceNotFound", f"There is no training job named {name!r}.", status=404)
    if len(found) > 1:
        regions = ", ".join(sorted(resource.region for resource in found))
        raise validation(f"{name} is the name of jobs in {regions}; say which Region is meant")
    try:
        job = plane.training.interrupt(found[0].arn)
    except NoSuchJob as error:
        raise Fault("ResourceNotFound", f"{name} was deleted.", status=404) from error
    except NotInterruptible as error:
        raise validation(str(error)) from error
    return {"TrainingJobArn": job.arn, "SecondaryStatus": str(job.secondary_status)}
