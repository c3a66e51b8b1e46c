"""Endpoints: statuses, deployments and how traffic is split between variants."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.deployments import Deployment, Instance, Placed, Variant, choose
from sagelocal.domain.endpoint_configs import (
    InvalidEndpointConfig,
    NotRunHere,
    check,
    deployment,
    retain,
)
from sagelocal.domain.endpoints import (
    TRANSITIONS,
    Endpoint,
    EndpointStatus,
    ForbiddenTransition,
    from_document,
    to_document,
)
from sagelocal.domain.hosting_reasons import LONGEST_REASON

MODEL = {"PrimaryContainer": {"Image": "image:1", "ModelDataUrl": "s3://b/k"}}
ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"

Step = Callable[[Endpoint], Endpoint]


def config(**variant: Any) -> dict[str, Any]:
    return {
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": "m",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                **variant,
            }
        ]
    }


def deployed(name: str = "config", **variant: Any) -> Deployment:
    return deployment(name, config(**variant), {"m": MODEL}, 1.0)


def creating() -> Endpoint:
    return Endpoint(
        arn=ARN,
        region="us-east-1",
        name="e",
        status=EndpointStatus.CREATING,
        created_at=1.0,
        modified_at=1.0,
        config_name="config",
        pending=deployed(),
    )


def read_back(endpoint: Endpoint) -> Endpoint:
    return from_document(
        json.loads(json.dumps(to_document(endpoint))),
        arn=endpoint.arn,
        region=endpoint.region,
        name=endpoint.name,
        status=endpoint.status,
        created_at=endpoint.created_at,
        modified_at=endpoint.modified_at,
    )


STEPS: dict[EndpointStatus, list[Step]] = {
    EndpointStatus.CREATING: [lambda e: e.switched(2.0), lambda e: e.failed("why", 2.0)],
    EndpointStatus.IN_SERVICE: [
        lambda e: e.updating(deployed("new"), 3.0, {"a": 1}),
        lambda e: e.deleting(3.0),
    ],
    EndpointStatus.UPDATING: [lambda e: e.switched(4.0), lambda e: e.rolling_back("why", 4.0)],
    EndpointStatus.ROLLING_BACK: [lambda e: e.rolled_back(5.0)],
    EndpointStatus.FAILED: [lambda e: e.deleting(3.0)],
    EndpointStatus.DELETING: [],
}


@given(st.lists(st.integers(0, 1), max_size=12))
def test_every_path_keeps_its_document_and_ends_nowhere_but_in_deleting(turns: list[int]) -> None:
    endpoint = creating()
    for turn in turns:
        steps = STEPS[endpoint.status]
        if not steps:
            break
        before = endpoint
        endpoint = steps[turn % len(steps)](endpoint)
        assert endpoint.status in TRANSITIONS[before.status]
        assert read_back(endpoint) == endpoint
        if endpoint.status is EndpointStatus.IN_SERVICE:
            assert endpoint.active is not None


@pytest.mark.parametrize("status", EndpointStatus)
@pytest.mark.parametrize(
    ("step", "target"),
    [
        (lambda e: e.switched(2.0), EndpointStatus.IN_SERVICE),
        (lambda e: e.failed("why", 2.0), EndpointStatus.FAILED),
        (lambda e: e.updating(deployed("new"), 2.0), EndpointStatus.UPDATING),
        (lambda e: e.rolling_back("why", 2.0), EndpointStatus.ROLLING_BACK),
        (lambda e: e.deleting(2.0), EndpointStatus.DELETING),
    ],
)
def test_only_the_transitions_of_the_table_happen(
    status: EndpointStatus, step: Step, target: EndpointStatus
) -> None:
    endpoint = replace(creating(), status=status)
    if target in TRANSITIONS[status]:
        assert step(endpoint).status is target
    else:
        with pytest.raises(ForbiddenTransition, match=f"{status} cannot become {target}"):
            step(endpoint)


def test_a_switch_retires_what_served() -> None:
    old = creating().switched(2.0)
    new = old.updating(deployed("new"), 3.0).switched(4.0)
    assert new.active is not None
    assert (new.active.config_name, new.config_name) == ("new", "new")
    assert new.retired == (old.active,)
    assert not new.settled
    assert new.without_retired(new.retired).settled


def test_a_roll_back_keeps_what_served_and_says_why() -> None:
    old = creating().switched(2.0)
    back = old.updating(deployed("new"), 3.0).rolling_back("x" * 2000, 4.0)
    assert back.active == old.active
    assert back.retired[0].config_name == "new"
    assert back.failure_reason is not None
    assert len(back.failure_reason) == LONGEST_REASON
    assert back.failure_reason.endswith("...")


def test_a_started_container_is_noted_in_its_place() -> None:
    endpoint = creating()
    assert endpoint.pending is not None
    (instance_id,) = endpoint.pending.instance_ids
    placed = endpoint.place(instance_id, 0, Placed("docker", "abc"))
    assert placed.pending is not None
    assert placed.pending.variants[0].instances == (
        Instance(instance_id, (Placed("docker", "abc"),)),
    )
    assert placed.place(instance_id, 0, None) == endpoint
    assert endpoint.place("i-other", 0, Placed("docker", "abc")) == endpoint


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_variant_without_weight_is_never_chosen(weights: list[float], point: float) -> None:
    chosen = choose(weights, point)
    assert 0 <= chosen < len(weights)
    assert weights[chosen] > 0 or not any(weights)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=5).filter(any))
def test_traffic_is_split_by_weight(weights: list[int]) -> None:
    generator = random.Random(0)
    seen = Counter(choose(weights, generator.random()) for _ in range(3000))
    for position, weight in enumerate(weights):
        assert seen[position] / 3000 == pytest.approx(weight / sum(weights), abs=0.05)


@given(before=st.integers(1, 5), after=st.integers(1, 5))
def test_scaling_keeps_the_instances_that_stay(before: int, after: int) -> None:
    old = deployed(InitialInstanceCount=before).variants[0]
    new = old.scaled(None, after)
    assert new.count == after
    assert len(new.instances) == min(after, 2)
    kept = min(len(old.instances), len(new.instances))
    assert new.instances[:kept] == old.instances[:kept]


def test_an_update_can_keep_weights_and_counts() -> None:
    old = deployed(InitialInstanceCount=2, InitialVariantWeight=5.0)
    new = deployed("new")

    def kept(*excluded: str) -> tuple[float, int]:
        variant: Variant = retain(new, old, excluded).variants[0]
        return variant.weight, variant.count

    assert kept() == (5.0, 2)
    assert kept("DesiredWeight") == (1.0, 2)
    assert kept("DesiredInstanceCount") == (5.0, 1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"InstanceType": None}, "neither InstanceType nor ServerlessConfig"),
        ({"InitialInstanceCount": 0}, "InitialInstanceCount of at least 1"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1024}}, "must not be given with it"),
        (
            {"ServerlessConfig": {"MemorySizeInMB": 1111}},
            r"'1111' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB'",
        ),
    ],
)
def test_a_variant_without_its_capacity_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidEndpointConfig, match=words):
        check(config(**wrong))


def test_two_variants_of_one_name_are_refused() -> None:
    twice = {"ProductionVariants": config()["ProductionVariants"] * 2}
    with pytest.raises(InvalidEndpointConfig, match="'AllTraffic' is not"):
        check(twice)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "asks for AsyncInferenceConfig"),
        ({"ShadowProductionVariants": [{}]}, "ShadowProductionVariants"),
        ({"ExplainerConfig": {"ClarifyExplainerConfig": {}}}, "ExplainerConfig"),
    ],
)
def test_what_is_not_run_here_is_named(more: dict[str, Any], words: str) -> None:
    with pytest.raises(NotRunHere, match=words):
        deployment("config", {**config(), **more}, {"m": MODEL}, 1.0)


def test_a_variant_says_whether_it_has_many_models() -> None:
    many = {"PrimaryContainer": {"Image": "i", "Mode": "MultiModel", "ModelDataUrl": "s3://b/p"}}
    (variant,) = deployment("config", config(), {"m": many}, 1.0).variants
    assert variant.multi_model
    (variant,) = deployment("config", config(), {"m": MODEL}, 1.0).variants
    assert not variant.multi_model
