"""`sagelocal launch` as a user has it: here, and in a "cloud" that is a second plane."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ARN = f"arn:aws:iam::{ACCOUNT}:role/Worker"
URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/test-toy:latest"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"


@pytest.fixture(scope="module")
def aws(cloud: Any) -> Any:
    """`aws("s3")` is a boto3 client of the cloud, as everybody else has it."""

    def client(service: str, region: str = REGION) -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=cloud.url,
            region_name=region,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

    return client


def replaced(laptop: Any, old: str, new: str) -> None:
    """The spec with a part of it changed."""
    text = (laptop.folder / "job.toml").read_text()
    assert old in text
    laptop.write(text.replace(old, new))


def job_name(done: Any) -> str:
    """The name that the command gave its job."""
    line = next(line for line in done.stderr.splitlines() if line.endswith(" is accepted"))
    return str(line.split()[1])


def test_a_job_runs_here_on_a_plane_that_is_started_for_it(laptop: Any) -> None:
    done = laptop.run("launch", "job.toml", "--here")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.index("rows: 2, colour: blue") < lines.index("Completed: Training job completed")
    assert lines[-1] == "The results are in model-output: model, data"
    assert json.loads((laptop.folder / "model-output/model/model.json").read_text()) == {
        "factor": 16
    }
    assert (laptop.folder / "model-output/data/report.txt").read_text() == "all is well"


def test_the_same_file_runs_in_the_cloud_as_a_real_job(laptop: Any, aws: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--poll-seconds", "0.2")

    assert done.returncode == 0, done.stderr
    assert "rows: 2, colour: blue" in done.stdout.splitlines()
    assert "Completed: Training job completed" in done.stdout
    assert (laptop.folder / "model-output/model/model.json").exists()
    job = aws("sagemaker").describe_training_job(TrainingJobName=job_name(done))
    assert job["AlgorithmSpecification"]["TrainingImage"] == URI
    assert job["RoleArn"] == ARN
    assert job["HyperParameters"] == {"scale": "2"}
    assert job["ModelArtifacts"]["S3ModelArtifacts"].startswith(f"s3://{BUCKET}/toy-")
    assert f"AWS account {ACCOUNT}, region {REGION}, as arn:aws:sts::{ACCOUNT}" in done.stderr


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(laptop: Any, aws: Any) -> None:
    before = aws("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    done = laptop.run("launch", "job.toml", "--cloud", "--dry-run", "--name", "dry")

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    (call,) = shown["calls"]
    assert (call["service"], call["operation"]) == ("sagemaker", "CreateTrainingJob")
    assert call["parameters"]["AlgorithmSpecification"]["TrainingImage"] == URI
    assert shown["uploads"] == [
        {
            "from": "numbers.csv",
            "to": f"s3://{BUCKET}/dry/input/train/",
            "packed": False,
            "files": 1,
            "bytes": 4,
        }
    ]
    assert aws("sagemaker").list_training_jobs()["TrainingJobSummaries"] == before


def test_what_a_dry_run_shows_is_what_is_sent(laptop: Any, aws: Any) -> None:
    options = ("--cloud", "--name", "as-shown", "--yes", "--poll-seconds", "0.2")
    shown = json.loads(laptop.run("launch", "job.toml", *options, "--dry-run").stdout)
    done = laptop.run("launch", "job.toml", *options)

    assert done.returncode == 0, done.stderr
    job = aws("sagemaker").describe_training_job(TrainingJobName="as-shown")
    sent = shown["calls"][0]["parameters"]
    assert job["RoleArn"] == sent["RoleArn"]
    for name in ("OutputDataConfig", "HyperParameters", "Environment", "ResourceConfig"):
        assert sent[name].items() <= job[name].items()
    (channel,) = sent["InputDataConfig"]
    assert job["InputDataConfig"][0]["DataSource"] == channel["DataSource"]


def test_the_cost_is_shown_when_there_is_a_price_list(laptop: Any) -> None:
    laptop.write("instance_type,price_per_hour\nml.m5.large,0.115\n", "prices.csv")
    done = laptop.run("launch", "job.toml", "--cloud", "--dry-run", "--prices", "prices.csv")

    assert "cost: at most 0.12 (1 x ml.m5.large at 0.115 per hour" in done.stderr


def test_without_a_terminal_nothing_is_spent_unless_yes_is_said(laptop: Any, aws: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", "--name", "unasked")

    assert done.returncode == 1
    assert "no terminal to ask on; nothing was sent" in done.stderr
    with pytest.raises(aws("sagemaker").exceptions.ClientError):
        aws("sagemaker").describe_training_job(TrainingJobName="unasked")


def test_a_job_that_fails_gives_its_reason_and_status_1(laptop: Any) -> None:
    replaced(laptop, "scale = 2", 'end = "fail"')
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--poll-seconds", "0.2")

    assert done.returncode == 1
    assert "failed: AlgorithmError: the data has a hole, exit code: 3" in done.stderr


def test_where_to_run_has_to_be_said(laptop: Any) -> None:
    done = laptop.run("launch", "job.toml")

    assert done.returncode == 2
    assert "say where: --here or --cloud" in done.stderr


def test_a_spec_with_mistakes_is_told_before_anything_else(laptop: Any) -> None:
    replaced(laptop, "image =", "imgae =")
    done = laptop.run("launch", "job.toml", "--cloud", AWS_ACCESS_KEY_ID=None)

    assert done.returncode == 1
    assert "job.toml:3: imgae is not known; did you mean image?" in done.stderr


def test_no_credentials_is_told_with_what_to_do(laptop: Any) -> None:
    done = laptop.run(
        "launch", "job.toml", "--cloud", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None
    )

    assert done.returncode == 1
    assert "no AWS credentials" in done.stderr
    assert "aws configure" in done.stderr


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("eu-wset-1", "'eu-wset-1' is no region of SageMaker that botocore "),
        (None, "no AWS region: set AWS_REGION or --region, run `aws configure`, or say `region`"),
    ],
)
def test_a_region_that_is_none_is_told(region: str | None, words: str, laptop: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", AWS_REGION=region)

    assert done.returncode == 1
    assert words in done.stderr


def test_a_profile_that_is_not_there_is_told(laptop: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", "--profile", "nobody")

    assert "there is no AWS profile 'nobody'; known: none" in done.stderr


def test_an_endpoint_setting_that_nobody_answers_at_is_told(laptop: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    done = laptop.run(
        "launch", "job.toml", "--cloud", AWS_ENDPOINT_URL=address, AWS_MAX_ATTEMPTS="1"
    )

    assert done.returncode == 1
    assert f'cannot be reached: Could not connect to the endpoint URL: "{address}' in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'image = "test-toy"',
            'image = "nothing:3"',
            "push it first: `sagelocal push nothing:3 --region eu-west-1`",
        ),
        (
            'image = "test-toy"',
            'image = "nothing:3.1"',
            "push it first: `sagelocal push nothing:3.1 --region eu-west-1`",
        ),
        (
            'image = "test-toy"',
            f'image = "{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/test-toy:1"',
            "is in us-east-1, and the job would run in eu-west-1",
        ),
        (
            'image = "test-toy"',
            'image = "ghcr.io/me/toy:1"',
            "push it by `sagelocal push ghcr.io/me/toy:1`",
        ),
        ('role = "Worker"', "", "role is missing: the cloud needs"),
        ('role = "Worker"', 'role = "arn:aws:iam::1:user/x"', "it must be a role's name, or an AR"),
        ("m5.large", "m5.lagre", "did you mean ml.m5.large?"),
        ('"numbers.csv"', '"s3://none-such/x"', "CreateTrainingJob was refused: ValidationExcep"),
    ],
)
def test_what_the_cloud_does_not_have_is_told(old: str, new: str, words: str, laptop: Any) -> None:
    replaced(laptop, old, new)
    done = laptop.run("launch", "job.toml", "--cloud", "--yes")

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_that_is_named_has_to_be_there(laptop: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--bucket", "not-there")

    assert (
        "there is no bucket 'not-there'; make it (`aws s3 mb s3://not-there`), or name"
        in done.stderr
    )


def test_a_bucket_of_another_region_is_refused(laptop: Any, aws: Any) -> None:
    aws("s3", "eu-central-1").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--bucket", "far-away")

    assert "the bucket 'far-away' is in eu-central-1, and the job would run in" in done.stderr


def test_a_folder_with_other_things_is_left_alone(laptop: Any) -> None:
    done = laptop.run("launch", "job.toml", "--here", "--output", "model")

    assert done.returncode == 1
    assert "holds files that are not from sagelocal" in done.stderr
    assert (laptop.folder / "model" / "model.json").exists()


def test_a_detached_job_is_named_and_goes_on(laptop: Any, aws: Any) -> None:
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--detach", "--name", "alone")

    assert (done.returncode, done.stdout) == (0, "alone\n")
    found = aws("sagemaker").describe_training_job(TrainingJobName="alone")
    assert found["TrainingJobStatus"] in ("InProgress", "Completed")


def test_an_endpoint_is_made_of_a_local_folder_and_answers(laptop: Any, aws: Any) -> None:
    laptop.write(laptop.endpoint("answers"), "endpoint.toml")
    done = laptop.run("launch", "endpoint.toml", "--cloud", "--yes", "--poll-seconds", "0.2")

    assert done.returncode == 0, done.stderr
    assert "answers is in service" in done.stdout
    assert "aws sagemaker delete-endpoint --endpoint-name answers --region eu-west-1" in done.stdout
    answer = aws("sagemaker-runtime").invoke_endpoint(
        EndpointName="answers", ContentType="text/csv", Body=b"7"
    )
    assert answer["Body"].read() == b"21 green"


def test_an_endpoint_that_is_there_is_refused_and_nothing_is_left_of_the_new_one(
    laptop: Any, aws: Any
) -> None:
    laptop.write(laptop.endpoint("twice"), "endpoint.toml")
    options = ("--cloud", "--yes", "--detach")
    assert laptop.run("launch", "endpoint.toml", *options).returncode == 0
    before = aws("sagemaker").list_models()["Models"]
    done = laptop.run("launch", "endpoint.toml", *options)

    assert done.returncode == 1
    assert "Cannot create already existing endpoint" in done.stderr
    assert aws("sagemaker").list_models()["Models"] == before


def test_an_endpoint_that_cannot_load_its_model_gives_status_1(laptop: Any) -> None:
    (laptop.folder / "model" / "model.json").write_text("no json")
    laptop.write(laptop.endpoint("broken"), "endpoint.toml")
    done = laptop.run("launch", "endpoint.toml", "--cloud", "--yes", "--poll-seconds", "0.2")

    assert done.returncode == 1
    assert "broken is Failed: " in done.stderr
    assert "-> aws sagemaker delete-endpoint --endpoint-name broken" in done.stderr


def test_a_model_archive_goes_as_it_is(laptop: Any, aws: Any) -> None:
    with tarfile.open(laptop.folder / "model.tar.gz", "w:gz") as archive:
        archive.add(laptop.folder / "model" / "model.json", "model.json")
    text = laptop.endpoint("archive").replace('model = "model"', 'model = "model.tar.gz"')
    laptop.write(text, "endpoint.toml")
    done = laptop.run("launch", "endpoint.toml", "--cloud", "--yes", "--detach")

    assert done.returncode == 0, done.stderr
    config = aws("sagemaker").describe_endpoint(EndpointName="archive")["EndpointConfigName"]
    url = aws("sagemaker").describe_model(ModelName=config)["PrimaryContainer"]["ModelDataUrl"]
    bucket, _, key = url.removeprefix("s3://").partition("/")
    body = aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert body == (laptop.folder / "model.tar.gz").read_bytes()


@pytest.fixture
def waiting(laptop: Any) -> Iterator[subprocess.Popen[str]]:
    """A launch that watches a job which waits."""
    replaced(laptop, "scale = 2", 'end = "wait"')
    command = ["launch", "job.toml", "--cloud", "--yes", "--poll-seconds", "0.2"]
    with laptop.start(*command) as process:
        assert any(line == "waiting\n" for line in process.stdout)
        yield process


def test_ctrl_c_leaves_the_job_and_says_how_to_stop_it(
    waiting: subprocess.Popen[str], aws: Any
) -> None:
    waiting.send_signal(signal.SIGINT)
    _, told = waiting.communicate(timeout=60)

    assert waiting.returncode == 130
    command = "aws sagemaker stop-training-job --training-job-name"
    line = next(line for line in told.splitlines() if command in line)
    assert "goes on without being watched; to stop the job:" in line
    name = line.split()[1]
    assert line.endswith(f"for its results once it has ended: sagelocal fetch {name}")
    job = aws("sagemaker").describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "InProgress"
    aws("sagemaker").stop_training_job(TrainingJobName=name)


def test_a_network_that_is_gone_for_a_while_is_waited_for(
    waiting: subprocess.Popen[str], cloud: Any, aws: Any
) -> None:
    jobs = aws("sagemaker").list_training_jobs(StatusEquals="InProgress")
    name = jobs["TrainingJobSummaries"][0]["TrainingJobName"]
    cloud.kill()
    assert any("cannot be reached" in line for line in waiting.stdout or ())
    cloud.start()
    aws("sagemaker").stop_training_job(TrainingJobName=name)
    _, told = waiting.communicate(timeout=100)

    assert (waiting.returncode, told.splitlines()[-1]) == (130, f"{name} was stopped.")


def test_a_job_that_somebody_stops_ends_the_command_with_130(
    waiting: subprocess.Popen[str], aws: Any
) -> None:
    jobs = aws("sagemaker").list_training_jobs(StatusEquals="InProgress")
    name = jobs["TrainingJobSummaries"][0]["TrainingJobName"]
    aws("sagemaker").stop_training_job(TrainingJobName=name)
    printed, told = waiting.communicate(timeout=100)

    assert waiting.returncode == 130
    assert "Stopped: Training job stopped" in printed
    assert f"{name} was stopped." in told


class Terminal:
    """A pseudo-terminal with a command in it; what it printed is read as it comes."""

    def __init__(self, laptop: Any, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.printed = ""
        self.process = laptop.start(
            *arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def until(self, text: str) -> None:
        """Read until a text was printed."""
        deadline = time.monotonic() + 100
        while text not in self.printed:
            assert time.monotonic() < deadline, self.printed
            if select.select([self._ours], [], [], 1)[0]:
                self.printed += os.read(self._ours, 65536).decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        os.close(self._ours)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(laptop: Any) -> Iterator[Any]:
    """Runs the command in a terminal."""
    opened: list[Terminal] = []

    def run(*arguments: str) -> Terminal:
        opened.append(Terminal(laptop, *arguments))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def test_at_a_terminal_it_asks_before_it_spends(laptop: Any, terminal: Any, aws: Any) -> None:
    asking = terminal("launch", "job.toml", "--cloud", "--name", "declined")
    asking.until("Send this, and pay for it? [y/N]")
    assert '"TrainingJobName": "declined"' in asking.printed
    asking.type("n\n")
    asking.until("nothing was sent")

    assert asking.process.wait(timeout=60) == 1
    with pytest.raises(aws("sagemaker").exceptions.ClientError):
        aws("sagemaker").describe_training_job(TrainingJobName="declined")


def test_at_a_terminal_ctrl_c_asks_whether_to_stop(laptop: Any, terminal: Any, aws: Any) -> None:
    replaced(laptop, "scale = 2", 'end = "wait"')
    watching = terminal("launch", "job.toml", "--cloud", "--name", "asked", "--poll-seconds", "0.2")
    watching.until("Send this, and pay for it?")
    watching.type("y\n")
    watching.until("waiting")
    watching.process.send_signal(signal.SIGINT)
    watching.until("Shall I stop the job? [y/N]")
    watching.type("y\n")
    watching.until("is being stopped")

    assert watching.process.wait(timeout=60) == 130
    job = aws("sagemaker").describe_training_job(TrainingJobName="asked")
    assert job["TrainingJobStatus"] in ("Stopping", "Stopped")


@pytest.mark.parametrize("where", [("--here",), ("--cloud", "--yes")], ids=["here", "cloud"])
def test_a_transform_runs_and_its_results_come_back(where: tuple[str, ...], laptop: Any) -> None:
    laptop.write(
        laptop.endpoint(f"scores-{where[0][2:]}").replace('kind = "endpoint"', 'kind = "transform"')
        + '[input]\nsource = "numbers.csv"\ncontent_type = "text/csv"\nsplit = "Line"\n'
        '[output]\nassemble = "Line"\n[limits]\nstrategy = "SingleRecord"\n',
        "transform.toml",
    )
    results = laptop.folder / f"results-{where[0][2:]}"
    done = laptop.run(
        *("launch", "transform.toml", *where, "--poll-seconds", "0.2", "--output", str(results))
    )

    assert done.returncode == 0, done.stderr
    assert "MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD" in done.stdout
    assert f"The results are in {results}: 1 files" in done.stdout
    assert (results / "numbers.csv.out").read_text() == "9 green\n15 green\n"
