"""Transform jobs as rows: the one place that turns `TransformJob` into a `Resource` and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sagelocal.domain.deployments import Placed
from sagelocal.domain.transform import (
    KIND,
    UNFINISHED,
    TransformJob,
    from_document,
    to_document,
)
from sagelocal.store.resources import Query, Resource, Resources


class NoSuchTransformJob(Exception):
    """There is no transform job of that ARN."""


class TransformRecords:
    """Every transform job there is."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def add(self, job: TransformJob, tags: Mapping[str, str]) -> None:
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

    def get(self, arn: str) -> TransformJob:
        """Raises NoSuchTransformJob."""
        resource = self._resources.get(arn)
        if resource is None:
            raise NoSuchTransformJob(arn)
        return from_document(resource.document)

    def list(self, query: Query) -> Sequence[TransformJob]:
        return [from_document(resource.document) for resource in self._resources.list(query)]

    def unfinished(self) -> Sequence[TransformJob]:
        """Every job that has not ended, oldest first."""
        rows = self._resources.with_status(KIND, UNFINISHED)
        return [from_document(resource.document) for resource in rows]

    def change(self, arn: str, change: Callable[[TransformJob], TransformJob]) -> TransformJob:
        """Commit the job as `change` makes it and give it back. Raises NoSuchTransformJob."""

        def apply(resource: Resource) -> Resource:
            job = change(from_document(resource.document))
            return replace(
                resource, status=job.status, modified_at=job.modified_at, document=to_document(job)
            )

        changed = self._resources.update(arn, apply)
        if changed is None:
            raise NoSuchTransformJob(arn)
        return from_document(changed.document)

    def place(self, arn: str, instance_id: str, position: int, placed: Placed | None) -> None:
        """Note that a container was started, or is gone."""
        with contextlib.suppress(NoSuchTransformJob):
            self.change(arn, lambda job: job.place(instance_id, position, placed))
