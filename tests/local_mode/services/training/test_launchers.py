"""Scripts under distributed launchers on two hosts, in Docker, from the API call to the model."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import sagelocal_train

pytestmark = [pytest.mark.docker, pytest.mark.slow]

IMAGE = "sagelocal/test-launchers:1"
LABEL = "sagelocal.folder"
# What Open MPI tells each process of itself (mpirun(1), "Exported Environment Variables").
RANKS = """
import os, pathlib, socket, sys
rank, size = os.environ["OMPI_COMM_WORLD_RANK"], os.environ["OMPI_COMM_WORLD_SIZE"]
host = os.environ["SM_CURRENT_HOST"]
print(rank, "of", size, "on", socket.gethostname(), host, sys.argv[1:], os.environ["OWN"])
pathlib.Path(os.environ["SM_MODEL_DIR"], f"rank-{rank}").write_text(host)
"""

# Each host adds 1 at both parameter servers, which TF_CONFIG names; the master goes last.
SERVERS = """
import json, os, pathlib, socket, time
said = json.loads(os.environ["TF_CONFIG"])
def add(address, number):
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as server:
        server.sendall(b"%d\\n" % number)
        return int(server.makefile("rb").read())
servers, task = said["cluster"]["ps"], said["task"]
for address in servers: add(address, 1)
if task["type"] == "master":
    while add(servers[1], 0) < 2: time.sleep(0.05)
pathlib.Path(os.environ["SM_MODEL_DIR"], f"{task['type']}-{task['index']}").touch()
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Open MPI and SSH from Debian on the base image, which `make base image-base` builds."""
    context = tmp_path_factory.mktemp("image")
    shutil.copytree(Path(__file__).parent / "launchers", context, dirs_exist_ok=True)
    shutil.copytree(
        Path(sagelocal_train.__path__[0]),
        context / "sagelocal_train",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    command = ["docker", "build", "-q", "-t", IMAGE, str(context)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the image cannot be built (`make image-base` first): {done.stderr}")
    return IMAGE


@pytest.fixture
def training(image: str, start_training: Callable[..., Any]) -> Iterator[Any]:
    """A plane on Docker."""
    training = start_training(runtime="docker")
    yield training
    training.plane.stop()
    engine = docker.from_env()
    try:
        owned = {"label": LABEL}
        for found in engine.api.containers(all=True, filters=owned):
            if str(training.plane.data_dir) in found["Labels"][LABEL]:
                engine.api.remove_container(found["Id"], force=True)
        for network in engine.api.networks(filters=owned):
            if str(training.plane.data_dir) in network["Labels"][LABEL]:
                engine.api.remove_network(network["Id"])
    finally:
        engine.close()


def _run(training: Any, name: str, script: str, **hyperparameters: object) -> dict[str, Any]:
    """A job of two hosts whose source comes as a channel."""
    training.put(f"{name}/train.py", textwrap.dedent(script).encode())
    settings = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": "/opt/ml/input/data/code",
        **hyperparameters,
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://bucket/{name}/"}
    training.sagemaker.create_training_job(
        **training.request(
            name,
            AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            HyperParameters={key: json.dumps(value) for key, value in settings.items()},
            InputDataConfig=[
                {"ChannelName": "code", "DataSource": {"S3DataSource": source}},
            ],
            ResourceConfig={
                "InstanceType": "ml.m5.large",
                "InstanceCount": 2,
                "VolumeSizeInGB": 1,
            },
            Environment={"OWN": "a=b c"},
        )
    )
    found: dict[str, Any] = training.await_that(
        name, lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"), 120
    )
    return found


def _lines(training: Any, name: str, host: str) -> list[str]:
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = training.logs.describe_log_streams(
        logGroupName=group, logStreamNamePrefix=f"{name}/{host}-"
    )["logStreams"]
    events = training.logs.get_log_events(
        logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def test_mpirun_starts_processes_on_both_hosts(training: Any) -> None:
    job = _run(
        training,
        "mpi",
        RANKS,
        epochs=3,
        sagemaker_mpi_enabled=True,
        sagemaker_mpi_num_of_processes_per_host=2,
        sagemaker_mpi_custom_mpi_options="-verbose -x NCCL_DEBUG=INFO",
    )

    log = _lines(training, "mpi", "algo-1")
    assert job["TrainingJobStatus"] == "Completed", (job, log, _lines(training, "mpi", "algo-2"))
    said = sorted(line for line in log if "<stdout>:" in line and " of 4 on " in line)
    assert said == [
        f"[1,mpirank:{rank},{host}]<stdout>:{rank} of 4 on {host} {host} ['--epochs', '3'] a=b c"
        for rank, host in enumerate(["algo-1", "algo-1", "algo-2", "algo-2"])
    ]
    assert training.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {
        "rank-0": b"algo-1",
        "rank-1": b"algo-1",
        "rank-2": b"algo-2",
        "rank-3": b"algo-2",
    }


def test_an_error_in_one_process_is_the_reason_of_the_job(training: Any) -> None:
    script = RANKS + "\nif rank == '1': raise ValueError('no rows for this rank')\n"
    job = _run(training, "failing", script, sagemaker_mpi_enabled=True)

    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"), reason
    assert "ValueError: no rows for this rank" in reason
    assert "mpirun --host algo-1:1,algo-2:1" in reason
    assert reason.endswith(", host: algo-1, exit code: 1")


@pytest.mark.parametrize("strategy", ["torch_distributed", "pytorch_ddp"])
def test_torchrun_is_called_with_the_place_of_each_host(training: Any, strategy: str) -> None:
    job = _run(training, "torch", "pass", epochs=3, **{f"sagemaker_{strategy}_enabled": True})

    assert job["TrainingJobStatus"] == "Completed", job
    for rank, host in enumerate(["algo-1", "algo-2"]):
        (said,) = (line for line in _lines(training, "torch", host) if line.startswith("[["))
        arguments, variables = json.loads(said)
        assert arguments == [
            *("--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "algo-1"),
            *("--master_port", "7777", "--node_rank", str(rank), "train.py", "--epochs", "3"),
        ]
        assert variables == {
            "MASTER_ADDR": "algo-1",
            "MASTER_PORT": "7777",
            "NCCL_SOCKET_IFNAME": "eth0",
            "SM_CURRENT_HOST": host,
        }


def test_parameter_servers_run_on_both_hosts(training: Any) -> None:
    job = _run(training, "servers", SERVERS, sagemaker_parameter_server_enabled=True)

    log = [line for host in ("algo-1", "algo-2") for line in _lines(training, "servers", host)]
    assert job["TrainingJobStatus"] == "Completed", "\n".join([str(job), *log])
    model = training.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert set(model) == {"master-0", "worker-0"}
