"""A control plane of the benchmark's own, started and killed as a user would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

SAGELOCAL = Path(sys.executable).with_name("sagelocal")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Plane:
    """A plane on a data directory and a port, on the process runtime."""

    data: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str | Path) -> str:
        """Run a sagelocal command; what it printed."""
        environment = {
            **os.environ,
            "SAGELOCAL_DATA": str(self.data),
            "SAGELOCAL_PORT": str(self.port),
            "SAGELOCAL_RUNTIME": "process",
        }
        return subprocess.run(
            [SAGELOCAL, *arguments],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def up(self) -> None:
        self.command("up")

    def down(self) -> None:
        self.command("down")

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        os.kill(int(json.loads(self.command("status", "--json"))["pid"]), signal.SIGKILL)

    def client(self, service: str) -> Any:
        """A boto3 client with dummy keys."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
