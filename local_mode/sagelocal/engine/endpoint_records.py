"""Endpoints as rows: the one place that turns `Endpoint` into a `Resource` and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sagelocal.domain.deployments import Placed
from sagelocal.domain.endpoints import (
    KIND,
    Endpoint,
    EndpointStatus,
    from_document,
    to_document,
)
from sagelocal.store.resources import Query, Resource, Resources


class NoSuchEndpoint(Exception):
    """There is no endpoint of that ARN (any more)."""


class EndpointRecords:
    """Every endpoint there is."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def add(self, endpoint: Endpoint, tags: Mapping[str, str]) -> None:
        """Raises AlreadyExists."""
        resource = Resource(
            endpoint.arn,
            KIND,
            endpoint.region,
            endpoint.name,
            endpoint.status,
            endpoint.created_at,
            endpoint.modified_at,
            to_document(endpoint),
        )
        self._resources.add(resource, tags)

    def get(self, arn: str) -> Endpoint:
        """Raises NoSuchEndpoint."""
        resource = self._resources.get(arn)
        if resource is None:
            raise NoSuchEndpoint(arn)
        return _endpoint(resource)

    def all(self) -> Sequence[Endpoint]:
        """Every endpoint of every region, oldest first."""
        return [_endpoint(row) for row in self._resources.with_status(KIND, list(EndpointStatus))]

    def list(self, query: Query) -> Sequence[Endpoint]:
        return [_endpoint(resource) for resource in self._resources.list(query)]

    def change(self, arn: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Commit the endpoint as `change` makes it and give it back. Raises NoSuchEndpoint."""

        def apply(resource: Resource) -> Resource:
            endpoint = change(_endpoint(resource))
            return replace(
                resource,
                status=endpoint.status,
                modified_at=endpoint.modified_at,
                document=to_document(endpoint),
            )

        changed = self._resources.update(arn, apply)
        if changed is None:
            raise NoSuchEndpoint(arn)
        return _endpoint(changed)

    def place(self, arn: str, instance_id: str, position: int, placed: Placed | None) -> None:
        """Note that a container was started, or is gone; harmless if the endpoint is."""
        with contextlib.suppress(NoSuchEndpoint):
            self.change(arn, lambda each: each.place(instance_id, position, placed))

    def remove(self, arn: str) -> None:
        self._resources.delete(arn)


def _endpoint(resource: Resource) -> Endpoint:
    return from_document(
        resource.document,
        arn=resource.arn,
        region=resource.region,
        name=resource.name,
        status=resource.status or "",
        created_at=resource.created_at,
        modified_at=resource.modified_at,
    )
