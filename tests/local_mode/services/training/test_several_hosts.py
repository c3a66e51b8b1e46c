"""Jobs of several hosts on a real plane, on both runtimes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

LABEL = "sagelocal.folder"
OWNED = {"label": LABEL}

# Every program begins with this: who am I, and the sum of all hosts' numbers over the network.
CLUSTER = """
import socket
config = json.loads((base / "input/config/resourceconfig.json").read_text())
own, hosts = config["current_host"], config["hosts"]
def connect(host):
    while True:
        try: return socket.create_connection((host, 29418), 5)
        except OSError: time.sleep(0.05)
def all_reduce(number):
    with socket.create_server((own, 29418)) as server:
        others = [connect(host) for host in hosts if host != own]
        for other in others: other.sendall(b"%d" % number); other.close()
        return number + sum(int(server.accept()[0].makefile("rb").read()) for _ in others)
def save_and_end(*_):
    (base / "model" / own).write_text("saved")
    sys.exit(0)
"""
WAIT = CLUSTER + "signal.signal(signal.SIGTERM, save_and_end); print('ready'); signal.pause()"


def _cluster(count: int) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}


def _jobs_networks(plane: Any) -> list[str]:
    """What is left of networks."""
    if plane.health()["runtime"] == "process":
        return [path.name for path in plane.data_dir.glob("processes/.networks/*")]
    engine = docker.from_env()
    try:
        return _engines_networks(engine, plane)
    finally:
        engine.close()


def _engines_networks(engine: docker.DockerClient, plane: Any) -> list[str]:
    return [
        network["Name"]
        for network in engine.api.networks(filters=OWNED)
        if str(plane.data_dir) in network["Labels"][LABEL]
    ]


def _kill_host(plane: Any, host: str) -> None:
    """What the kernel does to a host's main process when it is out of memory, say."""
    if plane.health()["runtime"] == "process":
        (state,) = plane.data_dir.glob(f"processes/{host}-*/state.json")
        os.kill(json.loads(state.read_text())["child"], signal.SIGKILL)
        return
    engine = docker.from_env()
    try:
        named = engine.api.containers(filters={**OWNED, "name": host})
        (found,) = [each for each in named if str(plane.data_dir) in each["Labels"][LABEL]]
        engine.api.kill(found["Id"])
    finally:
        engine.close()


def _clear_engine(plane: Any) -> None:
    """Of what a plane leaves that was stopped before it had cleared a job away."""
    plane.stop()
    engine = docker.from_env()
    try:
        for found in engine.api.containers(all=True, filters=OWNED):
            if str(plane.data_dir) in found["Labels"][LABEL]:
                engine.api.remove_container(found["Id"], force=True)
        for name in _engines_networks(engine, plane):
            engine.api.remove_network(name)
    finally:
        engine.close()


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def training(request: pytest.FixtureRequest, start_training: Callable[..., Any]) -> Iterator[Any]:
    """A plane on each runtime in turn."""
    if request.param == "docker":
        request.getfixturevalue("script_image")
    training = start_training(runtime=request.param)
    yield training
    if request.param == "docker":
        _clear_engine(training.plane)


def _await_lines(training: Any, name: str, wanted: list[str]) -> None:
    training.await_that(name, lambda _: sorted(training.lines(name)) == sorted(wanted))


def test_hosts_work_together_and_each_has_its_log(training: Any) -> None:
    script = (
        CLUSTER
        + """
interfaces = [name for _, name in socket.if_nameindex()]
assert config["network_interface_name"] in interfaces, (config, interfaces)
assert socket.gethostname() == own
group = next(g for g in config["instance_groups"]
             if g["instance_group_name"] == config["current_group_name"])
print(own, config["current_instance_type"], group["hosts"], all_reduce(hosts.index(own) + 1))
(base / "model" / own).write_text(own)
(base / "model" / "common").write_text(own)
"""
    )
    groups = [
        {"InstanceGroupName": "cpu", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
        {"InstanceGroupName": "big", "InstanceType": "ml.m5.large", "InstanceCount": 1},
    ]
    job = training.run(
        "cluster", script, ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1}
    )

    assert job["TrainingJobStatus"] == "Completed", job
    assert sorted(training.lines("cluster")) == [
        "algo-1 ml.c5.xlarge ['algo-1', 'algo-2'] 6",
        "algo-2 ml.c5.xlarge ['algo-1', 'algo-2'] 6",
        "algo-3 ml.m5.large ['algo-3'] 6",
    ]
    streams = training.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="cluster/"
    )["logStreams"]
    assert [stream["logStreamName"].rpartition("-")[0] for stream in streams] == [
        f"cluster/algo-{number}" for number in (1, 2, 3)
    ]
    assert training.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {
        "algo-1": b"algo-1",
        "algo-2": b"algo-2",
        "algo-3": b"algo-3",
        "common": b"algo-1",
    }
    training.await_that("cluster", lambda _: not _jobs_networks(training.plane))


def test_a_job_that_loses_a_host_fails_as_a_whole_and_says_which(training: Any) -> None:
    script = WAIT.replace(
        "signal.signal(",
        """
if own == "algo-2":
    all_reduce(1)
    (base / "output/failure").write_text("the disk of this host is gone")
    sys.exit(3)
all_reduce(1)
signal.signal(""",
    )
    job = training.run("lost", script, ResourceConfig=_cluster(2))

    assert (job["TrainingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: the disk of this host is gone, host: algo-2, exit code: 3",
    )
    training.await_that("lost", lambda _: not _jobs_networks(training.plane))


def test_a_host_that_is_killed_is_named(training: Any) -> None:
    training.create("killed", WAIT, ResourceConfig=_cluster(2))
    _await_lines(training, "killed", ["ready", "ready"])
    _kill_host(training.plane, "killed-algo-2")
    job = training.await_end("killed")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: ready, host: algo-2, exit code: 137"
    assert training.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"algo-1": b"saved"}


def test_a_stop_reaches_all_hosts(training: Any) -> None:
    training.create("stopped", WAIT, ResourceConfig=_cluster(2))
    _await_lines(training, "stopped", ["ready", "ready"])
    training.sagemaker.stop_training_job(TrainingJobName="stopped")
    job = training.await_end("stopped")

    assert job["TrainingJobStatus"] == "Stopped"
    model = training.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model == {"algo-1": b"saved", "algo-2": b"saved"}


def test_the_time_limit_reaches_all_hosts(training: Any) -> None:
    limit = {"MaxRuntimeInSeconds": 3}
    job = training.run("limited", WAIT, ResourceConfig=_cluster(2), StoppingCondition=limit)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    model = training.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model == {"algo-1": b"saved", "algo-2": b"saved"}


def test_both_hosts_are_taken_up_when_the_plane_is_killed(training: Any) -> None:
    script = CLUSTER + (
        "print('ready', flush=True); time.sleep(2); print('sum', all_reduce(hosts.index(own) + 1))"
    )
    training.create("adopted", script, ResourceConfig=_cluster(2))
    _await_lines(training, "adopted", ["ready", "ready"])
    training.plane.restart()
    job = training.await_end("adopted")

    assert job["TrainingJobStatus"] == "Completed", job
    assert sorted(training.lines("adopted")) == ["ready", "ready", "sum 3", "sum 3"]
    training.await_that("adopted", lambda _: not _jobs_networks(training.plane))
