"""Updates: nobody notices a good one, and a bad one changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError


@contextmanager
def hammering(hosting: Any, clients: int = 3) -> Iterator[list[bytes | Exception]]:
    """Requests one after the other from some clients; what came of each, in order of its end."""
    outcomes: list[bytes | Exception] = []
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            try:
                outcomes.append(hosting.invoke("echo", b"sleep 0.02"))
            except ClientError as error:
                outcomes.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def await_outcomes(outcomes: list[bytes | Exception], more: int) -> None:
    wanted = len(outcomes) + more
    deadline = time.monotonic() + 20
    while len(outcomes) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def update(hosting: Any, config: str, **more: Any) -> dict[str, Any]:
    hosting.sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName=config, **more)
    return settle(hosting)


def settle(hosting: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (found := hosting.describe("echo"))["EndpointStatus"] != "InService":
        assert found["EndpointStatus"] in ("Updating", "RollingBack")
        assert time.monotonic() < deadline, hosting.plane.log()
        time.sleep(0.01)
    described: dict[str, Any] = found
    return described


def test_no_request_fails_while_an_endpoint_is_updated(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG="old"))
    hosting.configure("new", hosting.container(MODEL_TAG="new"))
    with hammering(hosting) as outcomes:
        await_outcomes(outcomes, 10)
        found = update(hosting, "new")
        await_outcomes(outcomes, 10)
    assert set(outcomes) == {b"old:awake", b"new:awake"}
    assert hosting.invoke("echo") == b"new:hello"
    assert found["EndpointConfigName"] == "new"


def test_what_is_coming_is_described_while_it_comes(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.configure("new", hosting.container(START="slow:2"))
    hosting.sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName="new")
    found = hosting.describe("echo")
    assert found["EndpointStatus"] == "Updating"
    assert found["EndpointConfigName"] == "echo"
    assert found["PendingDeploymentSummary"]["EndpointConfigName"] == "new"
    assert "PendingDeploymentSummary" not in settle(hosting)


def test_a_bad_update_leaves_the_old_deployment_serving(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG="old"))
    hosting.configure("bad", hosting.container(START="exit"))
    with hammering(hosting) as outcomes:
        found = update(hosting, "bad")
        await_outcomes(outcomes, 5)
    assert set(outcomes) == {b"old:awake"}
    assert found["EndpointConfigName"] == "echo"
    assert "did not pass the ping health check" in found["FailureReason"]
    hosting.configure("good", hosting.container(MODEL_TAG="good"))
    assert "FailureReason" not in update(hosting, "good")
    assert hosting.invoke("echo") == b"good:hello"


def test_the_old_deployments_folders_and_containers_go(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.configure("new", hosting.container())
    update(hosting, "new")
    deadline = time.monotonic() + 10
    folder = hosting.plane.data_dir / "endpoints" / "us-east-1" / "echo"
    while len(list(folder.iterdir())) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_weights_change_without_a_new_deployment(hosting: Any) -> None:
    for name in ("a", "b"):
        hosting.configure(name, hosting.container(MODEL_TAG=name))
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="both",
        ProductionVariants=[hosting.variant("a", "A"), hosting.variant("b", "B")],
    )
    hosting.sagemaker.create_endpoint(EndpointName="echo", EndpointConfigName="both")
    hosting.await_status("echo", "InService")
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="echo",
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0},
            {"VariantName": "B", "DesiredWeight": 2},
        ],
    )
    found = settle(hosting)
    assert [v["CurrentWeight"] for v in found["ProductionVariants"]] == [0, 2]
    assert {hosting.invoke("echo") for _ in range(30)} == {b"b:hello"}
    assert len(hosting.log_lines("echo")) == 2


def test_instances_are_added_and_taken_away_under_load(hosting: Any) -> None:
    hosting.deploy("echo")

    def rescale(count: int) -> int:
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="echo",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            ],
        )
        (variant,) = settle(hosting)["ProductionVariants"]
        current: int = variant["CurrentInstanceCount"]
        return current

    with hammering(hosting) as outcomes:
        assert rescale(2) == 2
        await_outcomes(outcomes, 10)
        assert rescale(1) == 1
        await_outcomes(outcomes, 10)
    assert set(outcomes) == {b"awake"}
    assert len(hosting.log_lines("echo")) == 2


def test_weights_and_counts_can_be_retained_by_an_update(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="echo",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredInstanceCount": 2, "DesiredWeight": 7}
        ],
    )
    settle(hosting)
    hosting.configure("new", hosting.container())
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    found = update(
        hosting, "new", RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded
    )
    (variant,) = found["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VariantName": "Other"}, "is/are not present within endpoint config"),
        ({"VariantName": "AllTraffic", "DesiredInstanceCount": 0}, "must be at least 1"),
    ],
)
def test_a_rescale_that_cannot_be_is_refused(
    hosting: Any, change: dict[str, Any], words: str
) -> None:
    hosting.deploy("echo")
    with pytest.raises(ClientError, match=words):
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="echo", DesiredWeightsAndCapacities=[change]
        )
    assert hosting.describe("echo")["EndpointStatus"] == "InService"
