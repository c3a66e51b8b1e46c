"""Endpoints: their statuses, and what is deployed behind them at each moment.

An endpoint's document in the database holds whole deployments, not the
names of models and configurations, because those may be deleted while the endpoint serves.

Sources: the botocore shapes EndpointStatus and ProductionVariant; the DescribeEndpoint page of the
API reference for what each status allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from sagelocal.domain.deployments import Deployment, Placed
from sagelocal.domain.hosting_reasons import shorten

KIND = "endpoint"


class EndpointStatus(StrEnum):
    """The statuses that an endpoint here can have."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


TRANSITIONS: Mapping[EndpointStatus, frozenset[EndpointStatus]] = {
    EndpointStatus.CREATING: frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.FAILED}),
    EndpointStatus.IN_SERVICE: frozenset({EndpointStatus.UPDATING, EndpointStatus.DELETING}),
    EndpointStatus.UPDATING: frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.ROLLING_BACK}),
    EndpointStatus.ROLLING_BACK: frozenset({EndpointStatus.IN_SERVICE}),
    EndpointStatus.FAILED: frozenset({EndpointStatus.DELETING}),
    EndpointStatus.DELETING: frozenset(),
}
"""From each status to those that may follow; what is Deleting ends by being gone."""


class ForbiddenTransition(Exception):
    """A status was to follow one that it cannot follow."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint. Times are seconds since 1970.

    `active` takes the traffic, `pending` is to take its place, `retired` are to be stopped, as far
    as their instances are not those of the active deployment too. `failure_reason` tells of the
    last change that failed. `config_name` is of the active deployment, or of the first that was to
    be; `deployment_config` is what the client sent last.
    """

    arn: str
    region: str
    name: str
    status: EndpointStatus
    created_at: float
    modified_at: float
    config_name: str
    active: Deployment | None = None
    pending: Deployment | None = None
    retired: tuple[Deployment, ...] = ()
    failure_reason: str | None = None
    deployment_config: Mapping[str, Any] | None = None

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment that may have containers or files."""
        current = (each for each in (self.active, self.pending) if each)
        return (*current, *self.retired)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        resting = self.status in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED)
        return resting and self.pending is None and not self.retired

    def updating(
        self, pending: Deployment, now: float, deployment_config: Mapping[str, Any] | None = None
    ) -> Endpoint:
        """With a deployment that is to take the place of the active one."""
        changed = self._become(EndpointStatus.UPDATING, now)
        config = deployment_config or self.deployment_config
        return replace(changed, pending=pending, deployment_config=config)

    def switched(self, now: float) -> Endpoint:
        """In service with what was pending."""
        changed = self._become(EndpointStatus.IN_SERVICE, now)
        retired = (*self.retired, self.active) if self.active else self.retired
        return replace(
            changed,
            config_name=self.pending.config_name if self.pending else self.config_name,
            active=self.pending,
            pending=None,
            retired=retired,
            failure_reason=None,
        )

    def failed(self, reason: str, now: float) -> Endpoint:
        """Out of order: what was to be its first deployment did not come up."""
        return self._become(EndpointStatus.FAILED, now)._without_pending(reason)

    def rolling_back(self, reason: str, now: float) -> Endpoint:
        """Still served by the active deployment: what was pending did not come up."""
        return self._become(EndpointStatus.ROLLING_BACK, now)._without_pending(reason)

    def rolled_back(self, now: float) -> Endpoint:
        return self._become(EndpointStatus.IN_SERVICE, now)

    def deleting(self, now: float) -> Endpoint:
        return self._become(EndpointStatus.DELETING, now)

    def without_retired(self, deployments: Iterable[Deployment]) -> Endpoint:
        """Once the containers that only those deployments had are gone."""
        gone = {(each.id, each.instance_ids) for each in deployments}
        left = (each for each in self.retired if (each.id, each.instance_ids) not in gone)
        return replace(self, retired=tuple(left))

    def place(self, instance_id: str, position: int, placed: Placed | None) -> Endpoint:
        """With one container of one instance noted as started, or as gone (None)."""

        def noted(deployment: Deployment | None) -> Deployment | None:
            return deployment.place(instance_id, position, placed) if deployment else None

        retired = (each.place(instance_id, position, placed) for each in self.retired)
        return replace(
            self, active=noted(self.active), pending=noted(self.pending), retired=tuple(retired)
        )

    def _without_pending(self, reason: str) -> Endpoint:
        retired = (*self.retired, self.pending) if self.pending else self.retired
        return replace(self, pending=None, retired=retired, failure_reason=shorten(reason))

    def _become(self, status: EndpointStatus, now: float) -> Endpoint:
        if status not in TRANSITIONS[self.status]:
            raise ForbiddenTransition(f"an endpoint that is {self.status} cannot become {status}")
        return replace(self, status=status, modified_at=now)


_COLUMNS = ("arn", "region", "name", "status", "created_at", "modified_at")


def to_document(endpoint: Endpoint) -> Mapping[str, Any]:
    """The part of an endpoint that is no column of its row, as JSON values."""
    return {key: value for key, value in asdict(endpoint).items() if key not in _COLUMNS}


def from_document(
    document: Mapping[str, Any],
    *,
    arn: str,
    region: str,
    name: str,
    status: str,
    created_at: float,
    modified_at: float,
) -> Endpoint:
    """The inverse of `to_document`, with the columns of the row."""

    def deployment(part: Mapping[str, Any] | None) -> Deployment | None:
        return Deployment.from_document(part) if part else None

    return Endpoint(
        arn=arn,
        region=region,
        name=name,
        status=EndpointStatus(status),
        created_at=created_at,
        modified_at=modified_at,
        config_name=document["config_name"],
        active=deployment(document["active"]),
        pending=deployment(document["pending"]),
        retired=tuple(Deployment.from_document(each) for each in document["retired"]),
        failure_reason=document["failure_reason"],
        deployment_config=document["deployment_config"],
    )
