"""`sagelocal doctor`: what of this machine sagelocal can use, and what to do about the rest.

Each check is a function that looks at one thing and says what it found. `missing` means sagelocal
cannot work; `limited` means that something named in the text is not to be had.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
from uv import find_uv_bin

from sagelocal.cli import plane_process
from sagelocal.cli.options import data_option
from sagelocal.settings import Settings

State = Literal["ok", "limited", "missing"]
MARKS: dict[State, str] = {"ok": "ok     ", "limited": "limited", "missing": "MISSING"}


@dataclass(frozen=True)
class Finding:
    """What a check saw, and the next step unless all is well."""

    state: State
    subject: str
    seen: str
    next_step: str = ""


@click.command()
@data_option
def doctor(data_dir: Path) -> None:
    """Say what works on this machine.

    And for what does not, the next step. Exit status 1 if sagelocal cannot work here.
    """
    findings = [check(data_dir) for check in CHECKS]
    for finding in findings:
        click.echo(f"{MARKS[finding.state]}  {finding.subject}: {finding.seen}")
        if finding.next_step:
            click.echo(f"         -> {finding.next_step}")
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)


def check_python(_: Path) -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] == (3, 11):
        return Finding("ok", "Python", version)
    return Finding("limited", "Python", version, "sagelocal is tested on CPython 3.11; use that")


def check_data_directory(data_dir: Path) -> Finding:
    existing = next(p for p in (data_dir, *data_dir.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "missing",
            "data directory",
            f"{existing} cannot be written to",
            "choose another folder with --data or SAGELOCAL_DATA",
        )
    free_gib = shutil.disk_usage(existing).free / 2**30
    return Finding("ok", "data directory", f"{data_dir}, {free_gib:.0f} GiB free")


def check_plane(data_dir: Path) -> Finding:
    running = plane_process.find(data_dir)
    if running is not None:
        return Finding("ok", "control plane", f"up at {running.url}")
    port = Settings(data_dir).port
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        return Finding(
            "limited",
            "control plane",
            f"not up, and something else answers on port {port}",
            f"`sagelocal up --port {port + 1}`",
        )
    return Finding("ok", "control plane", f"not up; port {port} is free")


def check_docker(_: Path) -> Finding:
    answer = _output(["docker", "version", "--format", "{{.Server.Version}}"])
    if answer is None:
        return Finding(
            "limited",
            "Docker",
            "no engine answers; containers run as processes",
            "start Docker (and see that `docker version` works for you) to run real images",
        )
    return Finding("ok", "Docker", f"engine {answer}")


def check_compose(_: Path) -> Finding:
    for command in (["docker", "compose", "version"], ["docker-compose", "version", "--short"]):
        answer = _output(command)
        if answer is not None:
            return Finding("ok", "Compose", answer)
    return Finding(
        "limited",
        "Compose",
        "neither `docker compose` nor `docker-compose` answers",
        "install one to use the SDK's own local mode; sagelocal itself does not need it",
    )


def check_uv(_: Path) -> Finding:
    try:
        return Finding("ok", "uv", find_uv_bin())
    except FileNotFoundError:
        return Finding(
            "missing",
            "uv",
            "the uv program is not where its package says",
            f"{sys.executable} -m pip install --force-reinstall uv",
        )


def check_private_opt_ml(_: Path) -> Finding:
    if _output(["unshare", "--mount", "true"]) is not None:
        return Finding("ok", "private /opt/ml for processes", "by a mount namespace")
    if _output(["unshare", "--user", "--map-root-user", "--mount", "true"]) is not None:
        return Finding("ok", "private /opt/ml for processes", "by a user and a mount namespace")
    return Finding(
        "limited",
        "private /opt/ml for processes",
        "namespaces are not allowed; SAGEMAKER_BASE_DIR stands for /opt/ml",
        "scripts with /opt/ml written into them need Docker here",
    )


def check_aws_cli(_: Path) -> Finding:
    answer = _output(["aws", "--version"])
    if answer is None:
        return Finding("limited", "AWS CLI", "not on PATH", "pip install awscli, if you want it")
    return Finding("ok", "AWS CLI", answer.split()[0])


CHECKS: tuple[Callable[[Path], Finding], ...] = (
    check_python,
    check_data_directory,
    check_plane,
    check_uv,
    check_private_opt_ml,
    check_docker,
    check_compose,
    check_aws_cli,
)


def _output(command: list[str]) -> str | None:
    """What a command prints first, or None if it is missing, fails or takes over ten seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(_lines(done.stdout + done.stderr), "")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())
