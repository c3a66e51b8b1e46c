"""`sagelocal fetch` and `sagelocal diff` between this machine and a second plane."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from typing import Any

import pytest
from sagelocal.cloud.comparing import Difference, differences

REGION = "eu-west-1"
FAST = ("--poll-seconds", "0.2")


@pytest.fixture(scope="module")
def jobs(
    at_home: dict[str, str], make_laptop: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A laptop that ran the same spec here and, with another scale, in the cloud."""
    laptop = make_laptop(tmp_path_factory.mktemp("jobs"))
    done = laptop.run("launch", "job.toml", "--here", "--name", "here-1")
    assert done.returncode == 0, done.stderr
    text = (laptop.folder / "job.toml").read_text()
    laptop.write(text.replace("scale = 2", "scale = 3"))
    done = laptop.run("launch", "job.toml", "--cloud", "--yes", "--name", "cloud-1", *FAST)
    assert done.returncode == 0, done.stderr
    laptop.write(laptop.endpoint("cloud-toy"), "endpoint.toml")
    done = laptop.run("launch", "endpoint.toml", "--cloud", "--yes", *FAST)
    assert done.returncode == 0, done.stderr
    return laptop


def test_a_job_comes_with_its_model_and_specs_to_run_it_again(jobs: Any) -> None:
    done = jobs.run("fetch", "cloud-1", "--output", "fetched")

    assert done.returncode == 0, done.stderr
    folder = jobs.folder / "fetched"
    assert sorted(path.name for path in folder.iterdir()) == [
        "description.json",
        "endpoint.toml",
        "job.toml",
        "model.tar.gz",
    ]
    told = json.loads((folder / "description.json").read_text())["DescribeTrainingJob"]
    assert told["HyperParameters"] == {"scale": "3"}
    assert "ResponseMetadata" not in told
    assert (folder / "description.json").stat().st_mode & 0o077 == 0
    image = told["AlgorithmSpecification"]["TrainingImage"]
    assert f"sagelocal serve fetched/model.tar.gz --image {image}" in done.stderr
    again = jobs.run("launch", "fetched/job.toml", "--cloud", "--dry-run", "--name", "again")
    sent = json.loads(again.stdout)["calls"][0]["parameters"]
    assert sent["HyperParameters"] == {"scale": "3"}
    assert sent["Environment"] == {"COLOUR": "blue"}


def test_a_fetched_job_can_be_fetched_anew_but_other_folders_are_left_alone(jobs: Any) -> None:
    for _ in range(2):
        assert jobs.run("fetch", "cloud-1", "--output", "twice").returncode == 0
    done = jobs.run("fetch", "cloud-1", "--output", "model")

    assert done.returncode == 1
    assert "model holds files that were not fetched" in done.stderr


def test_an_endpoint_comes_with_its_model_and_serves_here(jobs: Any) -> None:
    with jobs.start("fetch", "cloud-toy", "--serve", "--port", "0") as process:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("Serving ")), "")
        found = re.search(r"http://\S+", line)
        assert found, process.stderr.read()
        request = urllib.request.Request(f"{found[0]}/invocations", b"5")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b"15 green"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    told = json.loads((jobs.folder / "cloud-toy" / "description.json").read_text())
    assert list(told) == ["DescribeEndpoint", "DescribeEndpointConfig", "DescribeModel"]


def test_a_fetched_model_can_be_a_model_of_the_plane_here(jobs: Any) -> None:
    done = jobs.run("fetch", "cloud-1", "--output", "registered", "--register")

    assert done.returncode == 0, done.stderr
    found = re.search(r"model (cloud-1-\S+) of the plane here", done.stderr)
    assert found
    launched = jobs.run("launch", "registered/endpoint.toml", "--here")
    assert launched.returncode == 0, launched.stderr
    answer = jobs.run("invoke", "1", "--to", "cloud-1", "--region", REGION)
    assert answer.stdout == "24 None"


def test_a_model_whose_url_is_of_https_comes_as_any_other(jobs: Any, cloud: Any) -> None:
    sagemaker, s3 = cloud.client("sagemaker"), cloud.client("s3")
    s3.create_bucket(Bucket="by-https")
    s3.put_object(Bucket="by-https", Key="deep/model.tar.gz", Body=b"not looked into")
    url = "https://s3.us-east-1.amazonaws.com/by-https/deep/model.tar.gz"
    container = {"Image": "test-toy", "ModelDataUrl": url}
    role = "arn:aws:iam::123456789012:role/Worker"
    sagemaker.create_model(ModelName="web", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "one", "ModelName": "web"}
    instances = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="web", ProductionVariants=[variant | instances]
    )
    sagemaker.create_endpoint(EndpointName="web", EndpointConfigName="web")

    done = jobs.run("fetch", "web", "--region", "us-east-1")

    assert done.returncode == 0, done.stderr
    assert (jobs.folder / "web" / "model.tar.gz").read_bytes() == b"not looked into"


def test_a_name_that_is_nobodys_is_told(jobs: Any) -> None:
    done = jobs.run("fetch", "nobody")

    assert done.returncode == 1
    assert "neither a training job nor an endpoint named 'nobody' in eu-west-1" in done.stderr


def test_two_jobs_differ_in_what_ran_and_in_where_it_is(jobs: Any) -> None:
    done = jobs.run("diff", "here-1", "cloud-1", "--exit-code")

    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["--- here:here-1", "+++ cloud:cloud-1"]
    start = lines.index("hyperparameters")
    assert lines[start + 1 : start + 3] == ["  - scale: 2", "  + scale: 3"]
    assert any(line.startswith("  - model.json: 16 bytes, sha256:") for line in lines)
    places = lines[lines.index("only where it is") :]
    assert "  - reference: test-toy" in places
    assert not any("scale" in line for line in places)


def test_the_same_job_differs_in_nothing(jobs: Any) -> None:
    done = jobs.run("diff", "cloud:cloud-1", "cloud:cloud-1", "--exit-code")

    assert done.returncode == 0
    assert done.stdout.splitlines()[2:] == ["no difference in what ran"]


def test_the_difference_as_json_has_both_jobs_facts(jobs: Any) -> None:
    done = jobs.run("diff", "here-1", "cloud-1", "--json", "--no-artifact")
    told = json.loads(done.stdout)

    assert told["left"]["facts"]["metrics"] == {"loss": 0.25}
    assert told["right"]["facts"]["channels"]["train bytes"] == 4
    changed = {(each["section"], each["key"]) for each in told["differences"] if not each["place"]}
    assert changed == {("hyperparameters", "scale")}
    digest = told["left"]["facts"]["image"]["digest"]
    assert digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", "cloud-1"), "no training job 'nobody' on this machine's plane in eu-west-1"),
        (("here-1", "nobody"), "no training job 'nobody' in AWS in eu-west-1"),
        (("there:x",), "'there:x' is no job; write here:NAME or cloud:NAME"),
    ],
)
def test_a_job_that_is_not_there_is_told(arguments: tuple[str, ...], words: str, jobs: Any) -> None:
    done = jobs.run("diff", *arguments)

    assert done.returncode != 0
    assert words in done.stderr


def test_facts_that_one_job_has_not_are_differences() -> None:
    left: dict[str, dict[str, object]] = {"a": {"x": 1, "y": 2}, "b": {"train source": "s3://1"}}
    right: dict[str, dict[str, object]] = {
        "a": {"x": 1},
        "b": {"train source": "s3://2"},
        "c": {"z": 3},
    }
    found = differences(left, right)

    assert found == [
        Difference("a", "y", 2, None),
        Difference("b", "train source", "s3://1", "s3://2"),
        Difference("c", "z", None, 3),
    ]
    assert [each.is_place for each in found] == [False, True, False]
