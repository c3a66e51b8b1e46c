"""What serves behind an endpoint: variants, their instances and the containers of those.

A deployment is kept as JSON in the endpoint's row, and read back with the `from_document` methods,
the inverses of `dataclasses.asdict`.
"""

from __future__ import annotations

import bisect
import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from sagelocal.domain.models import Container

# Every instance beyond these is on paper only: one machine gains nothing from a third copy.
MOST_COPIES_PER_VARIANT = 2


@dataclass(frozen=True)
class Placed:
    """A container that was started: by which runtime, and the runtime's own id for it."""

    runtime: str
    id: str


@dataclass(frozen=True)
class Instance:
    """One instance of a variant; `placed` has a place for each container of the model."""

    id: str
    placed: tuple[Placed | None, ...]

    @classmethod
    def new(cls, containers: int) -> Self:
        """An instance that is not started yet, with an id like EC2's."""
        return cls(f"i-0{secrets.token_hex(8)}", (None,) * containers)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        placed = (Placed(**each) if each else None for each in document["placed"])
        return cls(document["id"], tuple(placed))


@dataclass(frozen=True)
class Variant:
    """A production variant as it is deployed. `count` is how many instances were asked for.

    `instance_type` is None and `serverless` is there for a serverless one. `described` are further
    members of the configuration that DescribeEndpoint shows again.
    """

    name: str
    containers: tuple[Container, ...]
    instances: tuple[Instance, ...]
    weight: float
    count: int
    direct: bool
    network_isolation: bool
    startup_timeout_seconds: float | None = None
    instance_type: str | None = None
    serverless: Mapping[str, int] | None = None
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def multi_model(self) -> bool:
        """Whether a call has to name one of many models."""
        return any(container.multi_model for container in self.containers)

    def scaled(self, weight: float | None, count: int | None) -> Variant:
        """The same with another weight or count: instances are added behind, or cut off there."""
        new_count = self.count if count is None else count
        kept = self.instances[: copies_for(new_count)]
        added = (
            Instance.new(len(self.containers)) for _ in range(copies_for(new_count) - len(kept))
        )
        return replace(
            self,
            weight=self.weight if weight is None else weight,
            count=new_count,
            instances=(*kept, *added),
        )

    def place(self, instance_id: str, position: int, placed: Placed | None) -> Variant:
        instances = (
            _place(each, position, placed) if each.id == instance_id else each
            for each in self.instances
        )
        return replace(self, instances=tuple(instances))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **document,
                "containers": tuple(Container.from_document(c) for c in document["containers"]),
                "instances": tuple(Instance.from_document(i) for i in document["instances"]),
            }
        )


@dataclass(frozen=True)
class Deployment:
    """One endpoint configuration, resolved to containers, as one set of instances.

    `asynchronous` is its AsyncInferenceConfig, if its answers go to S3; `data_capture` its
    DataCaptureConfig.
    """

    id: str
    config_name: str
    created_at: float
    variants: tuple[Variant, ...]
    asynchronous: Mapping[str, Any] | None = None
    data_capture: Mapping[str, Any] | None = None

    def variant(self, name: str) -> Variant | None:
        return next((each for each in self.variants if each.name == name), None)

    @property
    def instance_ids(self) -> frozenset[str]:
        return frozenset(each.id for variant in self.variants for each in variant.instances)

    def place(self, instance_id: str, position: int, placed: Placed | None) -> Deployment:
        """The deployment with one container of one instance noted as started, or as gone."""
        variants = (each.place(instance_id, position, placed) for each in self.variants)
        return replace(self, variants=tuple(variants))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        variants = tuple(Variant.from_document(each) for each in document["variants"])
        return cls(**{**document, "variants": variants})


def copies_for(count: int) -> int:
    """How many copies of a variant really run here when `count` instances were asked for."""
    return min(count, MOST_COPIES_PER_VARIANT)


def new_deployment_id() -> str:
    """Short, unique on this machine, fit for folder and container names."""
    return secrets.token_hex(4)


def choose(weights: Sequence[float], point: float) -> int:
    """Which of the weights a point of [0, 1) falls on: each gets its share of the interval.

    A weight of 0 is never chosen, unless all are 0, when all count the same.

    >>> [choose([1, 0, 3], point) for point in (0.0, 0.24, 0.25, 0.99)]
    [0, 0, 2, 2]
    """
    sums = list(itertools.accumulate(weights))
    if sums[-1] <= 0:
        return int(point * len(weights))
    chosen = bisect.bisect_right(sums, point * sums[-1])
    # Rounding can put the point on the very end, where the weights of 0 are.
    return chosen if chosen < len(sums) else bisect.bisect_left(sums, sums[-1])


def log_group(endpoint_name: str) -> str:
    """The CloudWatch log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


def log_stream(variant: Variant, instance_id: str, container: Container) -> str:
    """One stream for an instance; one for each of its containers where there are several."""
    stream = f"{variant.name}/{instance_id}"
    return stream if len(variant.containers) == 1 else f"{stream}/{container.label}"


def _place(instance: Instance, position: int, placed: Placed | None) -> Instance:
    before, after = instance.placed[:position], instance.placed[position + 1 :]
    return replace(instance, placed=(*before, placed, *after))
