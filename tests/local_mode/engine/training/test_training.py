"""A training job from its request to its end, on real processes and files."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest


def members(archive: bytes | None) -> dict[str, bytes | None]:
    assert archive is not None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name: file.read() if (file := tar.extractfile(member)) else None
            for member in tar.getmembers()
            if not member.isdir()
        }


def channel(name: str, uri: str, **source: Any) -> dict[str, Any]:
    data = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return {"ChannelName": name, "DataSource": {"S3DataSource": data}, "ContentType": "text/csv"}


def test_trains_and_uploads_what_the_container_leaves(bench: Any) -> None:
    bench.put("data/train/a.csv", b"1,2\n")
    image = bench.image("""
        (base / "model/weights").write_bytes((base / "input/data/train/a.csv").read_bytes())
        (base / "output/data/report").write_text("fine")
        print("arguments", sys.argv[1:])
        print("job", os.environ["TRAINING_JOB_NAME"], os.environ["GREETING"])
    """)

    job = bench.run(
        "job",
        image,
        InputDataConfig=[channel("train", "s3://bucket/data/train")],
        Environment={"GREETING": "hello"},
    )

    assert (job.status, job.secondary_status) == ("Completed", "Completed")
    assert job.model_artifacts == "s3://bucket/jobs/job/output/model.tar.gz"
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {"weights": b"1,2\n"}
    assert members(bench.get("jobs/job/output/output.tar.gz")) == {"report": b"fine"}
    assert bench.lines(job) == ["arguments ['train']", "job job hello"]
    assert [(t.status, t.message) for t in job.transitions] == [
        ("Starting", "Preparing the instances for training"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert all(t.ended_at is not None for t in job.transitions)
    assert job.training_seconds == 1


def test_leaves_no_folder_and_no_container_behind(bench: Any) -> None:
    job = bench.run("job", bench.image("(base / 'model/w').write_text('w')"))
    assert job.status == "Completed"
    bench.engine.close()
    assert list((bench.data / "training-jobs" / "us-east-1").iterdir()) == []
    assert list((bench.data / "containers").iterdir()) == []


def test_writing_to_the_input_never_changes_the_object(bench: Any) -> None:
    bench.put("train/a.csv", b"before")
    image = bench.image("(base / 'input/data/train/a.csv').write_text('after')")
    job = bench.run("job", image, InputDataConfig=[channel("train", "s3://bucket/train/")])
    assert job.status == "Completed"
    assert bench.get("train/a.csv") == b"before"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "(base / 'output/failure').write_text('the data is odd'); sys.exit(3)",
            "AlgorithmError: the data is odd, exit code: 3",
        ),
        (
            "(base / 'output/failure').write_text('ClientError: eta is wrong'); sys.exit(2)",
            "ClientError: eta is wrong, exit code: 2",
        ),
        (
            "(base / 'output/failure').write_text('x' * 5000); sys.exit(1)",
            "AlgorithmError: " + "x" * (1024 - 16 - 14) + ", exit code: 1",
        ),
        ("print('first'); print('last'); sys.exit(9)", "AlgorithmError: first\nlast, exit code: 9"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "AlgorithmError: the container was ended by SIGKILL, exit code: 137",
        ),
    ],
)
def test_says_why_a_container_failed(bench: Any, script: str, reason: str) -> None:
    job = bench.run("job", bench.image(script))
    assert (job.status, job.secondary_status) == ("Failed", "Failed")
    assert job.failure_reason == reason


def test_a_job_ends_once_its_end_can_be_recorded(
    bench: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go = tmp_path / "go"
    image = bench.image(f"""
        print("running", flush=True)
        while not os.path.exists({str(go)!r}): time.sleep(0.01)
        (base / "model/w").write_text("w")
    """)
    arn = bench.add("job", image)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "running")
    with bench.database.write() as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON resources BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    go.touch()
    bench.wait(arn, lambda job: "next try in 1 s" in caplog.text)
    assert not bench.job(arn).finished
    with bench.database.write() as connection:
        connection.execute("DROP TRIGGER full")
    assert bench.wait(arn).status == "Completed"
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {"w": b"w"}


@pytest.mark.parametrize(
    "left",
    ["os.symlink({secret!r}, failure)", "os.mkfifo(failure)", "failure.mkdir()"],
)
def test_a_failure_that_is_no_file_is_not_read(bench: Any, tmp_path: Path, left: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the machine")
    script = f"failure = base / 'output/failure'\n{left.format(secret=str(secret))}\n"
    job = bench.run("job", bench.image(script + "print('the log'); sys.exit(3)"))
    assert job.failure_reason == "AlgorithmError: the log, exit code: 3"


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_links_out_of_the_container_are_not_followed(
    bench: Any, tmp_path: Path, compression: str
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key").write_text("of the machine")
    job = bench.run(
        "job",
        bench.image(f"""
            (base / "output/data").rmdir()
            (base / "output/data").symlink_to({str(tmp_path / "secrets")!r})
            (base / "model/w").write_text("w")
            (base / "model/same").symlink_to("w")
            (base / "model/key").symlink_to({str(tmp_path / "secrets/key")!r})
        """),
        OutputDataConfig={"S3OutputPath": "s3://bucket/jobs", "CompressionType": compression},
    )
    assert job.status == "Completed"
    keys = [info.key.removeprefix("jobs/job/output/") for info in bench.objects.list("bucket", "")]
    if compression == "GZIP":
        assert keys == ["model.tar.gz"]
    else:
        assert keys == ["model/same", "model/w"]


def test_uploads_what_a_failed_container_left(bench: Any) -> None:
    image = bench.image("(base / 'model/partial').write_text('p'); sys.exit(1)")
    job = bench.run("job", image)
    assert job.status == "Failed"
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {"partial": b"p"}
    assert bench.get("jobs/job/output/output.tar.gz") is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (
            {"InputDataConfig": [channel("train", "s3://bucket/nothing/")]},
            'ClientError: No S3 objects found under S3 URL "s3://bucket/nothing/"',
        ),
        (
            {"InputDataConfig": [channel("train", "s3://no-bucket/x")]},
            'ClientError: No S3 objects found under S3 URL "s3://no-bucket/x"',
        ),
        (
            {"OutputDataConfig": {"S3OutputPath": "s3://no-bucket/x"}},
            "ClientError: The bucket of S3OutputPath s3://no-bucket/x does not exist",
        ),
    ],
)
def test_fails_before_training_on_what_is_missing_in_s3(
    bench: Any, request_: dict[str, Any], reason: str
) -> None:
    job = bench.run("job", bench.image("print('never')"), **request_)
    assert job.status == "Failed"
    assert job.failure_reason.startswith(reason)
    assert job.hosts == ()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("unknown:1", "ClientError: no image answers to 'unknown:1'"),
        ("broken:1", "ClientError: broken:1 cannot be built"),
    ],
)
def test_fails_on_an_image_that_cannot_be_prepared(bench: Any, image: str, reason: str) -> None:
    job = bench.run("job", image)
    assert (job.status, job.failure_reason) == ("Failed", reason)


def test_stops_gracefully_and_uploads_what_there_is(bench: Any) -> None:
    image = bench.image("""
        def stop(*_):
            (base / "model/saved").write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        signal.pause()
    """)
    arn = bench.add("job", image)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "ready")

    assert bench.engine.stop(arn).status == "Stopping"
    assert bench.engine.stop(arn).status == "Stopping"
    job = bench.wait(arn)

    assert (job.status, job.secondary_status) == ("Stopped", "Stopped")
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {"saved": b"in time"}
    assert [t.status for t in job.transitions][-3:] == ["Stopping", "Uploading", "Stopped"]
    assert bench.engine.stop(arn) == job


def test_kills_a_container_that_ignores_sigterm_after_the_grace(open_bench: Any) -> None:
    bench = open_bench(grace_seconds=0.2)
    image = bench.image("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (base / "model/saved").write_text("x")
        print("ready")
        while True: signal.pause()
    """)
    arn = bench.add("job", image)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "ready")
    bench.engine.stop(arn)
    job = bench.wait(arn)
    assert (job.status, job.failure_reason) == ("Stopped", None)
    assert bench.get("jobs/job/output/model.tar.gz") is not None


def test_a_job_that_runs_too_long_is_stopped_with_its_artifacts(bench: Any) -> None:
    image = bench.image("(base / 'model/w').write_text('w'); print('up'); signal.pause()")
    job = bench.run("job", image, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job.status, job.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {"w": b"w"}
    assert (
        job.transitions[-1].message == "Training job runtime exceeded MaxRuntimeInSeconds provided"
    )


def test_a_job_that_is_stopped_before_it_runs_never_runs(bench: Any) -> None:
    arn = bench.add("job", bench.image("print('ran')"))
    bench.engine.stop(arn)
    bench.engine.submit(arn)
    job = bench.wait(arn)
    assert (job.status, job.hosts) == ("Stopped", ())
    assert [t.status for t in job.transitions] == ["Starting", "Stopping", "Stopped"]


def test_a_stop_does_not_wait_for_an_image_that_is_being_made(bench: Any) -> None:
    arn = bench.add("job", "slow:1")
    bench.engine.submit(arn)
    bench.wait(arn, lambda job: job.secondary_status == "Training")
    bench.engine.stop(arn)
    job = bench.wait(arn)
    bench.runtime.slow_images_ready.set()
    assert (job.status, job.hosts) == ("Stopped", ())


def test_all_hosts_are_stopped_together(bench: Any) -> None:
    image = bench.image("""
        def stop(*_):
            (base / "model" / os.environ["HOST"]).write_text("saved")
            sys.exit(1)
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        signal.pause()
    """)
    arn = bench.add(
        "job",
        image,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1},
    )
    bench.engine.submit(arn)
    for host in ("algo-1", "algo-2", "algo-3"):
        bench.wait_for_line(arn, "ready", host)
    bench.engine.stop(arn)
    job = bench.wait(arn)
    assert (job.status, job.failure_reason) == ("Stopped", None)
    assert list(members(bench.get("jobs/job/output/model.tar.gz"))) == [
        "algo-1",
        "algo-2",
        "algo-3",
    ]


def test_every_host_has_its_own_place_and_one_model_is_made_of_all(bench: Any) -> None:
    for number in range(5):
        bench.put(f"train/{number}", str(number).encode())
    image = bench.image("""
        config = json.loads((base / "input/config/resourceconfig.json").read_text())
        files = sorted(p.name for p in (base / "input/data/train").iterdir())
        (base / "model" / config["current_host"]).write_text(" ".join(files))
        (base / "model/common").write_text(config["current_host"])
    """)
    job = bench.run(
        "job",
        image,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        InputDataConfig=[
            channel("train", "s3://bucket/train/", S3DataDistributionType="ShardedByS3Key")
        ],
    )
    assert job.status == "Completed"
    assert members(bench.get("jobs/job/output/model.tar.gz")) == {
        "algo-1": b"0 2 4",
        "algo-2": b"1 3",
        "common": b"algo-1",
    }


def test_a_job_fails_as_a_whole_when_one_host_fails(bench: Any) -> None:
    image = bench.image("""
        if os.environ["HOST"] == "algo-2":
            (base / "output/failure").write_text("lost")
            sys.exit(4)
        signal.pause()
    """)
    job = bench.run(
        "job",
        image,
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1},
    )
    assert job.failure_reason == "AlgorithmError: lost, host: algo-2, exit code: 4"


def test_takes_the_last_value_of_each_metric_from_the_log(bench: Any) -> None:
    image = bench.image("""
        for loss in (3, 2, 1.5): print(f"loss={loss};")
        print("[1]\\tvalidation-rmse:0.25")
        print("acc=nan; acc=high;")
    """)
    metrics = [
        {"Name": "loss", "Regex": "loss=([0-9.]+);"},
        {"Name": "rmse", "Regex": r".*\[[0-9]+\].*#011validation-rmse:(\S+)"},
        {"Name": "accuracy", "Regex": "acc=([a-z]+);"},
    ]
    job = bench.run(
        "job",
        image,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics,
        },
    )
    assert [(m.name, m.value) for m in job.metrics] == [("loss", 1.5), ("rmse", 0.25)]
    assert abs(job.metrics[0].timestamp - time.time()) < 30


def test_uncompressed_output_is_uploaded_file_by_file(bench: Any) -> None:
    image = bench.image("""
        (base / "model/deep").mkdir()
        (base / "model/deep/w").write_text("w")
    """)
    output = {"S3OutputPath": "s3://bucket/jobs/", "CompressionType": "NONE"}
    job = bench.run("job", image, OutputDataConfig=output)
    assert job.model_artifacts == "s3://bucket/jobs/job/output/model/"
    assert bench.get("jobs/job/output/model/deep/w") == b"w"


def test_a_custom_entry_point_takes_the_place_of_train(bench: Any) -> None:
    image = bench.image("print(json.dumps(sys.argv[1:]))")
    job = bench.run(
        "job",
        image,
        AlgorithmSpecification={
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerArguments": ["a", "--b"],
        },
    )
    assert json.loads(bench.lines(job)[0]) == ["a", "--b"]


def test_another_version_is_said_in_the_first_line_of_the_first_host(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    image = bench.image("print('training', flush=True)")
    bench.runtime.notes[image] = "asks for 1.0, has 2.0"

    two = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = bench.run("job", image, ResourceConfig=two)

    assert bench.lines(job, "algo-1") == ["asks for 1.0, has 2.0", "training"]
    assert bench.lines(job, "algo-2") == ["training"]
    said = [r.getMessage() for r in caplog.records if "asks for" in r.getMessage()]
    assert said == ["training-job job: asks for 1.0, has 2.0"]
