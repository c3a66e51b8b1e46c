"""`sagelocal train` as a user has it: a folder, some files, one command."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uv
from sagelocal.runtime.gpus import gpu_count

from tests.package_index import make_wheel

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
COMMAND = [str(SAGELOCAL), *["train", "code", "--image", "base", "--runtime", "process"]]
RUNTIMES = ["process", pytest.param("docker", marks=pytest.mark.docker)]

SCRIPT = """
    import argparse, os, shutil, sys
    from pathlib import Path
    import utils

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    epochs = parser.parse_args().epochs
    for epoch in range(epochs):
        print("epoch", epoch)
    rows = Path(os.environ["SM_CHANNEL_TRAIN"], "data.csv").read_text()
    Path(os.environ["SM_MODEL_DIR"], "deep").mkdir()
    Path(os.environ["SM_MODEL_DIR"], "deep", "model.txt").write_text(utils.upper(rows))
    Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text(os.environ["COLOUR"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with code and data, to stand in."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(textwrap.dedent(SCRIPT))
    (code / "utils.py").write_text("def upper(text):\n    return text.upper()\n")
    (tmp_path / "data.csv").write_text("a,b\n")
    return tmp_path


@pytest.fixture
def train(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `sagelocal train` in the folder."""

    def run(*arguments: str, runtime: str = "process") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SAGELOCAL, "train", *arguments, "--runtime", runtime],
            cwd=folder,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder, where packages are kept."""
    data = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("SAGELOCAL_DATA", str(data))
    return data


def script(folder: Path, text: str) -> None:
    (folder / "code" / "train.py").write_text(textwrap.dedent(text))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_folder_of_code_leaves_its_model_and_data_as_plain_files(
    runtime: str, folder: Path, train: Any
) -> None:
    options = ("--channel", "train=data.csv", "--hp", "epochs=2", "--env", "COLOUR=blue")

    done = train("code", "--image", "base", *options, runtime=runtime)

    assert done.returncode == 0, done.stdout + done.stderr
    model = folder / "model-output" / "model" / "deep" / "model.txt"
    assert model.read_text() == "A,B\n"
    assert (folder / "model-output" / "data" / "report.txt").read_text() == "blue"
    for path in (folder / "model-output").rglob("*"):
        assert path.stat().st_uid == os.getuid()
        assert os.access(path, os.W_OK)
    lines = done.stdout.splitlines()
    phases = [found[1] for line in lines if (found := re.match(r"\[ +[\d.]+ s\] (\w+):", line))]
    assert list(dict.fromkeys(phases)) == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert lines.index("epoch 0") < lines.index("epoch 1")
    assert lines[-1] == "The model is in model-output/model"
    assert sorted(path.name for path in folder.iterdir()) == ["code", "data.csv", "model-output"]


def test_what_requirements_txt_brought_is_kept_for_the_next_run(
    folder: Path, train: Any, data_dir: Path
) -> None:
    (folder / "wheels").mkdir()
    wheel = make_wheel(folder / "wheels", "wanted")
    script(folder, "import wanted; print('has', wanted.VERSION)")
    (folder / "code" / "requirements.txt").write_text("wanted\n")
    options = ("--env", "PIP_NO_INDEX=1", "--env", f"PIP_FIND_LINKS={wheel.parent}")

    first = train("code", "--image", "base", *options)
    wheel.unlink()
    second = train("code", "--image", "base", *options)

    assert "has 1.0" in first.stdout, first.stdout + first.stderr
    assert "has 1.0" in second.stdout, second.stdout + second.stderr
    assert any((data_dir / "packages").iterdir())


def test_the_next_run_takes_the_place_of_the_last(folder: Path, train: Any) -> None:
    script(folder, "import os; open(os.environ['SM_MODEL_DIR'] + '/first', 'w')")
    train("code", "--image", "base")
    script(folder, "import os; open(os.environ['SM_MODEL_DIR'] + '/second', 'w')")

    done = train("code", "--image", "base")

    assert done.returncode == 0, done.stderr
    assert [path.name for path in (folder / "model-output/model").iterdir()] == ["second"]


def test_a_folder_that_is_somebody_elses_is_left_alone(folder: Path, train: Any) -> None:
    done = train("code", "--image", "base", "--output", "code")

    assert done.returncode == 1
    assert "--output code holds files that are not from `sagelocal train`" in done.stderr
    assert (folder / "code" / "train.py").exists()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_failed_job_says_why_and_what_next(runtime: str, folder: Path, train: Any) -> None:
    script(folder, "raise ValueError('the third row is not a number')")

    done = train("code", "--image", "base", runtime=runtime)

    assert done.returncode == 1
    assert "Failed: AlgorithmError: ExecuteUserScriptError" in done.stderr
    assert "ValueError: the third row is not a number" in done.stderr
    assert "-> the log above has the whole story" in done.stderr


def test_an_algorithm_of_the_catalogue_runs_by_its_name(folder: Path, train: Any) -> None:
    rows = "".join(f"{3 * x + 1},{x}\n" for x in range(40))
    (folder / "rows.csv").write_text(rows)
    options = ("--channel", "train=rows.csv", "--hp", "predictor_type=regressor")

    done = train("linear-learner", *options, "--hp", "mini_batch_size=10", "--hp", "epochs=2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "#quality_metric: host=algo-1, epoch=0, train" in done.stdout
    assert (folder / "model-output/model/model_algo-1").stat().st_size > 0


def test_several_hosts_know_one_another(folder: Path, train: Any) -> None:
    script(folder, "import os; print('hosts', os.environ['SM_HOSTS'])")

    done = train("code", "--image", "base", "--instances", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('hosts ["algo-1","algo-2"]') == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("code",), "code has no image.toml; name the image that runs its code with --image"),
        (("code", "--image", "base", "--entry-point", "main.py"), "code has no main.py (it has"),
        (("code", "--image", "base", "--channel", "train=nowhere"), "there is no file"),
        (("code", "--image", "base", "--hp", "epochs"), "'epochs' is not NAME=VALUE"),
        (("code", "--image", "base", "--channel", "a b=data.csv"), "ValidationException"),
        (("code", "--image", "base", "--instances", "0"), "ValidationException"),
        (("base", "--image", "base"), "'base' is no folder"),
        (("no-such-image",), "No image answers to 'no-such-image'"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, train: Any
) -> None:
    done = train(*arguments)

    assert done.returncode in (1, 2)
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_the_job_and_keeps_what_it_left(folder: Path) -> None:
    script(
        folder,
        """
        import os, signal, sys, time
        def stop(*_):
            open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready to be stopped")
        time.sleep(600)
        """,
    )
    with subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert any(line == "ready to be stopped\n" for line in job.stdout)
        job.send_signal(signal.SIGINT)
        rest, said = job.communicate(timeout=60)

    assert job.returncode == 130, rest + said
    assert "Stopping: Stopping the training job" in rest
    assert "Stopped. What it left is in model-output" in said
    assert (folder / "model-output" / "model" / "saved").exists()


def test_on_a_terminal_a_line_shows_the_phase_and_the_time(folder: Path) -> None:
    script(folder, "import time; time.sleep(1); print('slept')")
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, cwd=folder, stdout=theirs, stderr=theirs) as job:
        os.close(theirs)
        shown = b""
        with open(ours, "rb", buffering=0) as terminal:
            try:
                while data := terminal.read(4096):
                    shown += data
            except OSError:
                pass  # a terminal's other end is closed
    assert job.returncode == 0, shown
    assert re.search(rb"\r\x1b\[KTraining \d+ s \(Ctrl-C stops it\)", shown)
    assert b"\x1b[Kslept\r\n" in shown


class Debugger:
    """The client's side of the Debug Adapter Protocol, as an editor speaks it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._reader = self._socket.makefile("rb")
        self._number = 0

    def send(self, command: str, **arguments: Any) -> int:
        self._number += 1
        body = json.dumps(
            {
                "seq": self._number,
                "type": "request",
                "command": command,
                "arguments": arguments,
            }
        ).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self._number

    def await_message(self, kind: str, name: str) -> dict[str, Any]:
        """The next response to a command, or event, of this name."""
        while True:
            length = 0
            while line := self._reader.readline().strip():
                length = int(line.partition(b":")[2])
            if not length:
                raise ConnectionError("nobody speaks the protocol yet")
            message: dict[str, Any] = json.loads(self._reader.read(length))
            if message["type"] == kind and message.get("command", message.get("event")) == name:
                return message

    def close(self) -> None:
        self._reader.close()
        self._socket.close()


def attach(port: int) -> Debugger:
    """An initialized client; Docker takes connections before anybody listens in the container."""
    deadline = time.monotonic() + 60
    while True:
        debugger = None
        try:
            debugger = Debugger(port)
            debugger.send("initialize", adapterID="test", linesStartAt1=True, pathFormat="path")
            assert debugger.await_message("response", "initialize")["success"]
            return debugger
        except OSError:
            if debugger is not None:
                debugger.close()
            assert time.monotonic() < deadline, "no debugger can attach"
            time.sleep(0.05)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_script_waits_for_a_debugger_and_stops_where_it_is_told(
    runtime: str, folder: Path
) -> None:
    script(folder, "secret = 6 * 7\nprint('the answer is', secret)\n")
    if runtime == "docker":
        # A container may not reach the package index, so the source brings debugpy along.
        bring = ("pip", "install", "--quiet", "--target", str(folder / "code"), "debugpy")
        subprocess.run([uv.find_uv_bin(), *bring, "--python-version", "3.11"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*COMMAND[:-1], runtime, "--debugger", str(port)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if "The script waits for a debugger" in line:
                break
        else:
            pytest.fail("the job ended before its script waited")
        debugger = attach(port)
        debugger.send("attach", justMyCode=True)
        debugger.await_message("event", "initialized")
        source = {"path": "/opt/ml/code/train.py"}
        debugger.send("setBreakpoints", source=source, breakpoints=[{"line": 2}])
        placed = debugger.await_message("response", "setBreakpoints")["body"]["breakpoints"]
        assert placed[0]["verified"], placed
        debugger.send("configurationDone")
        thread = debugger.await_message("event", "stopped")["body"]["threadId"]
        debugger.send("stackTrace", threadId=thread)
        frames = debugger.await_message("response", "stackTrace")["body"]["stackFrames"]
        debugger.send("evaluate", expression="secret", frameId=frames[0]["id"])
        assert debugger.await_message("response", "evaluate")["body"]["result"] == "42"
        debugger.send("continue", threadId=thread)
        printed = job.stdout.read()
        debugger.close()
    assert job.returncode == 0, printed
    assert "the answer is 42" in printed


def test_a_debugger_needs_code_of_ones_own(train: Any) -> None:
    done = train("linear-learner", "--debugger", "5678")

    assert done.returncode == 1
    assert "--debugger is for a folder of your own code" in done.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
def test_gpus_that_are_not_there_are_refused_with_the_next_step(train: Any, runtime: str) -> None:
    done = train("code", "--image", "base", "--gpus", "1", runtime=runtime)

    assert done.returncode == 1
    words = f"--gpus 1: the {runtime} runtime of this machine can give 0 to a container"
    assert words in done.stderr
    assert "leave out --gpus to train on processors" in done.stderr


READS = {
    "FastFile": """
        import os
        from pathlib import Path
        path = Path(os.environ["SM_CHANNEL_TRAIN"], "deep", "b.csv")
        try: path.write_text("changed")
        except OSError as error: print(error.strerror)
        print(path.read_text())
    """,
    "Pipe": """
        from sagelocal_train import Environment
        channel = Environment.read().channels["train"]
        for epoch in range(2):
            with channel.open_pipe(epoch) as pipe: print(epoch, pipe.read().decode())
    """,
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("mode", "printed"),
    [("FastFile", ["Read-only file system", "B"]), ("Pipe", ["0 AB", "1 AB"])],
)
def test_a_channel_in_another_input_mode(
    folder: Path, train: Any, mode: str, printed: list[str], runtime: str
) -> None:
    data = folder / "data"
    (data / "deep").mkdir(parents=True)
    (data / "a.csv").write_text("A")
    (data / "deep" / "b.csv").write_text("B")
    script(folder, READS[mode])

    options = ("--channel", "train=data", "--input-mode", mode)
    done = train("code", "--image", "base", *options, runtime=runtime)

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in printed] == printed
    assert (data / "deep" / "b.csv").read_text() == "B"
    left = {"code", "data", "data.csv", "model-output"}
    assert {path.name for path in folder.iterdir()} == left
