"""The source archive of script mode, fetched from a real HTTP server that checks the signature."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_train import s3
from sagelocal_train.errors import ScriptError

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret/key+1"}
SCRIPT = "open('../model/ran', 'w').close()"


def _archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class Store:
    """A server with objects by path. `failures` answers are given first, as a busy S3 would.

    With a `region`, requests that are signed for another one are refused and told of it.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    region: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.requests.append((path, headers))
        if self.failures:
            self.failures -= 1
            return 503, b"<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>"
        if self.region and f"/{self.region}/s3/" not in headers.get("authorization", ""):
            return 400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"
        if path in self.objects:
            return 200, self.objects[path]
        return 404, (
            b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code>'
            b"<Message>The specified key does not exist.</Message></Error>"
        )


@pytest.fixture
def store() -> Iterator[Store]:
    """A running store on a port of its own."""
    content = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = content.answer(self.path, headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if content.region:
                self.send_header("x-amz-bucket-region", content.region)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what came is in `Store.requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    content.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


def _script_job(job: Any, store: Store, uri: str, **variables: str) -> Any:
    job.variables |= {"AWS_ENDPOINT_URL_S3": store.address, "AWS_REGION": "eu-west-1"} | variables
    return job.hyperparameters(sagemaker_program="train.py", sagemaker_submit_directory=uri)


def _botocore_signature(url: str, headers: dict[str, str], region: str) -> str:
    """What botocore would have put into the Authorization header at the same time."""
    credentials = botocore.credentials.Credentials(
        KEYS["AWS_ACCESS_KEY_ID"],
        KEYS["AWS_SECRET_ACCESS_KEY"],
        headers.get("x-amz-security-token"),
    )
    signer = botocore.auth.S3SigV4Auth(credentials, "s3", region)
    request = botocore.awsrequest.AWSRequest("GET", url)
    request.headers["X-Amz-Content-SHA256"] = headers["x-amz-content-sha256"]
    request.headers["X-Amz-Date"] = request.context["timestamp"] = headers["x-amz-date"]
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


@pytest.mark.parametrize("token", [None, "a-session-token=="])
def test_an_archive_in_s3_is_fetched_with_a_valid_signature(
    job: Any, store: Store, token: str | None
) -> None:
    store.objects["/a-bucket/job%20one/source/sourcedir.tar.gz"] = _archive(train__py=SCRIPT)
    keys = KEYS | ({"AWS_SESSION_TOKEN": token} if token else {})

    ended = _script_job(job, store, "s3://a-bucket/job one/source/sourcedir.tar.gz", **keys).run()

    assert ended.exit_code == 0, ended.output
    assert (job.base / "model/ran").exists()
    ((path, headers),) = store.requests
    expected = _botocore_signature(store.address + path, headers, "eu-west-1")
    assert headers["authorization"].endswith(f"Signature={expected}")
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in ended.output


def test_without_credentials_the_request_is_not_signed(job: Any, store: Store) -> None:
    store.objects["/public/sourcedir.tar.gz"] = _archive(train__py=SCRIPT)

    ended = _script_job(job, store, "s3://public/sourcedir.tar.gz").run()

    assert ended.exit_code == 0, ended.output
    assert "authorization" not in store.requests[0][1]


def test_credentials_of_the_containers_role_are_used(job: Any, store: Store) -> None:
    document = {"AccessKeyId": "ASIAROLE", "SecretAccessKey": "s", "Token": "role-token"}
    store.objects["/role"] = json.dumps(document).encode()
    store.objects["/b/k.tar.gz"] = _archive(train__py=SCRIPT)
    full_uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{store.address}/role"}

    ended = _script_job(job, store, "s3://b/k.tar.gz", **full_uri).run()

    assert ended.exit_code == 0, ended.output
    assert "Credential=ASIAROLE/" in store.requests[1][1]["authorization"]
    assert store.requests[1][1]["x-amz-security-token"] == "role-token"


def test_a_busy_server_is_asked_again(job: Any, store: Store) -> None:
    store.objects["/b/k.tar.gz"] = _archive(train__py=SCRIPT)
    store.failures = 1

    assert _script_job(job, store, "s3://b/k.tar.gz").run().exit_code == 0
    assert len(store.requests) == 2


def test_a_bucket_of_another_region_is_asked_in_its_own(job: Any, store: Store) -> None:
    store.objects["/b/k.tar.gz"] = _archive(train__py=SCRIPT)
    store.region = "ap-south-1"

    assert _script_job(job, store, "s3://b/k.tar.gz", **KEYS).run().exit_code == 0
    assert [headers["authorization"].split("/")[2] for _, headers in store.requests] == [
        "eu-west-1",
        "ap-south-1",
    ]


def test_a_missing_object_is_told_in_s3s_words(job: Any, store: Store) -> None:
    ended = _script_job(job, store, "s3://b/missing.tar.gz", **KEYS).run()

    assert ended.exit_code == 1
    assert ended.failure == (
        f"ClientError: s3://b/missing.tar.gz cannot be downloaded from {store.address} "
        "(NoSuchKey: The specified key does not exist.). Check the bucket and the key"
    )
    assert len(store.requests) == 1


def test_an_object_that_is_no_archive_is_named(job: Any, store: Store) -> None:
    store.objects["/b/k.tar.gz"] = b"<html>not an archive</html>"

    ended = _script_job(job, store, "s3://b/k.tar.gz").run()

    assert "s3://b/k.tar.gz is not a usable source archive" in ended.failure


def test_a_server_that_does_not_answer_is_named(job: Any, store: Store) -> None:
    _script_job(job, store, "s3://b/k.tar.gz")
    job.variables["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:9"

    ended = job.run()

    assert ended.exit_code == 1
    assert "http://127.0.0.1:9 does not answer" in ended.failure
    assert "AWS_ENDPOINT_URL_S3" in ended.failure


@pytest.mark.parametrize(
    ("variables", "region", "bucket", "url"),
    [
        ({}, "us-east-1", "b", "https://b.s3.us-east-1.amazonaws.com/k/x.gz"),
        ({}, "us-east-1", "b.c", "https://s3.us-east-1.amazonaws.com/b.c/k/x.gz"),
        ({}, "cn-north-1", "b", "https://b.s3.cn-north-1.amazonaws.com.cn/k/x.gz"),
        ({"S3_ENDPOINT_URL": "http://h:1/"}, "us-east-1", "b", "http://h:1/b/k/x.gz"),
        (
            {"AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_S3": "http://s:2"},
            "us-east-1",
            "b",
            "http://s:2/b/k/x.gz",
        ),
    ],
)
def test_where_an_object_is(variables: dict[str, str], region: str, bucket: str, url: str) -> None:
    assert s3.object_url(bucket, "k/x.gz", region, variables) == url


@pytest.mark.parametrize("uri", ["s3://", "s3://bucket", "s3://bucket/", "http://x/y", ""])
def test_an_address_without_an_object_is_refused(uri: str) -> None:
    with pytest.raises(ScriptError, match="must be s3://BUCKET/KEY"):
        s3.split_uri(uri)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
        lambda key: not key.startswith("/") and "/../" not in key and "//" not in key
    )
)
def test_any_key_is_signed_as_botocore_signs_it(key: str) -> None:
    url = s3.object_url("bucket", key, "us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4570"})
    credentials = s3.Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])

    headers = s3.signed_headers(url, "us-east-1", credentials, datetime(2026, 11, 21, tzinfo=UTC))

    expected = _botocore_signature(url, headers, "us-east-1")
    assert headers["authorization"].endswith(f"Signature={expected}")


def test_credentials_do_not_show_their_secret() -> None:
    assert "secret" not in repr(s3.Credentials("AKID", "secret", "secret-token"))
