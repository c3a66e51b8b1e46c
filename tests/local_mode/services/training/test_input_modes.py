"""Channels of every input mode and data type, as a training script finds them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sagelocal_formats.recordio import read_records


def channel(uri: str, name: str = "train", **more: Any) -> dict[str, Any]:
    """A channel; members of S3DataSource go where they belong."""
    inner = {"AttributeNames", "S3DataType", "S3DataDistributionType", "InstanceGroupNames"}
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    source |= {key: value for key, value in more.items() if key in inner}
    outer = {key: value for key, value in more.items() if key not in inner}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **outer}


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def anywhere(request: pytest.FixtureRequest, start_training: Callable[..., Any]) -> Any:
    """`training` on each runtime in turn."""
    if request.param == "docker":
        request.getfixturevalue("script_image")
    return start_training(runtime=request.param)


READ_EPOCHS = """
import time
def read(epoch, limit=-1):
    path = base / f"input/data/train_{epoch}"
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    with path.open("rb") as pipe:
        return pipe.read(limit)
"""


def pipe_job(training: Any, name: str, script: str, **options: Any) -> dict[str, bytes]:
    """The model of a job that reads the channel `train` of s3://bucket/data/ from a pipe."""
    uri = options.pop("uri", "s3://bucket/data/")
    job = training.run(
        name, READ_EPOCHS + script, InputDataConfig=[channel(uri, InputMode="Pipe", **options)]
    )
    assert job["TrainingJobStatus"] == "Completed", (job["FailureReason"], training.plane.log())
    files: dict[str, bytes] = training.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    return files


def host(training: Any) -> Path:
    """The folder that stands for /opt/ml of the job `job`."""
    return Path(training.plane.data_dir) / "training-jobs/us-east-1/job/algo-1"


def go(training: Any) -> None:
    """Let a script go on that waits for output/go."""
    (host(training) / "output/go").touch()


WRITE_THREE = "\nfor epoch in range(3): (base / f'model/{epoch}').write_bytes(read(epoch))"


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_files_are_there_and_objects_stay_whatever_the_job_does(anywhere: Any, mode: str) -> None:
    anywhere.put("data/a.csv", b"a" * 10)
    anywhere.put("data/deep/b.csv", b"b" * 10)
    job = anywhere.run(
        "job",
        """
        data = base / "input/data/train"
        for path in sorted(data.rglob("*.csv")):
            print(path.relative_to(data), path.read_text())
            try:
                path.write_text("changed")
            except OSError as error:
                print(error.strerror)
            print(path.read_text())
        try:
            (data / "new").write_text("new")
            (data / "a.csv").unlink()
        except OSError as error:
            print(error.strerror)
        print(sorted(path.name for path in data.iterdir()))
        """,
        InputDataConfig=[channel("s3://bucket/data", InputMode=mode)],
    )
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), anywhere.plane.log())
    changed = ["a.csv aaaaaaaaaa", "changed", "deep/b.csv bbbbbbbbbb", "changed", "['deep', 'new']"]
    refused = "Read-only file system"
    untouched = ["a.csv aaaaaaaaaa", refused, "a" * 10, "deep/b.csv bbbbbbbbbb", refused, "b" * 10]
    untouched += [refused, "['a.csv', 'deep']"]
    assert anywhere.lines("job") == (changed if mode == "File" else untouched)
    for key, content in (("data/a.csv", b"a" * 10), ("data/deep/b.csv", b"b" * 10)):
        assert anywhere.s3.get_object(Bucket="bucket", Key=key)["Body"].read() == content


def test_nothing_of_a_job_stays_behind(anywhere: Any) -> None:
    anywhere.put("data/a.csv")
    anywhere.run(
        "job",
        "(base / 'input/data/train/x').mkdir(mode=0o000)",
        InputDataConfig=[
            channel("s3://bucket/data"),
            channel("s3://bucket/data", "piped", InputMode="Pipe"),
        ],
    )
    folder = Path(anywhere.plane.data_dir) / "training-jobs/us-east-1/job"
    anywhere.await_that("job", lambda _: not folder.exists())


def test_a_deleted_object_is_still_read_by_the_job_that_has_it(training: Any) -> None:
    training.put("data/a.csv", b"here")
    training.create(
        "job",
        """
        print("up")
        while not (base / "output/go").exists(): time.sleep(0.01)
        print((base / "input/data/train/a.csv").read_text())
        """,
        InputDataConfig=[channel("s3://bucket/data")],
    )
    training.await_line("job", "up")
    training.s3.delete_object(Bucket="bucket", Key="data/a.csv")
    go(training)
    assert training.await_end("job")["TrainingJobStatus"] == "Completed"
    assert training.lines("job") == ["up", "here"]


def test_a_pipe_gives_all_objects_in_the_order_of_keys_in_every_epoch(anywhere: Any) -> None:
    for key in ("b", "a", "c/d"):
        anywhere.put(f"data/{key}", key.encode() * 3)
    files = pipe_job(anywhere, "job", WRITE_THREE)
    assert files == {str(epoch): b"aaabbbc/dc/dc/d" for epoch in range(3)}


def test_a_reader_that_closes_early_finds_the_next_epoch_whole(anywhere: Any) -> None:
    content = bytes(range(256)) * 40_000
    anywhere.put("data/a", content)
    script = """
    assert read(0, 100) == bytes(range(100))
    assert read(1, 0) == b""
    (base / "model/2").write_bytes(read(2))
    print(sorted(path.name for path in (base / "input/data").iterdir()))
    """.replace("    ", "")
    assert pipe_job(anywhere, "job", script) == {"2": content}
    assert anywhere.lines("job") == ["['train_3']"]


def test_a_pipe_is_filled_only_as_fast_as_it_is_read(training: Any) -> None:
    content = b"x" * (8 << 20)
    training.put("data/a", content)
    script = """
    with (base / "input/data/train_0").open("rb", buffering=0) as pipe:
        parts = [len(pipe.read(1 << 16))]
        print("reading")
        while part := pipe.read(1 << 16):
            parts.append(len(part))
    assert sum(parts) == 8 << 20
    assert max(parts) <= 1 << 16
    """
    job = training.run(
        "job", script, InputDataConfig=[channel("s3://bucket/data", InputMode="Pipe")]
    )
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]


@pytest.mark.parametrize("wrapper", ["None", "RecordIO"])
def test_a_pipe_undoes_gzip_and_wraps_each_object(training: Any, wrapper: str) -> None:
    contents = [b"first", b"second" * 100_000, b"three"]
    training.put("data/1", gzip.compress(contents[0]))
    training.put("data/2", gzip.compress(contents[1][:1000]) + gzip.compress(contents[1][1000:]))
    training.put("data/3", gzip.compress(contents[2]) + bytes(100))
    options = {"CompressionType": "Gzip", "RecordWrapperType": wrapper}
    read = pipe_job(training, "job", WRITE_THREE, **options)["1"]
    if wrapper == "None":
        assert read == b"".join(contents)
    else:
        assert list(read_records(io.BytesIO(read))) == contents


def test_a_shuffled_pipe_has_another_order_in_each_epoch_and_the_same_in_each_job(
    training: Any,
) -> None:
    for number in range(20):
        training.put(f"data/{number:02}", f"{number:02} ".encode())
    epochs = pipe_job(training, "one", WRITE_THREE, ShuffleConfig={"Seed": 7})
    again = pipe_job(training, "two", WRITE_THREE, ShuffleConfig={"Seed": 7})
    other = pipe_job(training, "three", WRITE_THREE, ShuffleConfig={"Seed": 8})
    assert epochs == again != other
    assert len(set(epochs.values())) == 3
    assert {tuple(sorted(content.split())) for content in epochs.values()} == {
        tuple(f"{number:02}".encode() for number in range(20))
    }


MANIFEST = [
    {"note": 1, "label": [1, 0.5], "image-ref": "s3://bucket/images/a"},
    {"image-ref": "s3://bucket/images/b", "label": "cät", "more": {}},
    {"image-ref": "s3://bucket/images/a", "label": {"x": 1}},
]


def test_an_augmented_manifest_gives_attributes_in_the_order_of_their_names(training: Any) -> None:
    training.put("images/a", b"AAA")
    training.put("images/b", b"B")
    lines = [json.dumps(line, ensure_ascii=False) for line in MANIFEST]
    training.put("m.manifest", "\n".join([*lines, ""]).encode())
    read = pipe_job(
        training,
        "job",
        WRITE_THREE,
        uri="s3://bucket/m.manifest",
        S3DataType="AugmentedManifestFile",
        AttributeNames=["image-ref", "label"],
        RecordWrapperType="RecordIO",
    )["2"]
    expected = [b"AAA", b"[1, 0.5]", b"B", "cät".encode(), b"AAA", b'{"x": 1}']
    assert list(read_records(io.BytesIO(read))) == expected


def test_a_manifest_lies_beside_the_pipes_too(training: Any) -> None:
    line = b'{"x-ref": "s3://bucket/data/a"}\n'
    training.put("m.manifest", line)
    training.put("data/a")
    files = pipe_job(
        training,
        "job",
        """
read(0)
(base / "model/m").write_bytes((base / "input/data/train-manifest").read_bytes())
""",
        uri="s3://bucket/m.manifest",
        S3DataType="AugmentedManifestFile",
        AttributeNames=["x-ref"],
    )
    assert files == {"m": line}


def test_a_manifest_file_through_a_pipe_keeps_its_own_order(training: Any) -> None:
    for key in "abc":
        training.put(f"data/{key}", key.encode())
    training.put("m", json.dumps([{"prefix": "s3://bucket/data/"}, "c", "a"]).encode())
    files = pipe_job(training, "job", WRITE_THREE, uri="s3://bucket/m", S3DataType="ManifestFile")
    assert set(files.values()) == {b"ca"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"label": 1}', "Line 2 of the augmented manifest s3://bucket/m has no attribute 'x-ref'"),
        ('{"x-ref": "s3://bucket/gone"}', "names s3://bucket/gone, which does not exist"),
        ('{"x-ref": 7}', "not an S3 URI (s3://bucket/key): '7'"),
        ("[]", "is no JSON object but '[]'"),
        ("{", "Line 2 of the augmented manifest s3://bucket/m is not JSON"),
    ],
)
def test_a_wrong_line_of_an_augmented_manifest_is_the_reason(
    training: Any, line: str, reason: str
) -> None:
    training.put("here")
    training.put("m", b'{"x-ref": "s3://bucket/here"}\n' + line.encode())
    source: dict[str, Any] = {
        "S3DataType": "AugmentedManifestFile",
        "AttributeNames": ["x-ref"],
    }
    job = training.run(
        "job", InputDataConfig=[channel("s3://bucket/m", InputMode="Pipe", **source)]
    )
    assert job["FailureReason"].startswith("ClientError: ")
    assert reason in job["FailureReason"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no gzip", "s3://bucket/data/b cannot be decompressed"),
        (
            gzip.compress(bytes(100_000), mtime=0)[:-20],
            "s3://bucket/data/b ends in the middle of its gzip",
        ),
    ],
)
def test_what_cannot_be_sent_fails_the_job_even_if_the_script_ends_well(
    training: Any, content: bytes, reason: str
) -> None:
    training.put("data/a", gzip.compress(b"good"))
    training.put("data/b", content)
    options = {"InputMode": "Pipe", "CompressionType": "Gzip"}
    job = training.run(
        "job", READ_EPOCHS + "read(0)", InputDataConfig=[channel("s3://bucket/data", **options)]
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Channel 'train': ")
    assert reason in job["FailureReason"]


def test_a_script_that_waits_for_what_never_comes_is_stopped(anywhere: Any) -> None:
    anywhere.put("data/a", b"no gzip")
    options = {"InputMode": "Pipe", "CompressionType": "Gzip"}
    job = anywhere.run(
        "job",
        READ_EPOCHS + "read(0)\nread(1)",
        InputDataConfig=[channel("s3://bucket/data", **options)],
    )
    assert "cannot be decompressed" in job["FailureReason"]


def test_a_pipe_goes_on_while_the_plane_is_killed_and_comes_back(anywhere: Any) -> None:
    content = bytes(range(256)) * 20_000
    anywhere.put("data/a", content)
    anywhere.create(
        "job",
        READ_EPOCHS
        + """
import hashlib
with (base / "input/data/train_0").open("rb") as pipe:
    digest = hashlib.sha256(pipe.read(1000))
    print("reading")
    while not (base / "output/go").exists(): time.sleep(0.01)
    digest.update(pipe.read())
for epoch in range(1, 5):
    digest.update(read(epoch))
print(digest.hexdigest())
""",
        InputDataConfig=[channel("s3://bucket/data", InputMode="Pipe")],
    )
    anywhere.await_line("job", "reading")
    anywhere.plane.kill()
    go(anywhere)
    anywhere.plane.start()
    assert anywhere.await_end("job")["TrainingJobStatus"] == "Completed", anywhere.plane.log()
    assert anywhere.lines("job")[1] == hashlib.sha256(content * 5).hexdigest()


def test_an_interrupted_job_gets_its_pipes_from_the_beginning_again(training: Any) -> None:
    training.put("data/a", b"x" * (4 << 20))
    training.put("ckpt/nothing")
    training.create(
        "job",
        """
        pipe = (base / "input/data/train_0").open("rb")
        again = (base / "checkpoints/again").exists()
        if not again:
            pipe.read(10)
            (base / "checkpoints/again").touch()
            print("reading")
            time.sleep(60)
        print(len(pipe.read()))
        """,
        InputDataConfig=[channel("s3://bucket/data", InputMode="Pipe")],
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        CheckpointConfig={"S3Uri": "s3://bucket/ckpt"},
    )
    training.await_line("job", "reading")
    url = f"{training.plane.url}/_sagelocal/training-jobs/job/interruption"
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=10).close()
    job = training.await_end("job")
    assert job["TrainingJobStatus"] == "Completed", (job, training.plane.log())
    assert training.lines("job")[-1] == str(4 << 20)


@pytest.mark.parametrize("retries", [0, 1])
def test_losing_the_feeder_fails_the_attempt_as_the_platforms_fault(
    training: Any, retries: int
) -> None:
    training.put("data/a", b"x" * (4 << 20))
    training.create(
        "job",
        """
        pipe = (base / "input/data/train_0").open("rb")
        pipe.read(10)
        print("reading")
        while not (base / "output/go").exists(): time.sleep(0.01)
        print(10 + len(pipe.read()) == 4 << 20)
        """,
        InputDataConfig=[channel("s3://bucket/data", InputMode="Pipe")],
        RetryStrategy={"MaximumRetryAttempts": retries} if retries else None,
    )
    training.await_line("job", "reading")
    os.kill(json.loads((host(training) / "pipes/feeder.json").read_text())["pid"], signal.SIGKILL)
    if not retries:
        go(training)
        job = training.await_end("job")
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("InternalServerError: ")
        assert "the process that fills the job's pipes was lost" in job["FailureReason"]
        return
    training.await_that("job", lambda _: training.lines("job").count("reading") == 2)
    go(training)
    job = training.await_end("job")
    assert job["TrainingJobStatus"] == "Completed", job
    assert training.lines("job")[-1] == "True"


def refusal(training: Any, *channels: dict[str, Any], **more: Any) -> str:
    """Code and words with which CreateTrainingJob refuses."""
    training.put("data/a")
    with pytest.raises(ClientError) as caught:
        training.create("refused", InputDataConfig=list(channels), **more)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_channels_that_cannot_be_are_refused_in_the_words_of_the_service(training: Any) -> None:
    """Every such rule: tests/local_mode/domain/test_channels.py."""
    zipped = channel("s3://bucket/data", CompressionType="Gzip")
    assert refusal(training, zipped) == (
        "ValidationException: Invalid compression type for channel train: File mode only supports "
        "NONE, got Gzip instead"
    )
    augmented = channel(
        "s3://bucket/data/a",
        InputMode="Pipe",
        S3DataType="AugmentedManifestFile",
        AttributeNames=["a"] * 17,
    )
    assert "Member must have length less than or equal to 16" in refusal(training, augmented)
    converse = channel("s3://bucket/data/a", S3DataType="Converse")
    assert "S3DataType Converse of channel 'train' is not supported" in refusal(training, converse)


def test_too_many_channels_and_channels_of_one_name_are_refused(training: Any) -> None:
    many = [channel("s3://bucket/data", f"c{number}") for number in range(21)]
    assert "Member must have length less than or equal to 20" in refusal(training, *many)
    assert "given twice: ['c1']" in refusal(training, *many[1:5], many[1])
