"""`sagelocal up`, `status`, `env`, `exec`, `down` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SAGELOCAL = Path(sys.executable).with_name("sagelocal")


class Shell:
    """A user's terminal with a data directory of its own."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "SAGELOCAL_DATA": str(self.data),
            "SAGELOCAL_RUNTIME": "process",
        }
        environment["SAGELOCAL_PORT"] = str(self.port)
        done = subprocess.run(
            [SAGELOCAL, *arguments], capture_output=True, text=True, env=environment
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def pid(self) -> int:
        return int(json.loads(self.run("status", "--json").stdout)["pid"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "data", free_port())
    yield shell
    shell.run("down")


def test_up_returns_when_the_plane_answers_and_down_ends_it(shell: Shell) -> None:
    assert f"up at http://127.0.0.1:{shell.port} " in shell.run("up").stdout
    assert shell.run("status").stdout.startswith(f"up at http://127.0.0.1:{shell.port}")
    assert shell.run("down").stdout == f"down (was http://127.0.0.1:{shell.port})\n"

    gone = shell.run("status", check=False)
    assert gone.returncode == 1
    assert "start it with `sagelocal up`" in gone.stderr


def test_up_twice_says_that_it_is_up(shell: Shell) -> None:
    shell.run("up")

    assert shell.run("up").stdout.startswith("already up at ")


def test_up_with_another_port_does_not_seem_done(shell: Shell) -> None:
    shell.run("up")
    done = shell.run("up", "--port", str(free_port()), check=False)

    assert done.returncode == 1
    assert f"with --port {shell.port}, not " in done.stderr
    assert "`sagelocal down` first" in done.stderr


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--account", "12", "account is '12'; it must be 12 digits."),
        ("--port", "99999", "port is 99999; it must be at least 0 and at most 65535."),
        ("--ping-timeout-seconds", "0", "ping_timeout_seconds is 0; it must be greater than 0."),
        (
            *("--pretrained-models-dir", "/nowhere/nets"),
            "pretrained_models_dir is '/nowhere/nets', which is no folder.",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    shell: Shell, flag: str, value: str, words: str
) -> None:
    done = shell.run("up", flag, value, check=False)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: {words}"


def test_down_without_a_plane_says_so(shell: Shell) -> None:
    assert shell.run("down").stdout.startswith("no control plane answers for ")


def test_after_kill_9_status_says_down_and_up_starts_anew(shell: Shell) -> None:
    shell.run("up")
    shell.run("exec", "--", sys.executable, "-c", MAKE_BUCKET)
    os.kill(shell.pid(), signal.SIGKILL)

    assert shell.run("status", check=False).returncode == 1
    shell.run("up")
    listed = shell.run("exec", "--", sys.executable, "-c", LIST_BUCKETS)
    assert listed.stdout == "['kept']\n"


MAKE_BUCKET = "import boto3; boto3.client('s3').create_bucket(Bucket='kept')"
LIST_BUCKETS = (
    "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
)


def test_env_prints_what_a_shell_can_evaluate(shell: Shell) -> None:
    shell.run("up")
    script = f'eval "$({SAGELOCAL} env --data {shell.data})"; echo "$AWS_ENDPOINT_URL"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == f"http://127.0.0.1:{shell.port}\n"


def test_exec_gives_the_commands_own_exit_status(shell: Shell) -> None:
    shell.run("up")

    assert shell.run("exec", "--", "sh", "-c", "exit 7", check=False).returncode == 7


def test_exec_of_a_missing_command_names_it(shell: Shell) -> None:
    shell.run("up")
    done = shell.run("exec", "--", "no-such-command", check=False)

    assert done.returncode == 1
    assert done.stderr == "Error: cannot run 'no-such-command': No such file or directory\n"


def test_a_taken_port_is_one_line_with_the_next_step(shell: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", shell.port))
        other.listen()
        done = shell.run("up", check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(shell.port) in done.stderr
    assert "--port" in done.stderr


def test_a_data_directory_that_is_a_file_is_one_line_with_the_next_step(
    tmp_path: Path, shell: Shell
) -> None:
    (tmp_path / "file").write_text("")
    done = shell.run("up", "--data", str(tmp_path / "file" / "data"), check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "--data" in done.stderr


def test_a_docker_that_does_not_answer_is_one_line_with_the_next_step(shell: Shell) -> None:
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = subprocess.run(
        [SAGELOCAL, "up", "--data", shell.data, "--runtime", "docker", "--port", str(shell.port)],
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere/docker.sock (No such file or directory). Start it" in done.stderr


def test_doctor_names_what_it_looked_at(shell: Shell) -> None:
    done = shell.run("doctor", check=False)

    for subject in ("Python", "data directory", "control plane", "uv", "Docker", "Compose"):
        assert subject in done.stdout


def test_help_names_every_command() -> None:
    done = subprocess.run([SAGELOCAL, "--help"], capture_output=True, text=True, check=True)

    for command in ("up", "down", "status", "env", "exec", "build", "images", "logs", "doctor"):
        assert f"  {command} " in done.stdout
