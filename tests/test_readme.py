"""The README's own session: its Python files are written, its commands run, their words compared.

In the expected output `...` stands for anything, over any number of lines.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a console block and what the README says that it prints."""

    line: str
    expected: str


def commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        yield Command(line, expected)


def matches(expected: str, printed: str) -> bool:
    """Whether the output is what was expected, with `...` standing for anything."""
    first, *rest = (piece.strip() for piece in expected.split("..."))
    text = printed.strip()
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first):
        return False
    position = len(first)
    for piece in middle:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return text.endswith(last) and len(text) - len(last) >= position


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def environment(tmp_path: Path, clients_python: Path) -> Iterator[dict[str, str]]:
    folders = (Path(sys.executable).parent, clients_python.parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]]),
        "SAGELOCAL_DATA": str(tmp_path / "data"),
        "SAGELOCAL_PORT": str(free_port()),
        "SAGELOCAL_RUNTIME": "process",
    }
    yield environment
    subprocess.run([folders[0] / "sagelocal", "down"], env=environment, check=True)


def test_the_session_in_the_readme_prints_what_it_says(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with ExitStack() as other_terminals:
        for language, text in BLOCK.findall(README):
            if language == "python":
                (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
            elif language == "console":
                for command in commands(text):
                    if command.line.startswith("sagelocal serve"):
                        serving = served(command, environment, tmp_path)
                        printed, expected = other_terminals.enter_context(serving)
                    else:
                        printed, expected = run(command, environment, tmp_path)
                    assert matches(expected, printed), (
                        f"{command.line}\n--- printed\n{printed}\n--- expected\n{expected}"
                    )


def run(command: Command, environment: dict[str, str], folder: Path) -> tuple[str, str]:
    """What a command printed, and what it should have."""
    done = subprocess.run(
        ["bash", "-c", command.line], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
    return done.stdout, command.expected.replace("4570", environment["SAGELOCAL_PORT"])


@contextmanager
def served(
    command: Command, environment: dict[str, str], folder: Path
) -> Iterator[tuple[str, str]]:
    """The same of a command that runs on, up to its last line, until it is left by Ctrl-C."""
    port = str(free_port())
    expected = command.expected.replace("8080", port).strip()
    with subprocess.Popen(
        ["bash", "-c", f"exec {command.line} --port {port}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line.strip() == expected.splitlines()[-1].strip():
                break
        yield printed, expected
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0


def test_every_make_target_that_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|    )make ([a-z]+)", README)) <= targets


def test_every_command_that_the_readme_names_is_there() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("sagelocal"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    named = set(re.findall(r"sagelocal ([a-z]+)", README))

    assert named <= set(re.findall(r"^  (\w+)", done.stdout, re.MULTILINE))
