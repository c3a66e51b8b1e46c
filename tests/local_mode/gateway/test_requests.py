"""What clients of the server see: AWS's protocols, whatever they send."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError


def error(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return {
        "status": caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
        **caught.value.response["Error"],
    }


def test_health_says_what_runs_where(server: Any) -> None:
    with urllib.request.urlopen(server.url + "/_sagelocal/health") as answer:
        facts = json.load(answer)
    assert facts.pop("version")
    assert facts == {
        "status": "ok",
        "data_dir": str(server.data_dir),
        "runtime": "none",
        "host": "127.0.0.1",
        "port": server.port,
        "pid": server.process.pid,
    }
    assert "health" not in server.log()


def test_a_call_knows_account_and_region_and_is_logged_in_one_line(server: Any) -> None:
    answer = server.client("sagemaker").describe_endpoint(EndpointName="e")
    assert answer["EndpointArn"] == "arn:aws:sagemaker:eu-west-1:000000000000:endpoint/e"
    request_id = answer["ResponseMetadata"]["RequestId"]
    lines = [line for line in server.log().splitlines() if request_id in line]
    assert len(lines) == 1
    assert "sagemaker.DescribeEndpoint => 200 " in lines[0]


def test_a_refused_call_is_logged_with_its_code(server: Any) -> None:
    client = server.client("sagemaker", parameter_validation=False)
    assert error(client.describe_endpoint)["Code"] == "ValidationException"
    assert "sagemaker.DescribeEndpoint => 400 ValidationException " in server.log()


def test_a_call_that_is_no_operation_is_logged_with_its_path(server: Any) -> None:
    server.ask("POST /bucket-1 HTTP/1.1\nHost: localhost\nContent-Length: 0\nConnection: close\n\n")
    assert " s3.? POST /bucket-1 => 405 MethodNotAllowed " in server.log()


def test_a_bug_is_a_500_whose_reason_is_in_the_log_only(server: Any) -> None:
    seen = error(server.client("sagemaker").list_endpoints)
    assert (seen["status"], seen["Code"]) == (500, "InternalFailure")
    assert "secret" not in seen["Message"]
    assert "a bug with a secret in it" in server.log()


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("sagemaker", "list_algorithms", {}, "UnknownOperationException"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, "MethodNotAllowed"),
        ("dynamodb", "list_tables", {}, "UnknownOperationException"),
        ("lambda", "list_functions", {}, "UnknownOperationException"),
        ("sns", "list_topics", {}, "InvalidAction"),
        ("ec2", "describe_instances", {}, "InvalidAction"),
        ("cloudwatch", "list_metrics", {}, "UnknownOperationException"),
        ("sqs", "list_queues", {}, "UnknownOperationException"),
        ("sagemaker-featurestore-runtime", "get_record", {}, "UnknownOperationException"),
    ],
)
def test_what_is_not_here_is_a_4xx_that_names_it(
    server: Any, service: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    client = server.client(service, parameter_validation=False)
    if service == "sagemaker-featurestore-runtime":
        parameters = {"FeatureGroupName": "g", "RecordIdentifierValueAsString": "1"}
    seen = error(getattr(client, operation), **parameters)
    assert seen["Code"] == code
    assert 400 <= seen["status"] < 500
    assert "is not available in sagelocal" in seen["Message"]
    assert service in seen["Message"]


def test_an_unknown_head_has_a_status_and_no_body(server: Any) -> None:
    assert error(server.client("s3").head_object, Bucket="b", Key="k")["status"] == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example"])
def test_a_strange_host_name_is_refused(server: Any, host: str) -> None:
    answer = server.ask(f"GET / HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"AccessDeniedException" in answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost:4570",
        "[::1]:4570",
        "bucket.localhost",
        "192.168.1.7",
        "host.docker.internal",
        "sts.eu-west-1.amazonaws.com",
    ],
)
def test_a_host_name_that_no_stranger_can_give_passes(server: Any, host: str) -> None:
    answer = server.ask(f"GET /_sagelocal/health HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost.evil.example",
        "http://192.0.2.1",
        "null",
        "http://[",
    ],
)
def test_a_page_of_another_site_may_not_write(server: Any, origin: str) -> None:
    answer = server.ask(
        f"POST /b?delete HTTP/1.1\nHost: 127.0.0.1\nOrigin: {origin}\nConnection: close\n"
        "Content-Type: text/plain\nContent-Length: 0\n\n"
    )
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"may not call this control plane" in answer


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:4570", "http://localhost:8888"),
        ("localhost:4570", "http://127.0.0.1:8888"),
        ("[::1]:4570", "http://[::1]:3000"),
        ("192.168.1.7:4570", "http://192.168.1.7"),
    ],
)
def test_a_page_of_this_machine_passes(server: Any, host: str, origin: str) -> None:
    answer = server.ask(
        f"GET /_sagelocal/health HTTP/1.1\nHost: {host}\nOrigin: {origin}\nConnection: close\n\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("key", ["a/b c+%2F//ü", "..", "a/../b", "a?b#c&d=e", "//"])
def test_a_key_arrives_as_it_was_sent(server: Any, key: str) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="b", Key=key, Body=b"1")
    assert (server.data_dir / f"object-{key.encode().hex()}").read_bytes() == b"1"


def test_underscores_in_metadata_are_no_dashes(server: Any) -> None:
    s3 = server.client("s3")
    s3.put_object(Bucket="b", Key="k", Body=b"1", Metadata={"my_key": "1", "my-key": "2"})
    assert set(s3.get_object(Bucket="b", Key="k")["Metadata"]) == {"my_key", "my-key"}


def test_a_large_body_is_streamed_in_and_out(server: Any, tmp_path: Path) -> None:
    size = 128 * 1024 * 1024
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(size)
    s3 = server.client("s3")
    before = _peak_memory(server.worker_pid())
    with source.open("rb") as file:
        s3.put_object(Bucket="b", Key="k", Body=file)
    received = sum(map(len, s3.get_object(Bucket="b", Key="k")["Body"].iter_chunks(1 << 20)))
    assert received == size
    assert _peak_memory(server.worker_pid()) - before < size / 4


def _peak_memory(pid: int) -> int:
    """The most bytes that the process ever had in memory (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_part_of_a_file_is_sent_from_where_it_stands(server: Any) -> None:
    s3 = server.client("s3")
    content = os.urandom(300_000)
    s3.put_object(Bucket="b", Key="k", Body=content)
    answer = s3.get_object(Bucket="b", Key="k", Range="bytes=1000-250999")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["Body"].read() == content[1000:251000]


def test_chunks_of_unknown_length_are_sent_as_they_come(server: Any) -> None:
    answer = server.client("s3").get_object_torrent(Bucket="b", Key="k")
    assert len(answer["Body"].read()) == 1_000_000


def test_a_body_without_a_length_is_read_to_its_end(server: Any) -> None:
    chunks = (
        "PUT /b/k HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n"
    )
    assert b'ETag: "5"' in server.ask(chunks)


def test_a_client_that_waits_for_100_continue_gets_it(server: Any) -> None:
    with server.connect() as connection:
        head = "PUT /b/k HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 2\nExpect: 100-continue\n\n"
        connection.sendall(head.replace("\n", "\r\n").encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ab")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_half_an_upload_is_refused_and_the_server_lives(server: Any) -> None:
    half = "PUT /b/k HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 1000000\n\nabc"
    server.ask(half)
    assert server.client("sagemaker").describe_endpoint(EndpointName="e")
    assert "s3.PutObject => 400 IncompleteBody " in server.log()


def test_bytes_of_an_invocation_pass_untouched(server: Any) -> None:
    body = bytes(range(256)) * 100
    runtime = server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName="sleep-0", Body=body, ContentType="x/y")
    assert (answer["Body"].read(), answer["ContentType"]) == (body, "x/y")


def test_an_empty_invocation_is_passed_on(server: Any) -> None:
    runtime = server.client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName="sleep-0", Body=b"")["Body"].read() == b""


def test_an_upload_that_nobody_reads_leaves_the_connection_in_order(server: Any) -> None:
    s3 = server.client("s3")
    for _ in range(3):
        with pytest.raises(ClientError):
            s3.upload_part(Bucket="b", Key="k", UploadId="u", PartNumber=1, Body=b"x" * 100_000)
        assert s3.head_bucket(Bucket="b")["BucketRegion"] == "eu-west-1"


@pytest.mark.parametrize(
    "text",
    [
        "this is no HTTP\n\n",
        "GET / HTTP/1.1\nHost: a b\nBroken Header: 1\n\n",
        "GET / HTTP/1.1\nHost: 127.0.0.1\nContent-Length: x\n\n",
    ],
)
def test_what_is_no_http_is_refused_without_html(server: Any, text: str) -> None:
    answer = server.ask(text)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"__type": "MalformedHttpRequestException"' in answer
    assert b"<html" not in answer


def test_a_path_that_is_no_text_is_refused(server: Any) -> None:
    answer = server.ask("GET /b/%FF HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>InvalidURI</Code>" in answer


@pytest.mark.parametrize(
    "signature",
    [
        *(
            f"AWS4-HMAC-SHA256 Credential=k/20260101/{region}/sagemaker/aws4_request"
            for region in ("..", ".", "us-east-1;x", "-x", "x" * 64)
        ),
        "AWS4-ECDSA-P256-SHA256 Credential=k/20260101/sagemaker/aws4_request\n"
        "X-Amz-Region-Set: ../../elsewhere",
    ],
)
def test_a_region_that_could_be_part_of_a_path_is_refused(server: Any, signature: str) -> None:
    answer = server.ask(
        "POST / HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nContent-Length: 20\n"
        f"X-Amz-Target: SageMaker.DescribeEndpoint\nAuthorization: {signature}\n\n"
        '{"EndpointName":"e"}'
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"InvalidSignatureException" in answer


def test_a_header_cannot_be_split(server: Any) -> None:
    """The content type of an answer is what the model sent, whatever that is."""
    runtime = server.client("sagemaker-runtime")
    name = "header-" + "a\r\nX-Evil: 1 €".encode().hex()
    headers = runtime.invoke_endpoint(EndpointName=name, Body=b"")["ResponseMetadata"][
        "HTTPHeaders"
    ]
    assert "x-evil" not in headers
    assert headers["content-type"] == "a  X-Evil: 1 €".encode().decode("latin-1")
