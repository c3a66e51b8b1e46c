"""Record what boto3 sends, byte for byte, and what we make of it.

    python tests/local_mode/protocol/golden/regenerate.py

writes NAME.http and NAME.json beside this file for every call below. Read the diff; edit nothing
by hand. What changes from run to run (dates, signatures, ids, versions) is masked.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import requests as http_client
from botocore.config import Config
from sagelocal.protocol import models, requests
from sagelocal.protocol.http import Headers, HttpRequest
from sagelocal.protocol.identify import identify

HERE = Path(__file__).parent

_MASKS = (
    (rb"(?i)(user-agent: )[^\r]*", rb"\1boto3"),
    (rb"(?i)(amz-sdk-invocation-id: )[^\r]*", rb"\g<1>00000000-0000-0000-0000-000000000000"),
    (rb"(?i)(amz-sdk-request: )[^\r]*", rb"\1attempt=1"),
    (rb"(?i)(x-amz-date: )[^\r]*", rb"\g<1>20260101T000000Z"),
    (rb"(Signature=)[^&\s]*", rb"\1masked"),
    (rb"(X-Amz-Date=)\d{8}T\d{6}Z", rb"\g<1>20260101T000000Z"),
    (rb"(Expires=)\d{10}", rb"\g<1>1767225600"),
    (rb"(sagelocal(?:/|%2F))\d{8}", rb"\g<1>20260101"),
    (rb"(127\.0\.0\.1:)\d+", rb"\g<1>4570"),
)

Client = Callable[..., Any]


def _train(client: Client) -> None:
    client("sagemaker").create_training_job(
        TrainingJobName="linear-1",
        AlgorithmSpecification={"TrainingImage": "image:1", "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/Role",
        HyperParameters={"predictor_type": "regressor"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 86400},
    )


def _invoke(client: Client) -> None:
    client("sagemaker-runtime").invoke_endpoint(
        EndpointName="linear", Body=b"\x00\xff42", ContentType="text/csv", CustomAttributes="a=b"
    )


def _put(client: Client) -> None:
    client("s3").put_object(
        Bucket="bucket", Key="a/b c+ü%2F.csv", Body=io.BytesIO(b"1,2\n"), Metadata={"my_key": "v"}
    )


def _delete_many(client: Client) -> None:
    client("s3").delete_objects(
        Bucket="bucket", Delete={"Objects": [{"Key": "a<b"}, {"Key": "c"}], "Quiet": True}
    )


def _presigned(version: str) -> Callable[[Client], None]:
    def call(client: Client) -> None:
        s3 = client("s3", signature_version=version)
        params = {"Bucket": "bucket", "Key": "a b"}
        http_client.get(s3.generate_presigned_url("get_object", Params=params), timeout=10)

    return call


CALLS: dict[str, Callable[[Client], None]] = {
    "sagemaker-create-training-job": _train,
    "sagemaker-list-training-jobs": lambda client: client("sagemaker").list_training_jobs(
        CreationTimeAfter="2026-01-01T00:00:00Z", MaxResults=5, SortOrder="Descending"
    ),
    "sagemaker-runtime-invoke-endpoint": _invoke,
    "logs-get-log-events": lambda client: client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="a/algo-1", startFromHead=True
    ),
    "ecr-get-authorization-token": lambda client: client("ecr").get_authorization_token(
        registryIds=["000000000000"]
    ),
    "sts-assume-role": lambda client: client("sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/Role",
        RoleSessionName="me",
        Tags=[{"Key": "team", "Value": "a & b"}],
    ),
    "iam-simulate-principal-policy": lambda client: client("iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::000000000000:role/Role",
        ActionNames=["s3:GetObject", "sagemaker:CreateModel"],
    ),
    "s3-put-object": _put,
    "s3-delete-objects": _delete_many,
    "s3-list-objects-v2": lambda client: client("s3").list_objects_v2(
        Bucket="bucket", Prefix="a/ü", Delimiter="/", MaxKeys=10
    ),
    "s3-upload-part": lambda client: client("s3").upload_part(
        Bucket="bucket", Key="k", UploadId="u+1", PartNumber=2, Body=b"part"
    ),
    "s3-copy-object": lambda client: client("s3").copy_object(
        Bucket="bucket", Key="new", CopySource={"Bucket": "bucket", "Key": "o l+d"}
    ),
    "s3-presigned-v2": _presigned("s3"),
    "s3-presigned-v4": _presigned("s3v4"),
}


def record(call: Callable[[Client], None]) -> bytes:
    """The bytes of the one request that a call sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[bytes] = []
        listener = threading.Thread(target=lambda: received.append(_receive(server)))
        listener.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def client(service: str, **settings: Any) -> Any:
            return boto3.client(
                service,
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="sagelocal",
                aws_secret_access_key="sagelocal",
                config=Config(retries={"total_max_attempts": 1}, **settings),
            )

        with contextlib.suppress(Exception):
            call(client)
        listener.join()
    return received[0]


def _receive(server: socket.socket) -> bytes:
    connection, _ = server.accept()
    with connection:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        if b"100-continue" in head:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    return head + b"\r\n\r\n" + body


def masked(raw: bytes) -> bytes:
    for pattern, replacement in _MASKS:
        raw = re.sub(pattern, replacement, raw)
    return raw


def to_request(raw: bytes) -> HttpRequest:
    """One recorded request as a value."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = Headers([(name, value) for name, _, value in (n.partition(": ") for n in lines)])
    return HttpRequest(method, path, query, headers, io.BytesIO(body), len(body))


def understood(raw: bytes) -> dict[str, Any]:
    """Everything we read out of a request."""
    request = to_request(raw)
    identity = identify(request)
    service = models.load(identity.service)
    assert service is not None
    parsed = requests.parse(service, request)
    return {
        "service": identity.service,
        "region": identity.region,
        "access_key": identity.access_key,
        "operation": parsed.operation.name,
        "parameters": json.loads(json.dumps(parsed.parameters, default=_plain)),
    }


def _plain(value: Any) -> str:
    if hasattr(value, "read"):
        value = value.read()
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def main() -> None:
    for name, call in CALLS.items():
        raw = masked(record(call))
        (HERE / f"{name}.http").write_bytes(raw)
        text = json.dumps(understood(raw), indent=2, ensure_ascii=False, sort_keys=True)
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
