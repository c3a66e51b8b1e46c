"""`sagelocal serve` and `sagelocal invoke` as a user has them: a model, two terminals."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.linear_model import LinearRegression

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
TEMPLATE = Path(__file__).parents[3] / "containers" / "template"
RUNTIMES = ["process", pytest.param("docker", marks=pytest.mark.docker)]
SERVING = re.compile(r"Serving .* at (http://127\.0\.0\.1:\d+)")
# After the last line, as no program prints it.
END = "\0"
SCRIPT = """
import os

def model_fn(model_dir):
    print("loading", sorted(os.listdir(model_dir)), os.environ.get("COLOUR"), flush=True)
    with open(os.path.join(model_dir, "factor")) as file:
        return int(file.read())

def transform_fn(model, body, content_type, accept):
    if body == "fail":
        raise ValueError("that is no number")
    return f"{content_type}: {model * int(body)}\\n", accept
"""


@dataclass
class Serve:
    """A running `sagelocal serve`; `lines` is what it printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            for line in itertools.chain(printed, [END]):
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()

    @property
    def printed(self) -> str:
        return "\n".join(self.lines)

    def url(self) -> str:
        """Where it serves, once it says so."""
        with self.changed:
            self.changed.wait_for(
                lambda: SERVING.search(self.printed) or self.lines[-1:] == [END], timeout=120
            )
        found = SERVING.search(self.printed)
        assert found, self.printed
        return found[1]

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for its end; the exit status."""
        status = self.process.wait(timeout=120)
        self._reader.join()
        return status


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "SAGELOCAL_DATA": str(tmp_path / "data")}


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Serve]]:
    """Starts `sagelocal serve` in the test's folder, on any free port."""
    started: list[Serve] = []

    def start(*arguments: str, runtime: str = "process") -> Serve:
        port = () if "--port" in arguments else ("--port", "0")
        found = Serve(
            subprocess.Popen(
                [SAGELOCAL, "serve", *arguments, *port, "--runtime", runtime],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        started.append(found)
        return found

    yield start
    for each in started:
        if each.process.poll() is None:
            each.interrupt()


@pytest.fixture
def invoke(
    tmp_path: Path, environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `sagelocal invoke` in the test's folder."""

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SAGELOCAL, "invoke", *arguments],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder, and a folder with the script that reads it."""
    for name, text in (("model/factor", "3"), ("code/inference.py", textwrap.dedent(SCRIPT))):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def pack(folder: Path, *names: str) -> None:
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for name in names:
            archive.add(folder / name, name.removeprefix("model/"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_archive_is_served_called_and_ended(
    runtime: str, folder: Path, serve: Any, invoke: Any
) -> None:
    pack(folder, "model/factor", "code")

    served = serve("model.tar.gz", "--image", "base", "--env", "COLOUR=blue", runtime=runtime)
    url = served.url()

    assert "loading ['code', 'factor'] blue" in served.printed
    assert f"curl -H 'Content-Type: text/csv' -d '1,2,3' {url}/invocations" in served.printed
    answer = invoke("14", "--accept", "text/csv")
    assert (answer.returncode, answer.stdout) == (0, "text/csv: 42\n"), answer.stderr
    assert served.interrupt() == 0
    assert served.lines[-2] == "Ended."
    after = invoke("14", "--to", url)
    assert after.returncode == 1
    assert "nobody answers at" in after.stderr
    assert "Traceback" not in served.printed


def test_a_folder_is_served_as_it_is_with_code_from_elsewhere(
    folder: Path, serve: Any, invoke: Any
) -> None:
    (folder / "code" / "inference.py").rename(folder / "code" / "triple.py")
    options = ("--image", "base", "--code", "code", "--entry-point", "triple.py")

    serve("model", *options, "--workers", "2").url()

    assert invoke("5").stdout == "text/csv: 15\n"
    assert [path.name for path in (folder / "model").iterdir()] == ["factor"]


def test_a_file_of_its_own_tells_its_image(tmp_path: Path, serve: Any, invoke: Any) -> None:
    plane = LinearRegression().fit([[0, 0], [1, 0], [0, 1], [1, 1]], [1, 3, 4, 6])
    joblib.dump(plane, tmp_path / "rents.joblib")

    served = serve("rents.joblib")
    served.url()

    assert (
        "Image: scikit-learn, because rents.joblib is a scikit-learn model that joblib saved"
        in served.printed
    )
    (tmp_path / "rows.csv").write_text("1,1\n0,2\n")
    assert json.loads(invoke("@rows.csv").stdout) == pytest.approx([6, 7])
    refused = invoke("1,2,3")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: 400 BadRequestException: The body is a table of")


def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(folder: Path, serve: Any) -> None:
    (folder / "model" / "factor").write_text("three")

    served = serve("model", "--image", "base", "--code", "code")

    assert served.end() == 1
    assert served.lines[-2].startswith(
        "Error: The model could not be loaded. ValueError: invalid literal for int()"
    )
    assert "Traceback (most recent call last)" in served.printed  # of the script, in the log


def test_a_container_that_ends_ends_it_too(folder: Path, serve: Any) -> None:
    script = folder / "code" / "inference.py"
    script.write_text("def model_fn(model_dir):\n    return 1\n")

    options = ("--env", "SAGEMAKER_MODEL_SERVER_WORKERS=none")
    served = serve("model", "--image", "base", "--code", "code", *options)

    assert served.end() == 1
    assert (
        served.lines[-2] == "Error: the container ended with exit code 1 before it answered /ping"
    )
    assert "SAGEMAKER_MODEL_SERVER_WORKERS='none'" in served.printed


def test_a_port_that_is_taken_is_named(folder: Path, serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        served = serve("model", "--image", "base", "--code", "code", "--port", str(port))
        assert served.end() == 1

    assert f"Port {port} of this machine is in use" in served.printed


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_of_ones_own_is_its_folder(
    runtime: str, tmp_path: Path, serve: Any, invoke: Any
) -> None:
    folder = shutil.copytree(TEMPLATE, tmp_path / "my-image")
    if runtime == "docker":
        build = ["docker", "build", "--quiet", "--tag", "my-image:1", str(folder)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text('{"answer": 2.0}')

    serve("model", "--image", "my-image", runtime=runtime).url()

    assert json.loads(invoke("1 9").stdout)["predictions"] == [3.0, 11.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("model",), "The model holds factor, which does not say what made it. Name the image"),
        (("model", "--image", "no-such-image"), "No image answers to 'no-such-image'"),
        (("model", "--image", "code"), "--image code is a folder without image.toml and Docker"),
        (("model", "--image", "base", "--code", "model"), "model has no inference.py (it has no"),
        (("nowhere",), "'nowhere' does not exist"),
        (("broken.tar.gz", "--image", "base"), "broken.tar.gz cannot be unpacked"),
        (("model", "--image", "base", "--env", "COLOUR"), "'COLOUR' is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, folder: Path, serve: Any
) -> None:
    with tarfile.open(folder / "broken.tar.gz", "w") as archive:  # it is not compressed
        archive.add(folder / "model", "model")

    served = serve(*arguments)

    assert served.end() in (1, 2)
    assert said in served.printed.replace("\n", " ")
    assert "Traceback" not in served.printed


class TestInvoke:
    """Against one served model."""

    @pytest.fixture
    def url(self, folder: Path, serve: Any) -> str:
        found: str = serve("model", "--image", "base", "--code", "code").url()
        return found

    def test_bodies_come_from_arguments_files_and_standard_input(
        self, url: str, folder: Path, invoke: Any
    ) -> None:
        port = url.rpartition(":")[2]
        for name in ("seven.csv", "seven.json", "seven.libsvm", "seven.png", "seven"):
            (folder / name).write_text("7")

        said = {name: invoke(f"@{name}").stdout for name in ("seven.csv", "seven.json", "seven")}
        assert said["seven.csv"] == "text/csv: 21\n"
        assert said["seven.json"] == "application/json: 21\n"
        assert said["seven"] == "application/octet-stream: 21\n"
        assert invoke("@seven.libsvm", "--to", port).stdout == "text/libsvm: 21\n"
        assert invoke("@seven.png", "--to", url).stdout == "application/x-image: 21\n"
        assert invoke("-", "--to", f"{url}/invocations", stdin="7").stdout == "text/csv: 21\n"
        assert invoke("7", "--content-type", "text/plain").stdout == "text/plain: 21\n"

    def test_many_requests_are_timed(self, url: str, invoke: Any) -> None:
        done = invoke("7", "--repeat", "40", "--concurrency", "4")

        assert (done.returncode, done.stdout) == (0, "text/csv: 21\n")
        assert re.fullmatch(
            r"40 requests in \d+\.\d\d s, \d+ per second; milliseconds: p50 \d+\.\d\d, "
            r"p90 \d+\.\d\d, p99 \d+\.\d\d, max \d+\.\d\d; 0 failed\n",
            done.stderr,
        )

    def test_what_the_model_refuses_is_on_standard_error(self, url: str, invoke: Any) -> None:
        done = invoke("fail", "--repeat", "3")

        assert (done.returncode, done.stdout) == (1, "")
        problem, load = done.stderr.splitlines()
        assert problem == (
            "Error: 500 InternalServerException: The model failed on this request. "
            "ValueError: that is no number"
        )
        assert load.endswith("3 failed")

    def test_of_two_models_one_must_be_named(self, url: str, serve: Any, invoke: Any) -> None:
        other = serve("model", "--image", "base", "--code", "code").url()

        done = invoke("7")

        assert done.returncode == 1
        assert f"{url} (model)" in done.stderr
        assert f"{other} (model)" in done.stderr
        assert "choose one with --to" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("1",), "no `sagelocal serve` is running"),
        (("1", "--to", "1"), "nobody answers at 127.0.0.1:1"),
        (("1", "--to", "https://example.com"), "is no address such as http://127.0.0.1:8080"),
        (("1", "--to", "my-endpoint"), "no control plane answers for"),
        (("@nowhere.csv", "--to", "1"), "nowhere.csv cannot be read: No such file"),
    ],
)
def test_who_cannot_be_called_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, invoke: Any
) -> None:
    done = invoke(*arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_waiting_for_a_model_that_is_still_loading(
    folder: Path, serve: Any, environment: dict[str, str]
) -> None:
    command = [str(SAGELOCAL), "invoke", "7", "--wait", "120"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as waiting:
        serve("model", "--image", "base", "--code", "code")
        printed, _ = waiting.communicate(timeout=120)

    assert printed == "text/csv: 21\n"
