"""A server around a handful of operations of its own, for the tests beside it.

    python small_plane.py DATA_DIR PORT [fail]

prints its address when it listens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sagelocal.gateway import web_server
from sagelocal.protocol.faults import Fault
from sagelocal.runtime.interface import RuntimeUnavailable
from sagelocal.services.calls import Call, OperationTable
from sagelocal.settings import Settings

Params = Mapping[str, Any]


def describe_endpoint(_plane: Any, call: Call, params: Params) -> Params:
    name = params["EndpointName"]
    return {"EndpointName": name, "EndpointArn": call.scope.sagemaker_arn("endpoint", name)}


def list_endpoints(_plane: Any, _call: Call, _params: Params) -> Params:
    raise KeyError("a bug with a secret in it")


def invoke_endpoint(plane: Any, _call: Call, params: Params) -> Params:
    """Does what the endpoint's name says, then gives the body back.

    `sleep-0-5` sleeps half a second; `held-NAME` waits for a file of that name in the data folder;
    `header-HEX` answers with that content type.
    """
    action, _, argument = params["EndpointName"].partition("-")
    if action == "header":
        return {"Body": params["Body"], "ContentType": bytes.fromhex(argument).decode()}
    if action == "held":
        while not (plane.settings.data_dir / argument).exists():
            time.sleep(0.02)
    else:
        time.sleep(float(argument.replace("-", ".")))
    return {"Body": params["Body"], "ContentType": params.get("ContentType")}


def put_object(plane: Any, call: Call, params: Params) -> Params:
    count = 0
    with _file(plane, params).open("wb") as file:
        while data := params["Body"].read(1 << 20):
            count += file.write(data)
    _file(plane, params, ".meta").write_text("\n".join(params.get("Metadata", {})))
    return {"ETag": f'"{count}"'}


def get_object(plane: Any, _call: Call, params: Params) -> Params:
    if not _file(plane, params).exists():
        message = "The specified key does not exist."
        raise Fault("NoSuchKey", message, members={"Key": params["Key"]})
    file = _file(plane, params).open("rb")
    size = _file(plane, params).stat().st_size
    names = _file(plane, params, ".meta").read_text().split()
    result = {"Body": file, "ContentLength": size, "Metadata": dict.fromkeys(names, "x")}
    if "Range" in params:
        first, last = (int(n) for n in params["Range"].removeprefix("bytes=").split("-"))
        file.seek(first)
        result |= {
            "ContentLength": last - first + 1,
            "ContentRange": f"bytes {first}-{last}/{size}",
        }
    return result


def get_object_torrent(_plane: Any, _call: Call, _params: Params) -> Params:
    """A body of unknown length, in chunks."""
    return {"Body": (b"x" * 1000 for _ in range(1000))}


def head_bucket(_plane: Any, call: Call, params: Params) -> Params:
    return {"BucketRegion": call.scope.region}


def _file(plane: Any, params: Params, suffix: str = "") -> Path:
    key = params["Key"].encode().hex()
    path: Path = plane.settings.data_dir / f"object-{key}{suffix}"
    return path


OPERATIONS: OperationTable = {
    ("sagemaker", "DescribeEndpoint"): describe_endpoint,
    ("sagemaker", "ListEndpoints"): list_endpoints,
    ("sagemaker-runtime", "InvokeEndpoint"): invoke_endpoint,
    ("s3", "PutObject"): put_object,
    ("s3", "GetObject"): get_object,
    ("s3", "GetObjectTorrent"): get_object_torrent,
    ("s3", "HeadBucket"): head_bucket,
}


@contextmanager
def open_plane(settings: Settings) -> Iterator[Any]:
    if "fail" in sys.argv:
        raise RuntimeUnavailable("Docker does not answer; start it or use --runtime process")
    runtime = SimpleNamespace(
        name="none",
        host_address=lambda: "127.0.0.2",
        is_container=lambda address: address == "127.0.0.3",
    )
    yield SimpleNamespace(settings=settings, runtime=runtime)
    (settings.data_dir / "closed").touch()


if __name__ == "__main__":
    web_server.run(
        Settings(data_dir=Path(sys.argv[1]), port=int(sys.argv[2])),
        open_plane,
        OPERATIONS,
        lambda url: print(url, flush=True),
    )
