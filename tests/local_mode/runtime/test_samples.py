"""What image.toml says of what a family can be tried with."""

from __future__ import annotations

from pathlib import Path

import pytest
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.samples import Sample, SampleChannel

IMAGE = """
[image]
family = "toy"
tag = "toy:1"
base = "python"
names = ["toy"]
"""
WHOLE = """
[sample]
request = "sample/row.json"
request_type = "application/jsonlines"
accept = "text/csv"
model = "sample"
parts = ["image", "serve"]

[sample.hyperparameters]
text = "a"
number = 0.5
list = [1, 2]
flag = true

[sample.environment]
WORKERS = 2

[sample.channels.train]
path = "sample/rows.csv"
content_type = "text/csv"
distribution = "ShardedByS3Key"

[sample.channels.code]
path = "sample"
required = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a family with files to try it with."""
    sample = tmp_path / "containers" / "toy" / "sample"
    sample.mkdir(parents=True)
    for name in ("row.json", "rows.csv"):
        (sample / name).write_text("1\n")
    return sample.parent


def sample_of(folder: Path, text: str) -> Sample:
    (folder / "image.toml").write_text(IMAGE + text)
    (family,) = ImageCatalog.load(folder.parent).families
    return family.sample


def test_a_sample_has_its_files_below_the_folder_and_texts_as_jobs_have_them(folder: Path) -> None:
    expected = Sample(
        channels={
            "train": SampleChannel(folder / "sample/rows.csv", "text/csv", "ShardedByS3Key"),
            "code": SampleChannel(folder / "sample", required=True),
        },
        hyperparameters={"text": "a", "number": "0.5", "list": "[1, 2]", "flag": "true"},
        environment={"WORKERS": "2"},
        request=folder / "sample/row.json",
        request_type="application/jsonlines",
        accept="text/csv",
        model=folder / "sample",
        parts=("image", "serve"),
    )

    assert sample_of(folder, WHOLE) == expected


def test_without_the_table_there_is_nothing_to_try(folder: Path) -> None:
    assert sample_of(folder, "") == Sample()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[sample]\nrequst = "a"', "[sample] has the unknown key 'requst'; known: request, model"),
        ("[sample]\nrequest = 1", "[sample] request = 1 is not a string"),
        ('[sample]\nrequest = "sample/no.csv"', "request names 'sample/no.csv', which is not in"),
        ('[sample]\nparts = ["serving"]', "parts = ['serving'] is no list of image, train, serve"),
        ("[sample]\nchannels = 1", "sample.channels = 1 is not a table"),
        ("[sample.channels]\ntrain = 1", "sample.channels.train = 1 is not a table"),
        ("[sample.channels.train]", "[sample.channels.train] has no path"),
        (
            '[sample.channels.train]\npath = "sample"\ncontent = "x"',
            "[sample.channels.train] has the unknown key 'content'",
        ),
        (
            '[sample.channels.train]\npath = "sample"\ndistribution = "Sharded"',
            "distribution = 'Sharded' is not FullyReplicated or ShardedByS3Key",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file(text: str, words: str, folder: Path) -> None:
    with pytest.raises(RuntimeFault) as raised:
        sample_of(folder, text)

    assert str(folder / "image.toml") in str(raised.value)
    assert words in str(raised.value)


def test_every_family_of_ours_can_be_tried() -> None:
    for family in ImageCatalog.load().families:
        if family.base != "python":
            assert family.sample.request is not None, family.family
            assert family.sample.channels or family.sample.model, family.family
