"""kill -9 at any moment: what was answered is there, what was not leaves no trace."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MEBIBYTE = 1024**2


def await_true(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"not within 20 s: {what}"
        time.sleep(0.005)


def begin_upload(url: str, path: str, size: int, sent: bytes) -> socket.socket:
    """A PUT of `size` bytes of which only `sent` are sent; the caller closes."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port))
    head = f"PUT {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + sent)
    return connection


def incoming_bytes(server: Any) -> int:
    folder = server.data_dir / "objects" / "incoming"
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_kill_in_the_middle_of_an_upload_leaves_the_old_object(own_server: Any) -> None:
    s3 = own_server.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"old", Metadata={"a": "1"})
    half = os.urandom(4 * MEBIBYTE)
    for key in ("key", "new"):
        with begin_upload(own_server.url, f"/bucket/{key}", 8 * MEBIBYTE, half):
            await_true(lambda: incoming_bytes(own_server) >= 2 * MEBIBYTE, "half of it is written")
            own_server.kill()
        own_server.start()
        assert [(o["Key"], o["Size"]) for o in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [
            ("key", 3)
        ]
        got = s3.get_object(Bucket="bucket", Key="key")
        assert (got["Body"].read(), got["Metadata"]) == (b"old", {"a": "1"})
        assert own_server.object_files() == 1


def test_a_client_that_goes_away_leaves_the_old_object(server: Any, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    files = server.object_files()
    with begin_upload(server.url, f"/{bucket}/key", 8 * MEBIBYTE, os.urandom(4 * MEBIBYTE)):
        await_true(lambda: server.object_files() == files + 1, "the upload has begun")
    await_true(lambda: server.object_files() == files, "the rest of it is removed")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"old"


def test_everything_answered_before_a_kill_is_there_after_it(own_server: Any) -> None:
    s3 = own_server.client()
    s3.create_bucket(Bucket="bucket")
    answered: list[list[tuple[str, str]]] = [[] for _ in range(4)]

    def write(thread: int) -> None:
        client = own_server.client()
        for number in range(10_000):
            key = f"{thread}/{number % 50}"
            try:
                answer = client.put_object(Bucket="bucket", Key=key, Body=os.urandom(2000))
            except Exception:  # the kill
                return
            answered[thread].append((key, answer["ETag"]))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    await_true(lambda: all(len(done) > 70 for done in answered), "every thread has replaced some")
    own_server.kill()
    for writer in writers:
        writer.join()
    own_server.start()

    there = {
        entry["Key"]: entry["ETag"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        for entry in page["Contents"]
    }
    for done in answered:
        # The write in flight may have come through without its answer; it replaced the next key.
        following = f"{done[-1][0].split('/')[0]}/{len(done) % 50}"
        for key, etag in dict(done).items():
            assert there[key] == etag or key == following
    for key, etag in there.items():
        got = s3.get_object(Bucket="bucket", Key=key)
        assert (2000, etag) == (len(got["Body"].read()), got["ETag"])
    assert len(there) == own_server.object_files()


def test_uploads_in_parts_go_on_after_a_kill(own_server: Any) -> None:
    s3 = own_server.client()
    s3.create_bucket(Bucket="bucket")
    common = {"Bucket": "bucket", "Key": "key"}
    common["UploadId"] = s3.create_multipart_upload(**common)["UploadId"]
    first, second = os.urandom(5 * MEBIBYTE), b"end"
    parts = [{"PartNumber": 1, "ETag": s3.upload_part(PartNumber=1, Body=first, **common)["ETag"]}]
    own_server.kill()
    own_server.start()
    parts.append(
        {"PartNumber": 2, "ETag": s3.upload_part(PartNumber=2, Body=second, **common)["ETag"]}
    )
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **common)
    own_server.kill()
    own_server.start()
    assert first + second == s3.get_object(Bucket="bucket", Key="key")["Body"].read()
    assert own_server.object_files() == 1


def test_a_disk_that_takes_no_more_is_said_and_changes_nothing(own_server: Any) -> None:
    s3 = own_server.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=b"old")
    children = Path(f"/proc/{own_server.pid}/task/{own_server.pid}/children").read_text()
    for process in map(int, children.split()):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))
    answer = own_server.request("PUT", "/bucket/key", b"x" * 3 * MEBIBYTE)
    assert answer.status == 507
    assert b"<Code>InsufficientStorage</Code>" in answer.body
    assert str(own_server.data_dir).encode() in answer.body
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"old"
    assert own_server.object_files() == 1
    s3.put_object(Bucket="bucket", Key="small", Body=b"fits")
