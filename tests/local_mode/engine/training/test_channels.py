"""Channels: which objects, and where they lie below the channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.channels import InputDataError, relative_path, shard, stage
from sagelocal.engine.opt_ml import OptMl


def spec_of(uri: str, hosts: int = 1, **source: Any) -> TrainingSpec:
    data = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return TrainingSpec.of(
        {
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": hosts},
            "InputDataConfig": [{"ChannelName": "c", "DataSource": {"S3DataSource": data}}],
        }
    )


def staged(bench: Any, spec: TrainingSpec, folder: Path) -> dict[str, bytes]:
    opt_ml = OptMl(folder)
    opt_ml.prepare(spec, spec.hosts[0])
    stage(bench.objects, spec, spec.hosts[0], opt_ml)
    return {
        path.relative_to(opt_ml.data).as_posix(): path.read_bytes()
        for path in opt_ml.data.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("s3://bucket/data/train", ["a.csv", "deep/b.csv", "train2.csv"]),
        ("s3://bucket/data/train/", ["a.csv", "deep/b.csv"]),
        ("s3://bucket/data/tr", ["train/a.csv", "train/deep/b.csv", "train2.csv"]),
        ("s3://bucket/data/train/a.csv", ["a.csv"]),
        ("s3://bucket/data/train2.csv", ["train2.csv"]),
        ("s3://bucket", ["data/train/a.csv", "data/train/deep/b.csv", "data/train2.csv"]),
    ],
)
def test_keys_keep_their_layout_below_the_prefix(
    bench: Any, tmp_path: Path, uri: str, files: list[str]
) -> None:
    for key in ("data/train/", "data/train/a.csv", "data/train/deep/b.csv", "data/train2.csv"):
        bench.put(key, key.encode())
    found = staged(bench, spec_of(uri), tmp_path / "ml")
    assert sorted(found) == sorted(f"c/{name}" for name in files)


def test_a_manifest_names_the_objects_and_lies_beside_the_channel(
    bench: Any, tmp_path: Path
) -> None:
    bench.put("data/a", b"A")
    bench.put("data/x/b", b"B")
    bench.put("data/c", b"C")
    manifest = json.dumps([{"prefix": "s3://bucket/data/"}, "a", "x/b"]).encode()
    bench.put("list.manifest", manifest)
    spec = spec_of("s3://bucket/list.manifest", S3DataType="ManifestFile")
    assert staged(bench, spec, tmp_path / "ml") == {
        "c/a": b"A",
        "c/x/b": b"B",
        "c-manifest": manifest,
    }


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b'[{"prefix": "s3://bucket/"}, "missing"]', "names s3://bucket/missing"),
        (b"{}", "is not of the form"),
        (b"not json", "is not of the form"),
        (b'[{"prefix": "bucket"}, "a"]', "not an S3 URI"),
        (b'[{"prefix": "s3://bucket/"}, 7]', "7 is not a string"),
    ],
)
def test_says_what_is_wrong_with_a_manifest(
    bench: Any, tmp_path: Path, manifest: bytes, message: str
) -> None:
    bench.put("list.manifest", manifest)
    spec = spec_of("s3://bucket/list.manifest", S3DataType="ManifestFile")
    with pytest.raises(InputDataError, match=message):
        staged(bench, spec, tmp_path / "ml")


@pytest.mark.parametrize("keys", [("p/a", "p/a/b"), ("p/a", "p//a"), ("p/../../a",)])
def test_keys_that_cannot_be_files_side_by_side_are_refused(
    bench: Any, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    for key in keys:
        bench.put(key)
    with pytest.raises(InputDataError, match=r"p/"):
        staged(bench, spec_of("s3://bucket/p/"), tmp_path / "ml")
    assert not (tmp_path / "a").exists()


@given(st.lists(st.integers(), unique=True), st.integers(1, 9))
def test_shards_partition_the_keys_evenly(keys: list[int], count: int) -> None:
    parts = [shard(keys, index, count) for index in range(count)]
    assert sorted(key for part in parts for key in part) == sorted(keys)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.text("ab/", min_size=1), st.text("ab/."))
def test_no_key_leads_out_of_its_channel(prefix: str, rest: str) -> None:
    try:
        path = relative_path(prefix + rest, prefix)
    except InputDataError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
