"""Which launcher a script runs under, and the command lines, held to golden text."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from sagelocal_train import Environment, launchers, mpi, torchrun
from sagelocal_train.entry_point import Kind
from sagelocal_train.errors import ScriptError

TWO_HOSTS = {
    "current_host": "algo-2",
    "hosts": ["algo-1", "algo-2"],
    "network_interface_name": "eth0",
}
GROUPS = {
    "current_host": "algo-3",
    "current_group_name": "gpu",
    "hosts": ["algo-1", "algo-2", "algo-3"],
    "instance_groups": [
        {"instance_group_name": "cpu", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1"]},
        {"instance_group_name": "gpu", "instance_type": "ml.m5", "hosts": ["algo-2", "algo-3"]},
    ],
    "network_interface_name": "eth0",
}
# The options of the SageMaker training toolkit's mpirun.
MPIRUN = (
    "mpirun --host {hosts} -np {processes} --allow-run-as-root --display-map --tag-output "
    "-mca btl_tcp_if_include eth0 -mca oob_tcp_if_include eth0 -mca plm_rsh_no_tree_spawn 1 "
    "-bind-to none -map-by slot -mca pml ob1 -mca btl '^openib' "
    "-mca orte_abort_on_non_zero_status 1 -mca btl_vader_single_copy_mechanism none "
    "-x NCCL_SOCKET_IFNAME=eth0 "
)


def _environment(job: Any, resources: dict[str, Any], **hyperparameters: object) -> Environment:
    job.config("resourceconfig", resources).hyperparameters(**hyperparameters)
    return Environment.read({"SAGEMAKER_BASE_DIR": str(job.base)})


def _mpirun(environment: Environment, *variables: str) -> str:
    return shlex.join(mpi.command(environment, ["python", "a.py"], dict.fromkeys(variables, "")))


def test_torchrun_on_one_host(job: Any) -> None:
    environment = _environment(job, {}, sagemaker_torch_distributed_enabled=True)
    command = torchrun.command(environment, Kind.PROGRAM, "train.py", ["--epochs", "3"])
    assert shlex.join(command) == "torchrun --nnodes 1 --nproc_per_node 1 train.py --epochs 3"


def test_torchrun_on_the_second_host_of_two(job: Any) -> None:
    environment = _environment(job, TWO_HOSTS, sagemaker_torch_distributed_enabled=True)
    command = torchrun.command(environment, Kind.PROGRAM, "train.py", ["--epochs", "3"])
    assert shlex.join(command) == (
        "torchrun --nnodes 2 --nproc_per_node 1 --master_addr algo-1 --master_port 7777 "
        "--node_rank 1 train.py --epochs 3"
    )
    assert torchrun.variables(environment) == {
        "MASTER_ADDR": "algo-1",
        "MASTER_PORT": "7777",
        "NCCL_SOCKET_IFNAME": "eth0",
        "GLOO_SOCKET_IFNAME": "eth0",
        "NCCL_IB_DISABLE": "1",
    }


def test_torchrun_within_the_groups_of_the_distribution(job: Any) -> None:
    environment = _environment(
        job,
        GROUPS,
        sagemaker_torch_distributed_enabled=True,
        sagemaker_distribution_instance_groups=["gpu"],
    )
    command = shlex.join(torchrun.command(environment, Kind.PROGRAM, "train.py", []))
    assert "--nnodes 2" in command
    assert "--master_addr algo-2 --master_port 7777 --node_rank 1" in command


@pytest.mark.parametrize("kind", [Kind.PACKAGE, Kind.COMMAND])
def test_torchrun_runs_programs_only(job: Any, kind: Kind) -> None:
    with pytest.raises(ScriptError, match=r"'train' is a .*torchrun runs Python programs only"):
        torchrun.command(_environment(job, TWO_HOSTS), kind, "train", [])


def test_mpirun_over_two_hosts(job: Any) -> None:
    environment = _environment(
        job,
        TWO_HOSTS,
        sagemaker_mpi_enabled=True,
        sagemaker_mpi_num_of_processes_per_host=4,
    )
    variables = ("SM_HOSTS", "OWN", "PATH", "SM_CURRENT_HOST", "HOSTNAME", "PYTHONUNBUFFERED")
    assert _mpirun(environment, *variables) == (
        MPIRUN.format(hosts="algo-1:4,algo-2:4", processes=8)
        + "-x OWN -x PATH -x SM_HOSTS python a.py"
    )


def test_custom_options_and_the_number_of_processes(job: Any) -> None:
    environment = _environment(
        job,
        TWO_HOSTS,
        sagemaker_mpi_enabled=True,
        sagemaker_mpi_num_processes=3,
        sagemaker_mpi_num_of_processes_per_host=2,
        sagemaker_mpi_custom_mpi_options="-verbose -x OWN=1 --mca a 'b c'",
    )
    assert _mpirun(environment, "OWN", "SM_HOSTS") == (
        MPIRUN.format(hosts="algo-1:2,algo-2:2", processes=3)
        + "-verbose -x OWN=1 --mca a 'b c' -x SM_HOSTS python a.py"
    )


def test_a_number_of_processes_that_is_none_is_said(job: Any) -> None:
    environment = _environment(
        job, TWO_HOSTS, sagemaker_mpi_enabled=True, sagemaker_mpi_num_of_processes_per_host="two"
    )
    with pytest.raises(ScriptError, match="sagemaker_mpi_num_of_processes_per_host is 'two'"):
        _mpirun(environment)


@pytest.mark.parametrize(
    ("kind", "name", "command"),
    [
        (Kind.PROGRAM, "train.py", f"{sys.executable} -m mpi4py train.py --a 1"),
        (Kind.PACKAGE, "pack/train.py", f"{sys.executable} -m mpi4py -m pack.train --a 1"),
        (Kind.COMMAND, "train.sh", '/bin/sh -c \'exec "$0" "$@"\' ./train.sh --a 1'),
    ],
)
def test_what_each_process_runs(kind: Kind, name: str, command: str) -> None:
    assert command == shlex.join(mpi.script_command(kind, name, ["--a", "1"], has_mpi4py=True))
    without = mpi.script_command(kind, name, ["--a", "1"], has_mpi4py=False)
    assert command.replace(" -m mpi4py", "") == shlex.join(without)


def test_tags_name_the_host_of_each_process(job: Any) -> None:
    environment = _environment(
        job, TWO_HOSTS, sagemaker_mpi_enabled=True, sagemaker_mpi_num_of_processes_per_host=2
    )
    rewrite = mpi.name_hosts(environment)
    assert rewrite(b"[1,0]<stdout>:a\n[1,3]<stderr>:b [1,0]<stdout>:\nplain\n") == (
        b"[1,mpirank:0,algo-1]<stdout>:a\n[1,mpirank:3,algo-2]<stderr>:b [1,0]<stdout>:\nplain\n"
    )


def test_the_words_of_processes_are_taken_apart() -> None:
    mixed = (
        "[1,mpirank:0,algo-1]<stderr>:Traceback (most recent call last):\n"
        "[1,mpirank:1,algo-2]<stderr>:waiting\n"
        "mpirun: one process ended\n"
        "[1,mpirank:0,algo-1]<stderr>:ValueError: no rows\n"
    )
    assert mpi.untangle(mixed) == (
        "mpirun: one process ended\n"
        "Traceback (most recent call last):\nValueError: no rows\nwaiting"
    )


def test_a_host_outside_the_distribution_runs_the_script_alone(
    job: Any, fake_programs: Any
) -> None:
    fake_programs("torchrun")
    asked = {"sagemaker_torch_distributed_enabled": True}
    ended = job.config("resourceconfig", GROUPS | {"current_host": "algo-1"}).run_script(
        "print('alone')", sagemaker_distribution_instance_groups=["gpu"], **asked
    )
    assert (ended.exit_code, "alone\n" in ended.output) == (0, True), ended.output


def test_pytorch_ddp_runs_under_torchrun(job: Any, fake_programs: Any) -> None:
    record = fake_programs("torchrun")
    asked = {"sagemaker_pytorch_ddp_enabled": True, "sagemaker_instance_type": "ml.g5.xlarge"}
    ended = job.run_script("pass", epochs=3, **asked)

    assert ended.exit_code == 0, ended.output
    assert json.loads(record.read_text()) == [
        *("--nnodes", "1", "--nproc_per_node", "1", "train.py", "--epochs", "3")
    ]


def test_the_data_parallel_library_of_aws_is_refused_with_what_to_use_instead(
    job: Any, fake_programs: Any
) -> None:
    fake_programs("torchrun")
    asked = dict.fromkeys(
        ("sagemaker_distributed_dataparallel_enabled", "sagemaker_torch_distributed_enabled"), True
    )
    ended = job.run_script("pass", **asked)

    assert ended.exit_code == 1
    assert "sagemaker_distributed_dataparallel_enabled asks for" in ended.failure
    assert 'use distribution={"torch_distributed": {"enabled": True}}' in ended.failure


def test_mpi_on_one_host_needs_no_ssh(job: Any, fake_programs: Any) -> None:
    record = fake_programs("mpirun")
    ended = job.run_script("pass", epochs=3, sagemaker_mpi_enabled=True)

    assert ended.exit_code == 0, ended.output
    arguments = json.loads(record.read_text())
    assert arguments[:4] == ["--host", "algo-1:1", "-np", "1"]
    assert arguments[-3:] == ["train.py", "--epochs", "3"]
    assert "SM_TRAINING_ENV" in arguments


def test_the_programs_that_are_missing_are_named(job: Any, fake_programs: Any) -> None:
    fake_programs("mpirun")
    job.variables["PATH"] = job.variables["PATH"].partition(":")[0]
    ended = job.config("resourceconfig", TWO_HOSTS).run_script("pass", sagemaker_mpi_enabled=True)

    assert ended.exit_code == 1
    assert "(there is no ssh and no sshd)" in ended.failure


@pytest.fixture
def fake_programs(job: Any, tmp_path: Path) -> Any:
    """Puts programs first on PATH that write their arguments down, and gives the file."""
    folder, record = tmp_path / "bin", tmp_path / "arguments"

    def put(name: str) -> Path:
        folder.mkdir(exist_ok=True)
        program = folder / name
        program.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f"json.dump(sys.argv[1:], open({str(record)!r}, 'w'))\n"
        )
        program.chmod(0o755)
        job.variables["PATH"] = f"{folder}:{job.environment()['PATH']}"
        job.variables["SM_STUDIO_LOCAL_MODE"] = "true"
        return record

    return put


def test_the_gpus_of_a_host_are_its_processes(job: Any) -> None:
    assert launchers.processes_per_host(_environment(job, {})) == 1
