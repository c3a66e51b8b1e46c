"""Checkpoints and spot interruptions as a boto3 user sees them, on both runtimes."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

IMAGE = Path(__file__).parent / "images" / "script"
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    "CheckpointConfig": {"S3Uri": "s3://bucket/ckpt"},
}
# Saves an epoch, waits to be interrupted, saves another; the next run finds both and ends.
RESUMES = """
config = json.loads((base / "input/config/checkpointconfig.json").read_text())
print(json.dumps(config, sort_keys=True), flush=True)
folder = base / "checkpoints"
def stop(*_):
    (folder / "on-sigterm").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
found = sorted(path.name for path in folder.iterdir())
print("found", *found, flush=True)
if "on-sigterm" not in found:
    (folder / "epoch-1").write_text("one")
    print("waiting", flush=True)
    while True:
        signal.pause()
(base / "model/weights").write_text("trained")
"""


def interrupt(
    plane: Any, name: str, body: bytes = b"{}", content_type: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    """What `POST .../interruption` answers."""
    request = urllib.request.Request(
        f"{plane.url}/_sagelocal/training-jobs/{name}/interruption",
        data=body,
        headers={"Content-Type": content_type},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def keys(training: Any, prefix: str) -> list[str]:
    found = training.s3.list_objects_v2(Bucket="bucket", Prefix=prefix)
    return [item["Key"] for item in found.get("Contents", [])]


@pytest.fixture
def docker_training(start_training: Callable[..., Any]) -> Iterator[Any]:
    """A plane on Docker, whose containers are removed with it."""
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", "sagelocal/test-script:1", str(IMAGE)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    training = start_training(runtime="docker", training_stop_grace_seconds=20)
    yield training
    training.plane.stop()
    folder = training.plane.data_dir.resolve() / "docker"
    filters = ["--filter", f"label=sagelocal.folder={folder}"]
    found = subprocess.run(
        ["docker", "ps", "--all", "--quiet", *filters], capture_output=True, text=True, check=True
    ).stdout.split()
    for container in found:
        subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def either(request: pytest.FixtureRequest) -> Any:
    """A plane on each runtime."""
    return request.getfixturevalue("training" if request.param == "process" else "docker_training")


def test_an_interrupted_spot_job_resumes_from_its_checkpoints(either: Any) -> None:
    training = either
    training.put("ckpt/from-an-earlier-job", b"0")
    training.create("job", RESUMES, **SPOT)
    training.await_line("job", "waiting")

    training.await_that("job", lambda _: "ckpt/epoch-1" in keys(training, "ckpt/"))
    assert training.describe("job")["SecondaryStatus"] == "Training"
    status, answer = interrupt(training.plane, "job")
    assert (status, answer["SecondaryStatus"]) == (200, "Training")
    job = training.await_end("job")

    assert job["TrainingJobStatus"] == "Completed", job
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    lines = training.lines("job")
    assert '{"LocalPath": "/opt/ml/checkpoints", "S3Uri": "s3://bucket/ckpt"}' in lines
    assert "found from-an-earlier-job" in lines
    assert "found epoch-1 from-an-earlier-job on-sigterm" in lines
    assert keys(training, "ckpt/") == [
        *("ckpt/epoch-1", "ckpt/from-an-earlier-job", "ckpt/on-sigterm")
    ]
    assert training.archive(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"weights": b"trained"}
    assert job["CheckpointConfig"] == {"S3Uri": "s3://bucket/ckpt"}
    assert job["EnableManagedSpotTraining"] is True
    assert 1 <= job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]


def test_a_killed_plane_goes_on_with_checkpoints_and_interruption(training: Any) -> None:
    training.create("job", RESUMES, **SPOT)
    training.await_line("job", "waiting")
    training.plane.restart()
    training.await_that("job", lambda _: "ckpt/epoch-1" in keys(training, "ckpt/"))
    assert interrupt(training.plane, "job")[0] == 200
    training.plane.restart()
    assert training.await_end("job")["TrainingJobStatus"] == "Completed"
    assert "found epoch-1 on-sigterm" in training.lines("job")


def test_the_price_of_spot_is_a_setting(start_training: Callable[..., Any]) -> None:
    training = start_training(spot_price_ratio=0.0)
    job = training.run("job", "time.sleep(1.2)", **{**SPOT, "CheckpointConfig": None})
    assert job["TrainingTimeInSeconds"] >= 2
    assert job["BillableTimeInSeconds"] == 1


def test_pretrained_networks_are_a_folder_that_jobs_read(
    start_training: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "networks" / "resnet-18").mkdir(parents=True)
    (tmp_path / "networks" / "resnet-18" / "weights").write_text("learned elsewhere")
    training = start_training(pretrained_models_dir=str(tmp_path / "networks"))
    script = 'print((base / "pretrained/resnet-18/weights").read_text())'
    assert training.run("job", script)["TrainingJobStatus"] == "Completed"
    assert "learned elsewhere" in training.lines("job")


def test_what_cannot_be_interrupted_is_told_why(training: Any) -> None:
    training.run("on-demand")
    for name, body, content_type, status, code, words in (
        ("nobody", b"{}", "application/json", 404, "ResourceNotFound", "no training job named"),
        ("on-demand", b"{}", "application/json", 400, "ValidationException", "no managed spot"),
        ("on-demand", b"", "text/plain", 400, "ValidationException", "Content-Type"),
        ("on-demand", b"{", "application/json", 400, "ValidationException", "is no JSON"),
        ("on-demand", b"[]", "application/json", 400, "ValidationException", "a JSON object"),
        ("on-demand", b" " * 70_000, "application/json", 400, "ValidationException", "65536 bytes"),
        (
            *("on-demand", b'{"Region": "eu-west-1"}', "application/json", 404),
            *("ResourceNotFound", "no training job named"),
        ),
    ):
        found, answer = interrupt(training.plane, name, body, content_type)
        assert (found, answer["__type"]) == (status, code)
        assert words in answer["message"]


def test_other_paths_of_the_planes_own_do_not_exist(training: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(training.plane.url + "/_sagelocal/elsewhere", timeout=10)
    assert caught.value.code == 404
    with caught.value as error:
        assert json.load(error)["message"] == "There is nothing at /_sagelocal/elsewhere."


def test_a_page_of_another_name_cannot_interrupt(training: Any) -> None:
    request = urllib.request.Request(
        f"{training.plane.url}/_sagelocal/training-jobs/job/interruption",
        data=b"{}",
        headers={"Content-Type": "application/json", "Host": "evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value:
        assert caught.value.code == 403


SAVES = """
import pathlib
pathlib.Path(json.loads((base / "input/config/checkpointconfig.json").read_text())["LocalPath"], "a"
    ).write_text("1")
"""


def test_checkpoints_lie_where_the_request_says(either: Any) -> None:
    config = {"S3Uri": "s3://bucket/ckpt", "LocalPath": "/opt/ml/my/checkpoints"}
    job = either.run("job", SAVES, CheckpointConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job
    assert keys(either, "ckpt/") == ["ckpt/a"]
    assert job["CheckpointConfig"] == config


@pytest.mark.parametrize("path", ["/checkpoints", "/mnt/my/checkpoints", "/srv"])
def test_checkpoints_may_lie_outside_opt_ml_and_nothing_of_it_is_left(
    either: Any, path: str
) -> None:
    there = Path(path).exists()
    config = {"S3Uri": "s3://bucket/ckpt", "LocalPath": path}
    script = (
        SAVES + "assert pathlib.Path('/usr/bin/env').exists() and pathlib.Path('/tmp').is_dir()"
    )
    job = either.run("job", script, CheckpointConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job
    assert keys(either, "ckpt/") == ["ckpt/a"]
    assert Path(path).exists() == there
    assert not Path(path, "a").exists()


@pytest.mark.parametrize("isolated", [True, False])
def test_an_isolated_job_has_no_network(either: Any, isolated: bool) -> None:
    script = """
    import socket
    print("networks", [name for _, name in socket.if_nameindex() if name != "lo"], flush=True)
    """
    job = either.run("job", script, EnableNetworkIsolation=isolated)
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["EnableNetworkIsolation"] is isolated
    (line,) = (line for line in either.lines("job") if line.startswith("networks"))
    assert (line == "networks []") is isolated


LEAVES_OUTPUT = """
(base / "output/data/deep").mkdir()
(base / "output/data/deep/report").write_text("r")
(base / "model/weights").write_text("w")
print("ready", flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "status"), [("", "Completed"), ("sys.exit(3)", "Failed")], ids=["done", "failed"]
)
def test_output_is_uploaded_however_the_job_ends(training: Any, ending: str, status: str) -> None:
    job = training.run("job", LEAVES_OUTPUT + ending)
    assert job["TrainingJobStatus"] == status
    found = training.archive("s3://bucket/out/job/output/output.tar.gz")
    assert found == {"deep/report": b"r"}
    assert training.archive("s3://bucket/out/job/output/model.tar.gz") == {"weights": b"w"}


def test_output_is_uploaded_when_the_job_is_stopped(training: Any) -> None:
    training.create("job", LEAVES_OUTPUT + "signal.pause()")
    training.await_line("job", "ready")
    training.sagemaker.stop_training_job(TrainingJobName="job")
    assert training.await_end("job")["TrainingJobStatus"] == "Stopped"
    assert training.archive("s3://bucket/out/job/output/output.tar.gz") == {"deep/report": b"r"}


def test_uncompressed_output_keeps_its_layout_also_of_a_failed_job(training: Any) -> None:
    job = training.run(
        "job",
        LEAVES_OUTPUT + "sys.exit(3)",
        OutputDataConfig={"S3OutputPath": "s3://bucket/out", "CompressionType": "NONE"},
    )
    assert job["TrainingJobStatus"] == "Failed"
    assert keys(training, "out/job/") == [
        "out/job/output/model/weights",
        "out/job/output/output/deep/report",
    ]
    assert job["OutputDataConfig"]["CompressionType"] == "NONE"


def test_a_program_without_a_toolkit_fails_with_its_traceback(either: Any) -> None:
    script = """
    import atexit
    atexit.register(lambda: [print("closing", n, file=sys.stderr) for n in range(30)])
    print("epoch 1", flush=True)
    raise ValueError("the rows have 3 columns, the header 4")
    """
    job = either.run("job", script)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: Traceback (most recent call last):\n")
    assert "ValueError: the rows have 3 columns, the header 4" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1")
