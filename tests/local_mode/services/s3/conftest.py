"""A real server with nothing but S3 behind it, and real clients for it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

_SERVE = """
import json, sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from sagelocal.gateway.web_server import run
from sagelocal.services.s3 import OPERATIONS
from sagelocal.settings import Settings
from sagelocal.store.database import Database
from sagelocal.store.objects import ObjectStore

@contextmanager
def open_plane(settings):
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.data_dir / "plane.sqlite")
    objects = ObjectStore(database, settings.data_dir / "objects")
    runtime = SimpleNamespace(
        name="none", host_address=lambda: None, is_container=lambda address: False
    )
    yield SimpleNamespace(settings=settings, objects=objects, runtime=runtime)
    database.close()

settings = Settings(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]))
run(settings, open_plane, OPERATIONS, lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read whole. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class S3Server:
    """An S3 in a process of its own, which can be killed and started again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._port = 0
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._log = self.data_dir.with_name(self.data_dir.name + ".log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(self.data_dir), str(self._port)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 30)
        assert ready, "the server does not start"
        self.url = self._process.stdout.readline().strip()
        self._port = int(self.url.rpartition(":")[2])
        assert self.request("GET", "/_sagelocal/health").status == 200

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def client(self, region: str = "us-east-1", **config: Any) -> Any:
        """A boto3 client that does not retry."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="sagelocal",
            aws_secret_access_key="sagelocal",
            config=Config(retries={"total_max_attempts": 1}).merge(Config(**config)),
        )

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """A request as it is written here, unsigned."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def environment(self) -> dict[str, str]:
        """What the AWS CLI needs to find this server."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "sagelocal",
            "AWS_SECRET_ACCESS_KEY": "sagelocal",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def object_files(self) -> int:
        """How many files of bytes there are, finished or not."""
        folder = self.data_dir / "objects"
        return sum(1 for path in folder.rglob("*") if path.is_file())

    def _end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests, which keep to buckets of their own."""
    server = S3Server(tmp_path_factory.mktemp("s3") / "data")
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server of the test's own, to be killed."""
    server = S3Server(tmp_path / "data")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3(server: S3Server) -> Any:
    """A boto3 client as users have it."""
    return server.client()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of the test's own."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """`refused(call)` gives the error that a boto3 call is refused with."""

    def refuse(call: Callable[[], Any]) -> dict[str, Any]:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - botocore makes its classes
            call()
        response: dict[str, Any] = getattr(caught.value, "response", {})
        assert response, f"not an answer of the server: {caught.value!r}"
        status = response["ResponseMetadata"]["HTTPStatusCode"]
        return {**response["Error"], "Status": status}

    return refuse
