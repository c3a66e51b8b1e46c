"""job.toml as values, and everything that can be wrong with it."""

from __future__ import annotations

import contextlib
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.cloud.errors import SpecError
from sagelocal.cloud.spec import (
    Channel,
    EndpointSpec,
    Instances,
    Serverless,
    Spec,
    TrainingSpec,
    TransformSpec,
    load_spec,
    read_spec,
)
from sagelocal.cloud.tables import as_string
from sagelocal.domain.names import S3Uri

MINIMAL = """
name = "j"
image = "i"
[instance]
type = "ml.m5.large"
"""


def spec_of(text: str, folder: Path = Path(".")) -> Spec:
    return read_spec(textwrap.dedent(text), "job.toml", folder)


def problems_of(text: str, folder: Path = Path(".")) -> str:
    with pytest.raises(SpecError) as raised:
        spec_of(text, folder)
    return str(raised.value)


def test_a_training_job_has_sagemakers_defaults() -> None:
    spec = spec_of(MINIMAL)

    assert isinstance(spec, TrainingSpec)
    assert spec.instances == Instances("ml.m5.large", 1)
    assert (spec.volume_gb, spec.limits.max_run_seconds, spec.limits.spot) == (30, 86400, False)
    assert (spec.channels, spec.hyperparameters, spec.output) == ((), {}, None)


def test_everything_that_a_training_job_may_say_is_read(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    text = """
    name = "j"
    image = "i"
    role = "r"
    region = "eu-west-1"
    input_mode = "FastFile"
    network_isolation = true
    data.train = "rows.csv"
    [data.test]
    source = "s3://bucket/test/"
    content_type = "text/csv"
    input_mode = "Pipe"
    distribution = "ShardedByS3Key"
    [hyperparameters]
    epochs = 3
    rate = 0.5
    layers = [1, 2]
    fast = true
    word = "text"
    [instance]
    type = "ml.m5.large"
    count = 2
    volume_gb = 5
    [limits]
    max_run_seconds = 60
    max_wait_seconds = 90
    spot = true
    [output]
    s3 = "s3://bucket/out"
    folder = "there"
    compressed = false
    [checkpoints]
    s3 = "s3://bucket/checkpoints"
    [metrics]
    loss = 'loss=(\\\\S+)'
    """
    spec = spec_of(text, tmp_path)

    assert isinstance(spec, TrainingSpec)
    assert spec.channels == (
        Channel("train", tmp_path / "rows.csv"),
        Channel(
            "test", S3Uri("bucket", "test/"), "text/csv", "Pipe", distribution="ShardedByS3Key"
        ),
    )
    assert spec.hyperparameters == {
        "epochs": "3",
        "rate": "0.5",
        "layers": "[1, 2]",
        "fast": "true",
        "word": "text",
    }
    assert (spec.limits.max_run_seconds, spec.limits.max_wait_seconds) == (60, 90)
    assert (spec.folder, spec.compressed) == (tmp_path / "there", False)
    assert spec.checkpoints is not None
    assert spec.checkpoints.s3 == S3Uri("bucket", "checkpoints")


def test_an_endpoint_is_on_instances_or_serverless() -> None:
    head = 'kind = "endpoint"\nname = "e"\nimage = "i"\nmodel = "s3://b/model.tar.gz"\n'
    on_instances = spec_of(head + '[instance]\ntype = "ml.m5.large"\n')
    serverless = spec_of(head + "[serverless]\nmemory_mb = 4096\n")

    assert isinstance(on_instances, EndpointSpec)
    assert on_instances.compute == Instances("ml.m5.large", 1)
    assert isinstance(serverless, EndpointSpec)
    assert serverless.compute == Serverless(4096, 5)
    both = head + '[instance]\ntype = "ml.m5.large"\n[serverless]\n'
    assert problems_of(both) == (
        "job.toml:7: serverless and [instance] exclude each other; leave one out"
    )


def test_a_transform_has_an_input() -> None:
    text = MINIMAL.replace("[inst", 'kind = "transform"\n[input]\nsource = "s3://b/in"\n[inst')
    spec = spec_of(text)

    assert isinstance(spec, TransformSpec)
    assert spec.input == S3Uri("b", "in")
    assert "input.source is missing" in problems_of('kind = "transform"\n' + MINIMAL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('imagee = "x"\n', "job.toml:1: imagee is not known; did you mean image?"),
        ("[hyperparameter]\na = 1\n", "hyperparameter is not known; did you mean hyperparameters?"),
        ('[instance]\ntyp = "x"\n', "job.toml:2: instance.typ is not known; did you mean type?"),
        ("zzz = 1\n", "job.toml:1: zzz is not known (known here: "),
        ("[data.train]\nfile = 3\n", "job.toml:2: data.train.file is not known"),
        ("[limits]\nmax_run = 3\n", "limits.max_run is not known; did you mean max_run_seconds?"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest(text: str, problem: str) -> None:
    assert problem in problems_of(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name = 3", "name is 3; it must be text in quotes"),
        ('name = ""', "name is empty"),
        ("instance.count = true", "instance.count is true; it must be a whole number"),
        ("instance.count = 0", "instance.count is 0; it must be at least 1"),
        ("limits.spot = 1", "limits.spot is 1; it must be true or false"),
        ("hyperparameters = 1", "hyperparameters is 1; it must be a table"),
        ('kind = "trainning"', "it must be training, endpoint or transform; did you mean training"),
        ('input_mode = "Fastfile"', "it must be File, FastFile or Pipe; did you mean FastFile?"),
        ('output.s3 = "bucket"', "output.s3 is not an S3 URI (s3://bucket/key): 'bucket'"),
        ('data.train = "none.csv"', "data.train.source is 'none.csv', and there is no file"),
        ('data.train = "http://x/y"', "not an S3 URI"),
        ("data.train = 3", "data.train.source is 3; it must be text in quotes"),
        ("limits.max_wait_seconds = 9", "is for spot instances; add `spot = true`"),
        (
            "limits = {spot = true, max_run_seconds = 9, max_wait_seconds = 3}",
            "limits.max_wait_seconds is 3; it must be at least max_run_seconds (9)",
        ),
        ("checkpoints.path = '/x'", "checkpoints.s3 is missing"),
    ],
)
def test_a_wrong_value_is_shown_with_what_it_must_be(text: str, problem: str) -> None:
    told = problems_of(text)

    assert problem in told
    assert all(line.startswith(("job.toml:1: ", "job.toml: ")) for line in told.splitlines())


def test_all_problems_are_told_at_once_in_the_order_of_the_lines() -> None:
    told = problems_of('name = "j"\nimage = 3\nrolle = "r"\n[instance]\ncount = "two"\n')

    assert told.splitlines() == [
        "job.toml:2: image is 3; it must be text in quotes",
        "job.toml:3: rolle is not known; did you mean role?",
        "job.toml:4: instance.type is missing; it is text in quotes",
        'job.toml:5: instance.count is "two"; it must be a whole number',
    ]


def test_what_is_no_toml_is_told_with_its_line() -> None:
    assert problems_of('name = "j"\nimage = \n').startswith("job.toml:2: this is not TOML: ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: No such file or directory"):
        load_spec(tmp_path / "none.toml")


def test_a_folder_without_files_is_no_data(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert "a folder without a file" in problems_of('data.train = "empty"', tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_a_spec_or_a_spec_error(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert read_spec(text, "job.toml", Path(".")).common.name


@given(st.text())
def test_text_for_a_container_stays_as_it_is(text: str) -> None:
    assert as_string(text) == text
