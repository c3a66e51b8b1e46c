"""Channels: which objects, and where they lie below the channel."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.domain.channels import Channel, epoch_order
from sagelocal.domain.names import S3Uri
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.channels import stage
from sagelocal.engine.opt_ml import OptMl
from sagelocal.engine.sources import InputDataError, find_records, relative_path
from sagelocal.runtime.interface import Mount


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


LINES = st.dictionaries(
    st.text("abc", min_size=1, max_size=2), st.integers() | st.text() | st.lists(st.booleans())
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)
@given(st.lists(LINES, min_size=1, max_size=5), st.text("abc", min_size=1, max_size=2))
def test_an_augmented_manifest_is_read_as_json_or_its_line_is_named(
    bench: Any, lines: list[dict[str, Any]], name: str
) -> None:
    bench.put("m", "\n".join(json.dumps(line) for line in lines).encode())
    channel = Channel("c", S3Uri("bucket", "m"), "AugmentedManifestFile", attribute_names=(name,))
    lacking = [number for number, line in enumerate(lines, 1) if name not in line]
    if lacking:
        with pytest.raises(InputDataError, match=f"^Line {lacking[0]} of .* no attribute"):
            find_records(bench.objects, channel)
        return
    values = [line[name] for line in lines]
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    assert find_records(bench.objects, channel) == [(text,) for text in texts]


def test_hosts_share_a_pipe_without_asking_one_another(bench: Any, tmp_path: Path) -> None:
    for number in range(6):
        bench.put(f"p/{number}")
    request = spec_of("s3://bucket/p/", hosts=2, S3DataDistributionType="ShardedByS3Key")
    channel = replace(request.channels[0], input_mode="Pipe", shuffle_seed=3)
    spec = replace(request, channels=(channel,))
    keys, plans = [f"s3://bucket/p/{number}" for number in range(6)], []
    for host in spec.hosts:
        opt_ml = OptMl(tmp_path / host.name)
        opt_ml.prepare(spec, host)
        stage(bench.objects, spec, host, opt_ml)
        plans.append(json.loads((opt_ml.pipes / "plan.json").read_text())["channels"][0])
    for epoch in range(3):
        dealt = [
            [item["source"] for (item,) in epoch_order(plan["records"], 3, epoch, index, 2)]
            for index, plan in enumerate(plans)
        ]
        assert [len(part) for part in dealt] == [3, 3]
        assert sorted(chain.from_iterable(dealt)) == keys
    assert [(plan["index"], plan["count"], plan["seed"]) for plan in plans] == [
        (0, 2, 3),
        (1, 2, 3),
    ]


def test_where_overlays_work_a_channel_is_links_that_are_mounted(
    bench: Any, tmp_path: Path
) -> None:
    bench.put("p/a/b", b"content")
    spec = spec_of("s3://bucket/p/")
    read_only = replace(spec.channels[0], name="d", input_mode="FastFile")
    spec = replace(spec, channels=(*spec.channels, read_only))
    opt_ml = OptMl(tmp_path)
    opt_ml.prepare(spec, spec.hosts[0])
    stage(bench.objects, spec, spec.hosts[0], opt_ml, overlay=True)
    stored = bench.objects.path(bench.objects.get("bucket", "p/a/b"))
    assert opt_ml.shown("c").joinpath("a/b").samefile(stored)
    assert sorted(path.name for path in opt_ml.data.rglob("*")) == ["c", "d"]
    assert opt_ml.mounts()[3:] == (
        Mount(opt_ml.shown("c"), "/opt/ml/input/data/c", scratch=opt_ml.scratch("c")),
        Mount(opt_ml.shown("d"), "/opt/ml/input/data/d", read_only=True),
    )


@given(st.text("ab/", min_size=1), st.text("ab/."))
def test_no_key_leads_out_of_its_channel(prefix: str, rest: str) -> None:
    try:
        path = relative_path(prefix + rest, prefix)
    except InputDataError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
