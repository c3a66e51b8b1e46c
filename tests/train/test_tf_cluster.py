"""TensorFlow's clusters: TF_CONFIG, golden, and parameter servers beside scripts on two hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sagelocal_train import Environment, tf_cluster

# Addresses that stand for names: both hosts are this machine.
FIRST, SECOND = "127.77.4.1", "127.77.4.2"
HOSTS = ["algo-1", "algo-2", "algo-3"]
# What TensorFlow is asked for, answered by a server that adds what the scripts send it.
TENSORFLOW = """
import os, socketserver, types
assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"

class Sum(socketserver.StreamRequestHandler):
    def handle(self):
        if line := self.rfile.readline():
            self.server.total += int(line)
            self.wfile.write(b"%d" % self.server.total)

class Server:
    def __init__(self, cluster, job_name, task_index):
        host, port = cluster[job_name][task_index].split(":")
        socketserver.TCPServer.allow_reuse_address = True
        self._server = socketserver.TCPServer(("", int(port)), Sum)  # as TensorFlow does
        self._server.total = 0
    def join(self):
        self._server.serve_forever()

train = types.SimpleNamespace(ClusterSpec=lambda cluster: cluster)
distribute = types.SimpleNamespace(Server=Server)
"""
SCRIPT = """
import json, os, pathlib, socket, time
said = json.loads(os.environ["TF_CONFIG"])
def add(address, number):
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as server:
        server.sendall(b"%d\\n" % number)
        return int(server.makefile("rb").read())
servers = said["cluster"]["ps"]
print("task", said["task"]["type"], said["task"]["index"], flush=True)
sums = [add(address, 1) for address in servers]
if said["task"]["type"] == "master":
    while add(servers[1], 0) < 2: time.sleep(0.01)
pathlib.Path(os.environ["SM_MODEL_DIR"], "ended").touch()
"""


def _environment(job: Any, host: str, **changes: Any) -> Environment:
    job.config("resourceconfig", {"current_host": host, "hosts": HOSTS, **changes})
    return Environment.read({"SAGEMAKER_BASE_DIR": str(job.base)})


@pytest.mark.parametrize(("host", "index"), [("algo-1", 0), ("algo-3", 2)])
def test_every_host_is_a_worker_of_the_mirrored_strategy(job: Any, host: str, index: int) -> None:
    assert json.loads(tf_cluster.mirrored(_environment(job, host))["TF_CONFIG"]) == {
        "cluster": {"worker": ["algo-1:8890", "algo-2:8890", "algo-3:8890"]},
        "environment": "cloud",
        "task": {"type": "worker", "index": index},
    }


@pytest.mark.parametrize(
    ("host", "server", "task"),
    [
        ("algo-1", False, {"type": "master", "index": 0}),
        ("algo-2", False, {"type": "worker", "index": 0}),
        ("algo-3", False, {"type": "worker", "index": 1}),
        ("algo-1", True, {"type": "ps", "index": 0}),
        ("algo-3", True, {"type": "ps", "index": 2}),
    ],
)
def test_parameter_servers_run_beside_a_master_and_workers(
    job: Any, host: str, server: bool, task: dict[str, Any]
) -> None:
    said = tf_cluster.with_servers(_environment(job, host), server=server)
    assert json.loads(said["TF_CONFIG"]) == {
        "cluster": {
            "master": ["algo-1:2222"],
            "worker": ["algo-2:2222", "algo-3:2222"],
            "ps": ["algo-1:2223", "algo-2:2223", "algo-3:2223"],
        },
        "environment": "cloud",
        "task": task,
    }


def test_hosts_that_are_processes_of_one_machine_have_ports_of_their_own(job: Any) -> None:
    purposes = (tf_cluster.MIRRORED_PORT, tf_cluster.WORKER_PORT, tf_cluster.SERVER_PORT)
    names = [FIRST, SECOND, "127.77.4.3"]
    used = [port for purpose in purposes for port in tf_cluster.ports(names, purpose).values()]
    assert len(set(used)) == len(used) == 9
    assert all(10000 <= port < 32000 for port in used)

    first, second = tf_cluster.ports([FIRST, SECOND], tf_cluster.MIRRORED_PORT).values()
    environment = _environment(job, SECOND, hosts=[FIRST, SECOND])
    assert json.loads(tf_cluster.mirrored(environment)["TF_CONFIG"])["cluster"] == {
        "worker": [f"{FIRST}:{first}", f"{SECOND}:{second}"]
    }


@pytest.mark.parametrize("names", [["127.0.0.1"], [FIRST, "10.1.2.3"], ["10.1.2.3"]])
def test_a_host_that_is_alone_or_elsewhere_keeps_the_port_of_the_cloud(names: list[str]) -> None:
    assert tf_cluster.ports(names, 8890) == dict.fromkeys(names, 8890)


@pytest.fixture
def two_jobs(tmp_path: Path, job: Any) -> list[Any]:
    """The same job on two hosts, with a stand-in for TensorFlow in their image."""
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "tensorflow.py").write_text(TENSORFLOW)
    jobs = []
    for host in (FIRST, SECOND):
        own = type(job)(tmp_path / host, started=job.started)
        (own.base / "model").mkdir(parents=True)
        own.config("resourceconfig", {"current_host": host, "hosts": [FIRST, SECOND]})
        own.variables["PYTHONPATH"] = str(tmp_path / "image")
        own.hyperparameters(sagemaker_program="train.py", sagemaker_parameter_server_enabled=True)
        jobs.append(own.code("train.py", SCRIPT))
    return jobs


def test_scripts_use_the_servers_of_both_hosts_and_these_stay_until_the_master_ends(
    two_jobs: list[Any], until: Any
) -> None:
    master, worker = two_jobs
    second = worker.start()
    # The worker's part is done, but its server holds what the master needs.
    first = master.start()
    ended = [master.end(first), worker.end(second)]

    assert [each.exit_code for each in ended] == [0, 0], ended
    assert "Running distributed training job with parameter servers" in ended[0].output
    assert "task master 0" in ended[0].output
    assert "task worker 0" in ended[1].output
    assert all((each.base / "model/ended").exists() for each in two_jobs)


def test_the_log_says_what_the_mirrored_strategy_is_told(job: Any) -> None:
    script = "import os; print('told', os.environ['TF_CONFIG'])"
    ended = job.run_script(script, sagemaker_multi_worker_mirrored_strategy_enabled=True)

    assert ended.exit_code == 0, ended.failure
    told = ended.output.partition("\ntold ")[2].partition("\n")[0]
    said = "Running distributed training job with multi_worker_mirrored_strategy setup"
    assert said in ended.output
    assert json.loads(told)["task"] == {"type": "worker", "index": 0}
    assert f"\nTF_CONFIG={told}\n" in ended.output


def test_a_server_that_cannot_run_fails_the_job(two_jobs: list[Any], tmp_path: Path) -> None:
    (tmp_path / "image" / "tensorflow.py").write_text("raise ImportError('no libcuda')")
    ended = two_jobs[0].run()

    assert ended.exit_code == 1
    at = tf_cluster.ports([FIRST, SECOND], tf_cluster.SERVER_PORT)[FIRST]
    assert f"Nothing listens at {FIRST}:{at}" in ended.failure
    assert "no libcuda" in ended.output


def test_one_host_needs_no_servers(job: Any) -> None:
    script = "import os; print('config', os.environ.get('TF_CONFIG'))"
    ended = job.run_script(script, sagemaker_parameter_server_enabled=True)

    assert ended.exit_code == 0
    assert "config None" in ended.output


def test_servers_without_tensorflow_are_refused(job: Any) -> None:
    job.config("resourceconfig", {"current_host": FIRST, "hosts": [FIRST, SECOND]})
    ended = job.run_script("pass", sagemaker_parameter_server_enabled=True)

    assert ended.exit_code == 1
    assert "does not have (there is no tensorflow); unset the estimator's" in ended.failure
