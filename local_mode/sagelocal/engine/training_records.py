"""Training jobs as rows: the one place that turns `TrainingJob` into a `Resource` and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sagelocal.domain.training import (
    KIND,
    UNFINISHED,
    TrainingJob,
    from_document,
    to_document,
)
from sagelocal.store.resources import Query, Resource, Resources

# Among how many recent jobs warm pools are looked for.
_MOST_JOBS = 1000


class NoSuchJob(Exception):
    """There is no training job of that ARN (any more)."""


class TrainingRecords:
    """Every training job there is."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def add(self, job: TrainingJob, tags: Mapping[str, str]) -> None:
        """Raises AlreadyExists."""
        resource = Resource(
            job.arn,
            KIND,
            job.region,
            job.name,
            job.status,
            job.created_at,
            job.modified_at,
            to_document(job),
        )
        self._resources.add(resource, tags)

    def get(self, arn: str) -> TrainingJob:
        """Raises NoSuchJob."""
        resource = self._resources.get(arn)
        if resource is None:
            raise NoSuchJob(arn)
        return from_document(resource.document)

    def find(self, region: str, name: str) -> TrainingJob | None:
        resource = self._resources.find(KIND, region, name)
        return from_document(resource.document) if resource else None

    def list(self, query: Query) -> Sequence[TrainingJob]:
        return [from_document(resource.document) for resource in self._resources.list(query)]

    def with_warm_pools(self, region: str, since: float) -> Sequence[TrainingJob]:
        """Jobs that asked for a warm pool and changed after `since`, newest first."""
        query = Query(KIND, region, modified_after=since, limit=_MOST_JOBS)
        return [
            from_document(resource.document)
            for resource in self._resources.list(query)
            if resource.document["request"]
            .get("ResourceConfig", {})
            .get("KeepAlivePeriodInSeconds")
        ]

    def unfinished(self) -> Sequence[TrainingJob]:
        """Every job that has not ended, oldest first."""
        rows = self._resources.with_status(KIND, UNFINISHED)
        return [from_document(resource.document) for resource in rows]

    def change(self, arn: str, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        """Commit the job as `change` makes it and give it back. Raises NoSuchJob."""
        changed: list[TrainingJob] = []

        def apply(resource: Resource) -> Resource:
            job = change(from_document(resource.document))
            changed.append(job)
            return replace(
                resource,
                status=job.status,
                modified_at=job.modified_at,
                document=to_document(job),
            )

        if self._resources.update(arn, apply) is None:
            raise NoSuchJob(arn)
        return changed[-1]
